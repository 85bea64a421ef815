//! Typed access to the keys under `chatterbox.`, which come under more than one name and in part not at all.

use crate::error::ModelError;
use mynah_gguf::GgufFile;
use std::fmt::Display;

/// No extent of a model reaches this; so products of two can be formed without a thought.
const LIMIT: usize = 1 << 24;

/// Keys of a file.
pub(super) struct Keys<'a>(pub(super) &'a GgufFile);

impl Keys<'_> {
    fn full(key: &str) -> String {
        format!("chatterbox.{key}")
    }

    pub(super) fn bad(key: &str, found: impl Display, reason: impl Into<String>) -> ModelError {
        ModelError::BadKey { key: Self::full(key), found: found.to_string(), reason: reason.into() }
    }

    /// A string, where there is one.
    pub(super) fn str(&self, key: &str) -> Result<Option<&str>, ModelError> {
        Ok(self.0.get_str(&Self::full(key))?)
    }

    /// A truth value, where there is one.
    pub(super) fn bool(&self, key: &str) -> Result<Option<bool>, ModelError> {
        Ok(self.0.get_bool(&Self::full(key))?)
    }

    /// A whole number below the limit under the first of these names that the file has. Zero is one.
    pub(super) fn id(&self, names: &[&str]) -> Result<Option<usize>, ModelError> {
        for key in names {
            match self.0.get_usize(&Self::full(key))? {
                None => {}
                Some(n) if n >= LIMIT => return Err(Self::bad(key, n, format!("it must be below {LIMIT}"))),
                found => return Ok(found),
            }
        }
        Ok(None)
    }

    /// A count, which can't be zero.
    pub(super) fn count(&self, names: &[&str]) -> Result<Option<usize>, ModelError> {
        let found = self.id(names)?;
        match (found, names) {
            (Some(0), [key, ..]) => Err(Self::bad(key, 0, "it can't be zero")),
            _ => Ok(found),
        }
    }

    /// Holds a count that a tensor tells against the key, where there is one.
    pub(super) fn agrees(&self, names: &[&str], tensors: usize) -> Result<(), ModelError> {
        match (self.id(names)?, names) {
            (Some(found), [key, ..]) if found != tensors => {
                Err(Self::bad(key, found, format!("the tensors say {tensors}")))
            }
            _ => Ok(()),
        }
    }

    /// A finite number above zero, or what it is by default.
    pub(super) fn positive(&self, key: &str, default: f32) -> Result<f32, ModelError> {
        match self.0.get_f32(&Self::full(key))? {
            None => Ok(default),
            Some(x) if x.is_finite() && x > 0.0 => Ok(x),
            Some(x) => Err(Self::bad(key, x, "it must be a number above zero")),
        }
    }
}
