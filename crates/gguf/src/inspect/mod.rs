//! What is in a file, for people and programs: `mynah inspect FILE [--json]`.

mod json;
mod table;

use std::collections::BTreeMap;

use mynah_tensor::{DType, Shape};
use serde::Serialize;

use crate::{GgufFile, Value};

/// Everything the table of contents says. `Display` prints it as tables, `Serialize` gives the JSON form; both show only
/// the first [`SHOWN`] elements of longer arrays.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// GGUF version.
    pub version: u32,
    /// Size of the file.
    pub file_bytes: u64,
    /// What tensor offsets are multiples of.
    pub alignment: u64,
    /// `general.architecture`: the family of the model, in the file's words.
    pub architecture: Option<String>,
    /// `general.name`.
    pub name: Option<String>,
    /// Elements of all tensors together.
    pub elements: u64,
    /// Bytes of all tensors together, padding aside.
    pub tensor_bytes: u64,
    /// Sums per tensor type, the largest first.
    pub totals: Vec<TypeTotal>,
    /// Keys and values in file order.
    pub metadata: Vec<KeyLine>,
    /// Tensors in file order.
    pub tensors: Vec<TensorLine>,
}

/// How many elements of an array are shown.
pub const SHOWN: usize = 8;

/// The sums of one tensor type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TypeTotal {
    /// The type's name, or `type N` for an unknown number.
    #[serde(rename = "type")]
    pub dtype: String,
    /// How many tensors have it.
    pub tensors: usize,
    /// Their elements.
    pub elements: u64,
    /// Their bytes; 0 for an unknown type.
    pub bytes: u64,
}

/// One key.
#[derive(Debug, Clone, Serialize)]
pub struct KeyLine {
    /// The key.
    pub key: String,
    /// Its type, for an array that of the elements and their number: `string[1024]`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its value; arrays are cut after [`SHOWN`] elements.
    #[serde(serialize_with = "json::value")]
    pub value: Value,
}

/// One tensor.
#[derive(Debug, Clone, Serialize)]
pub struct TensorLine {
    /// The name.
    pub name: String,
    /// The type's name, or `type N` for an unknown number.
    #[serde(rename = "type")]
    pub dtype: String,
    /// Row-major dimensions.
    #[serde(serialize_with = "json::shape")]
    pub shape: Shape,
    /// Offset in the data section.
    pub offset: u64,
    /// Bytes; 0 for an unknown type.
    pub bytes: u64,
}

impl Inspection {
    /// Describes an open file.
    pub fn new(file: &GgufFile) -> Inspection {
        let tensors: Vec<TensorLine> = file
            .tensors()
            .iter()
            .map(|tensor| TensorLine {
                name: tensor.name.clone(),
                dtype: type_name(tensor.ggml_id),
                shape: tensor.shape,
                offset: tensor.offset,
                bytes: tensor.nbytes as u64,
            })
            .collect();
        let totals = totals(&tensors);
        // A label of another type than string is no label; the key list shows it as it is.
        let label = |key| file.get_str(key).ok().flatten().map(str::to_owned);
        Inspection {
            version: file.version(),
            file_bytes: file.file_bytes(),
            alignment: file.alignment(),
            architecture: label("general.architecture"),
            name: label("general.name"),
            elements: totals.iter().fold(0, |sum: u64, total| sum.saturating_add(total.elements)),
            tensor_bytes: totals.iter().map(|total| total.bytes).sum(),
            totals,
            metadata: file.metadata().iter().map(|(key, value)| KeyLine::new(key, value)).collect(),
            tensors,
        }
    }

    /// The JSON form, indented.
    ///
    /// # Errors
    /// None that this content can cause; the serializer's signature has them.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl KeyLine {
    fn new(key: &str, value: &Value) -> KeyLine {
        let kind = match value {
            Value::Array(array) => format!("{}[{}]", array.element_type(), array.len()),
            other => other.value_type().to_string(),
        };
        KeyLine { key: key.to_owned(), kind, value: value.shortened(SHOWN) }
    }
}

fn type_name(ggml_id: u32) -> String {
    DType::from_ggml_id(ggml_id).map_or_else(|| format!("type {ggml_id}"), |dtype| dtype.name().to_owned())
}

fn totals(tensors: &[TensorLine]) -> Vec<TypeTotal> {
    let mut by_type: BTreeMap<&str, TypeTotal> = BTreeMap::new();
    for tensor in tensors {
        let dtype = tensor.dtype.clone();
        let empty = TypeTotal { dtype, tensors: 0, elements: 0, bytes: 0 };
        let total = by_type.entry(&tensor.dtype).or_insert(empty);
        total.tensors += 1;
        // Tensors of unknown type are not bounded by the file, so their sizes may add up to anything.
        total.elements = total.elements.saturating_add(tensor.shape.numel() as u64);
        total.bytes += tensor.bytes;
    }
    let mut totals: Vec<TypeTotal> = by_type.into_values().collect();
    totals.sort_by_key(|total| std::cmp::Reverse(total.bytes));
    totals
}
