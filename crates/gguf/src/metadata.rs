//! The key-value part of a file, in its order, with getters that say what is wrong.

use crate::index::NameIndex;
use crate::{Array, GgufError, Value};

/// Metadata of a file: an ordered map from keys to values.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    index: NameIndex,
}

impl Metadata {
    /// Indexes entries in file order.
    ///
    /// # Errors
    /// [`GgufError::DuplicateKey`].
    pub(crate) fn new(entries: Vec<(String, Value)>) -> Result<Metadata, GgufError> {
        match NameIndex::new(entries.len(), |i| entries[i].0.as_str()) {
            Ok(index) => Ok(Metadata { entries, index }),
            Err(i) => Err(GgufError::DuplicateKey { key: entries[i].0.clone() }),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.index.find(key, |i| self.entries[i].0.as_str()).map(|i| &self.entries[i].1)
    }

    /// Keys and values in file order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A whole number of any width that fits `T`.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] for anything but an integer, [`GgufError::ValueOutOfRange`] when it does not fit.
    pub fn get_integer<T: Integer>(&self, key: &str) -> Result<Option<T>, GgufError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let wide = value.as_integer().ok_or_else(|| wrong(key, "an integer", value))?;
        narrow(key, wide).map(Some)
    }

    /// A float, rounded to single precision.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] for anything but a float.
    pub fn get_f32(&self, key: &str) -> Result<Option<f32>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(&Value::F32(value)) => Ok(Some(value)),
            Some(&Value::F64(value)) => Ok(Some(value as f32)),
            Some(other) => Err(wrong(key, "a float", other)),
        }
    }

    /// A truth value.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] for anything else.
    pub fn get_bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(&Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong(key, "a bool", other)),
        }
    }

    /// A string.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] for anything else.
    pub fn get_str(&self, key: &str) -> Result<Option<&str>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(other) => Err(wrong(key, "a string", other)),
        }
    }

    /// An array of strings; an empty array of any type will do.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] for anything else.
    pub fn get_str_array(&self, key: &str) -> Result<Option<&[String]>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(Array::String(values))) => Ok(Some(values)),
            Some(Value::Array(array)) if array.is_empty() => Ok(Some(&[])),
            Some(other) => Err(wrong(key, "an array of strings", other)),
        }
    }

    /// An array of whole numbers of any width that fit `T`; an empty array of any type will do.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] for anything else, [`GgufError::ValueOutOfRange`] when one does not fit.
    pub fn get_integer_array<T: Integer>(&self, key: &str) -> Result<Option<Vec<T>>, GgufError> {
        fn all<T: Integer, S: Copy + Into<i128>>(
            key: &str,
            values: &[S],
        ) -> Result<Option<Vec<T>>, GgufError> {
            values.iter().map(|&v| narrow(key, v.into())).collect::<Result<_, _>>().map(Some)
        }
        let Some(value) = self.get(key) else { return Ok(None) };
        match value {
            Value::Array(Array::U8(values)) => all(key, values),
            Value::Array(Array::I8(values)) => all(key, values),
            Value::Array(Array::U16(values)) => all(key, values),
            Value::Array(Array::I16(values)) => all(key, values),
            Value::Array(Array::U32(values)) => all(key, values),
            Value::Array(Array::I32(values)) => all(key, values),
            Value::Array(Array::U64(values)) => all(key, values),
            Value::Array(Array::I64(values)) => all(key, values),
            Value::Array(array) if array.is_empty() => Ok(Some(Vec::new())),
            other => Err(wrong(key, "an array of integers", other)),
        }
    }

    /// An array of floats, rounded to single precision; an empty array of any type will do.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] for anything else.
    pub fn get_f32_array(&self, key: &str) -> Result<Option<Vec<f32>>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(Array::F32(values))) => Ok(Some(values.clone())),
            Some(Value::Array(Array::F64(values))) => Ok(Some(values.iter().map(|&v| v as f32).collect())),
            Some(Value::Array(array)) if array.is_empty() => Ok(Some(Vec::new())),
            Some(other) => Err(wrong(key, "an array of floats", other)),
        }
    }
}

/// The integer types a key can be asked for.
pub trait Integer: TryFrom<i128> {
    /// What the error calls it.
    const NAME: &'static str;
}

macro_rules! integers {
    ($($type:ident),*) => {$(
        impl Integer for $type {
            const NAME: &'static str = stringify!($type);
        }
    )*};
}

integers!(u8, i8, u16, i16, u32, i32, u64, i64, usize);

fn narrow<T: Integer>(key: &str, value: i128) -> Result<T, GgufError> {
    T::try_from(value).map_err(|_| GgufError::ValueOutOfRange { key: key.to_owned(), wanted: T::NAME, value })
}

fn wrong(key: &str, wanted: &'static str, found: &Value) -> GgufError {
    GgufError::WrongType { key: key.to_owned(), wanted, found: found.value_type() }
}
