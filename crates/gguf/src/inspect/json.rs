//! The JSON form of metadata values and shapes.

use mynah_tensor::Shape;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::Value;

/// A metadata value as the JSON value of the same meaning.
pub(super) fn value<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    json(value).serialize(serializer)
}

/// A shape as a list of dimensions.
pub(super) fn shape<S: Serializer>(shape: &Shape, serializer: S) -> Result<S::Ok, S::Error> {
    shape.dims().serialize(serializer)
}

fn json(value: &Value) -> Json {
    match value {
        Value::U8(v) => (*v).into(),
        Value::I8(v) => (*v).into(),
        Value::U16(v) => (*v).into(),
        Value::I16(v) => (*v).into(),
        Value::U32(v) => (*v).into(),
        Value::I32(v) => (*v).into(),
        Value::U64(v) => (*v).into(),
        Value::I64(v) => (*v).into(),
        // Through the shortest decimal form: 0.97 in single precision is not 0.9700000286102295 to a reader.
        Value::F32(v) => float(v.to_string(), v.is_finite()),
        Value::F64(v) => float(v.to_string(), v.is_finite()),
        Value::Bool(v) => (*v).into(),
        Value::String(v) => v.as_str().into(),
        Value::Array(array) => (0..array.len()).filter_map(|i| array.get(i)).map(|v| json(&v)).collect(),
    }
}

/// JSON has no infinities and no NaN, so these become strings.
fn float(text: String, finite: bool) -> Json {
    match text.parse::<f64>() {
        Ok(number) if finite => number.into(),
        _ => text.into(),
    }
}
