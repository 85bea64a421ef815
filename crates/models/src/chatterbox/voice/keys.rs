//! Numbers of the models that make voices, under their own prefix of keys; files that lack a key mean the published value.

use crate::error::ModelError;
use mynah_gguf::GgufFile;
use std::fmt::Display;

/// No extent of these models comes near this, and products of two can be formed without a thought.
const LIMIT: usize = 1 << 20;

/// Keys under `PREFIX.`.
pub(super) struct Keys<'a> {
    pub(super) file: &'a GgufFile,
    pub(super) prefix: &'static str,
}

impl Keys<'_> {
    /// A whole number from 1 on.
    pub(super) fn number(&self, key: &str, published: usize) -> Result<usize, ModelError> {
        let full = format!("{}.{key}", self.prefix);
        match self.file.get_usize(&full)? {
            None => Ok(published),
            Some(n) if (1..LIMIT).contains(&n) => Ok(n),
            Some(n) => Err(self.bad(key, n, format!("it must be within 1 and {LIMIT}"))),
        }
    }

    /// A number above zero.
    pub(super) fn float(&self, key: &str, published: f32) -> Result<f32, ModelError> {
        match self.file.get_f32(&format!("{}.{key}", self.prefix))? {
            None => Ok(published),
            Some(x) if x.is_finite() && x > 0.0 => Ok(x),
            Some(x) => Err(self.bad(key, x, "it must be a number above zero".into())),
        }
    }

    /// A number that may only be what this program knows.
    pub(super) fn only(&self, key: &str, known: usize) -> Result<(), ModelError> {
        match self.number(key, known)? {
            n if n == known => Ok(()),
            n => Err(self.bad(key, n, format!("only {known} is known"))),
        }
    }

    pub(super) fn bad(&self, key: &str, found: impl Display, reason: String) -> ModelError {
        ModelError::BadKey { key: format!("{}.{key}", self.prefix), found: found.to_string(), reason }
    }
}
