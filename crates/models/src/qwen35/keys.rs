//! Typed access to the keys of one architecture.

use crate::error::ModelError;
use mynah_gguf::{Array, GgufFile, Value};
use std::fmt::Display;

/// No extent of a model reaches this; so products of two can be formed without a thought.
const LIMIT: usize = 1 << 24;

/// Keys under `ARCHITECTURE.`.
pub(super) struct Keys<'a> {
    pub(super) file: &'a GgufFile,
    pub(super) architecture: &'a str,
}

impl Keys<'_> {
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    pub(super) fn usize(&self, key: &str) -> Result<Option<usize>, ModelError> {
        Ok(self.file.get_usize(&self.full(key))?)
    }

    /// A number that must be there, not be zero and not be absurd.
    pub(super) fn need(&self, key: &str) -> Result<usize, ModelError> {
        match self.usize(key)? {
            None => Err(ModelError::MissingKey { key: self.full(key) }),
            Some(0) => Err(self.bad(key, 0, "it can't be zero")),
            Some(n) if n >= LIMIT => Err(self.bad(key, n, format!("it must be below {LIMIT}"))),
            Some(n) => Ok(n),
        }
    }

    /// A float that must be there, be finite and above zero.
    pub(super) fn need_f32(&self, key: &str) -> Result<f32, ModelError> {
        let found = self.file.get_f32(&self.full(key))?;
        let value = found.ok_or_else(|| ModelError::MissingKey { key: self.full(key) })?;
        if value.is_finite() && value > 0.0 {
            return Ok(value);
        }
        Err(self.bad(key, value, "it must be a number above zero"))
    }

    /// A list of truth values, or of whole numbers of which zero is false.
    pub(super) fn bools(&self, key: &str) -> Result<Option<Vec<bool>>, ModelError> {
        let full = self.full(key);
        match self.file.metadata().get(&full) {
            None => Ok(None),
            Some(Value::Array(Array::Bool(list))) => Ok(Some(list.clone())),
            Some(_) => {
                let list = self.file.metadata().get_integer_array::<i64>(&full)?;
                Ok(list.map(|list| list.iter().map(|&n| n != 0).collect()))
            }
        }
    }

    pub(super) fn bad(&self, key: &str, found: impl Display, reason: impl Into<String>) -> ModelError {
        ModelError::BadKey { key: self.full(key), found: found.to_string(), reason: reason.into() }
    }
}
