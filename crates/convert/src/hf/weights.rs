//! The safetensors of a folder: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use mynah_tensor::{DType, Shape};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::HfError;
use crate::bytes::Bytes;
use crate::source::{Element, Strided, Tensor};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// What is wrong with the weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// No weights in a format that is read.
    #[error("folder has neither {SINGLE} nor {INDEX}")]
    None,
    /// A file cannot be opened.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no safetensors file.
    #[error("{file}: {what}")]
    Format {
        /// The file.
        file: String,
        /// What the parser said.
        what: String,
    },
    /// The index names a file outside the folder, or nothing.
    #[error("{INDEX} lists {file:?}, which is no file name")]
    ShardName {
        /// What it lists.
        file: String,
    },
    /// A tensor type without meaning here.
    #[error("{file}: tensor {name:?} is stored as {dtype}, which is not read")]
    Type {
        /// The file.
        file: String,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
    /// A tensor with more dimensions than there are.
    #[error("{file}: tensor {name:?}: {what}")]
    Shape {
        /// The file.
        file: String,
        /// The tensor.
        name: String,
        /// What is wrong.
        what: String,
    },
}

/// Lists all tensors of a folder, unread.
pub(super) fn read(folder: &Path) -> Result<Vec<Tensor>, HfError> {
    if folder.join(SINGLE).exists() {
        return Ok(read_file(folder, SINGLE)?);
    }
    let Some(index) = super::json(folder, INDEX)? else { return Err(WeightsError::None.into()) };
    let mut files = BTreeSet::new();
    for (_, file) in index.section("weight_map")?.unwrap_or_default() {
        let file = file.text().unwrap_or_default();
        // A shard lies in the folder itself; anything else would read files of the index's choice.
        if file.is_empty() || Path::new(file).file_name() != Some(file.as_ref()) {
            return Err(WeightsError::ShardName { file: file.to_owned() }.into());
        }
        files.insert(file.to_owned());
    }
    let mut tensors = Vec::new();
    for file in files {
        tensors.extend(read_file(folder, &file)?);
    }
    Ok(tensors)
}

/// Lists the tensors of one file of a folder.
pub(crate) fn read_file(folder: &Path, file: &str) -> Result<Vec<Tensor>, WeightsError> {
    let path = folder.join(file);
    let bytes = Bytes::open(&path).map_err(|source| WeightsError::Io { path, source })?;
    let broken = |what: String| WeightsError::Format { file: file.to_owned(), what };
    let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| broken(error.to_string()))?;
    let start = header.saturating_add(size_of::<u64>());
    let mut tensors = Vec::new();
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let Some(element) = element(info.dtype) else {
            let dtype = format!("{:?}", info.dtype);
            return Err(WeightsError::Type { file: file.to_owned(), name, dtype });
        };
        let malformed =
            |what: String| WeightsError::Shape { file: file.to_owned(), name: name.clone(), what };
        let shape = Shape::new(&info.shape).map_err(|error| malformed(error.to_string()))?;
        let range = start.saturating_add(info.data_offsets.0)..start.saturating_add(info.data_offsets.1);
        let source = bytes.slice(range).and_then(|bytes| Strided::contiguous(bytes, element, shape));
        let source = Box::new(source.ok_or_else(|| malformed("data outside the file".to_owned()))?);
        tensors.push(Tensor { name: name.clone(), shape, stored: element.dtype(), source });
    }
    Ok(tensors)
}

fn element(dtype: Dtype) -> Option<Element> {
    let plain = |dtype| Some(Element::Float(dtype));
    match dtype {
        Dtype::F64 => plain(DType::F64),
        Dtype::F32 => plain(DType::F32),
        Dtype::F16 => plain(DType::F16),
        Dtype::BF16 => plain(DType::BF16),
        Dtype::I64 => plain(DType::I64),
        Dtype::I32 => plain(DType::I32),
        Dtype::I16 => plain(DType::I16),
        Dtype::I8 => plain(DType::I8),
        Dtype::U8 | Dtype::BOOL => Some(Element::U8),
        _ => None,
    }
}
