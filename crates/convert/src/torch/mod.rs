//! A torch checkpoint (`model_weights.ckpt`, `s3gen.pt`): a zip archive of one pickle, which describes the tensors, and one
//! member of raw bytes per storage. Tensors stay in the mapped file; a [`Strided`] view of it is all that is made.

mod opcodes;
mod pickle;
mod zip;

use std::collections::HashMap;
use std::ops::Range;

use mynah_tensor::{DType, Shape};

pub use pickle::PickleError;
pub use zip::ZipError;

use crate::bytes::Bytes;
use crate::source::{Element, Strided, Tensor};
use pickle::{Global, Id, Pickle, StorageType, Value};

/// What is wrong with a torch checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TorchError {
    /// The archive is broken.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// The pickle is broken or asks for code.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// A checkpoint written before torch 1.6.
    #[error("checkpoint is in torch's old format, before 1.6; load and save it again with a newer torch")]
    Legacy,
    /// The archive lacks a member.
    #[error("checkpoint has no {name:?}")]
    Missing {
        /// The member.
        name: String,
    },
    /// Bytes in the other order.
    #[error("checkpoint was written on a big-endian machine")]
    BigEndian,
    /// The pickle is of something else.
    #[error("checkpoint is no state dict: {what}")]
    NoStateDict {
        /// What it is instead.
        what: &'static str,
    },
    /// A tensor that does not fit its storage or its own numbers.
    #[error("tensor {name:?} is malformed: {what}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What does not fit.
        what: String,
    },
}

impl StorageType {
    fn element(self) -> Element {
        match self {
            StorageType::F64 => Element::Float(DType::F64),
            StorageType::F32 => Element::Float(DType::F32),
            StorageType::F16 => Element::Float(DType::F16),
            StorageType::BF16 => Element::Float(DType::BF16),
            StorageType::I64 => Element::Float(DType::I64),
            StorageType::I32 => Element::Float(DType::I32),
            StorageType::I16 => Element::Float(DType::I16),
            StorageType::I8 => Element::Float(DType::I8),
            StorageType::U8 | StorageType::Bool => Element::U8,
        }
    }
}

/// Reads the tensors of a checkpoint in the order of its state dict.
///
/// # Errors
/// [`TorchError`]; hostile input gives an error too.
pub(crate) fn read(checkpoint: &Bytes) -> Result<Vec<Tensor>, TorchError> {
    open(checkpoint, |reader, root| {
        let items = reader.state_dict(root)?;
        items.iter().filter_map(|&(key, value)| reader.entry("", key, value)).collect()
    })
}

/// Reads the tensors of a dict and of the dicts in it, which [`read`] passes over: those get names of both keys with a
/// dot between them.
///
/// # Errors
/// [`TorchError`].
pub(crate) fn read_nested(checkpoint: &Bytes) -> Result<Vec<Tensor>, TorchError> {
    open(checkpoint, |reader, root| {
        let mut tensors = Vec::new();
        for &(key, value) in reader.dict(root)? {
            if let (Some(outer), Value::Dict(items)) = (reader.text(key), reader.pickle.get(value)) {
                tensors.extend(items.iter().filter_map(|&(key, value)| reader.entry(outer, key, value)));
            } else {
                tensors.extend(reader.entry("", key, value));
            }
        }
        tensors.into_iter().collect()
    })
}

/// Opens the archive and its pickle for `take`.
fn open(
    checkpoint: &Bytes,
    take: impl FnOnce(&Reader<'_>, Id) -> Result<Vec<Tensor>, TorchError>,
) -> Result<Vec<Tensor>, TorchError> {
    if !zip::is_zip(checkpoint) {
        // Old checkpoints start with a pickle of a magic number.
        let old = checkpoint.first() == Some(&0x80);
        return Err(if old { TorchError::Legacy } else { ZipError::NoDirectory.into() });
    }
    let members = zip::entries(checkpoint)?;
    let pickles: Vec<&String> = members.keys().filter(|name| name.ends_with("/data.pkl")).collect();
    let missing = |name: &str| TorchError::Missing { name: name.to_owned() };
    let [pickle_name] = pickles[..] else { return Err(missing("data.pkl")) };
    let folder = pickle_name.strip_suffix("data.pkl").unwrap_or_default();
    if let Some(range) = members.get(&format!("{folder}byteorder"))
        && checkpoint.get(range.clone()).is_some_and(|order| order.starts_with(b"big"))
    {
        return Err(TorchError::BigEndian);
    }
    let pickle = members.get(pickle_name).and_then(|range| checkpoint.get(range.clone()));
    let pickle = Pickle::read(pickle.ok_or_else(|| missing("data.pkl"))?)?;
    let reader = Reader { pickle: &pickle, checkpoint, members: &members, folder };
    take(&reader, pickle.root)
}

struct Reader<'a> {
    pickle: &'a Pickle,
    checkpoint: &'a Bytes,
    members: &'a HashMap<String, Range<usize>>,
    folder: &'a str,
}

impl Reader<'_> {
    fn dict(&self, id: Id) -> Result<&[(Id, Id)], TorchError> {
        match self.pickle.get(id) {
            Value::Dict(items) => Ok(items),
            _ => Err(TorchError::NoStateDict { what: "the pickle holds no dict" }),
        }
    }

    /// The dict of tensors: the root, or the entry `state_dict` of a Lightning checkpoint.
    fn state_dict(&self, root: Id) -> Result<&[(Id, Id)], TorchError> {
        let items = self.dict(root)?;
        let is_nested = |&&(key, _): &&(Id, Id)| self.text(key) == Some("state_dict");
        if let Some(&(_, inner)) = items.iter().find(is_nested)
            && let Value::Dict(items) = self.pickle.get(inner)
        {
            return Ok(items);
        }
        Ok(items)
    }

    /// A tensor of a dict that is called `outer`, if it has a name; what is no tensor is passed over.
    fn entry(&self, outer: &str, key: Id, value: Id) -> Option<Result<Tensor, TorchError>> {
        let name = self.text(key)?;
        let name = if outer.is_empty() { name.to_owned() } else { format!("{outer}.{name}") };
        let name = name.as_str();
        let Value::Tensor(arguments) = self.pickle.get(value) else { return None };
        let malformed = |what| TorchError::Tensor { name: name.to_owned(), what };
        Some(self.tensor(name, *arguments).map_err(malformed))
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`.
    fn tensor(&self, name: &str, arguments: Id) -> Result<Tensor, String> {
        let [storage, offset, size, stride, ..] = self.items(arguments)? else {
            return Err("too few arguments".to_owned());
        };
        let (bytes, element) = self.storage(*storage)?;
        let (size, stride) = (self.counts(*size)?, self.counts(*stride)?);
        let shape = Shape::new(&size).map_err(|error| error.to_string())?;
        let offset = self.count(*offset)?.checked_mul(element.bytes()).ok_or("offset overflows")?;
        let held = bytes.len() / element.bytes();
        if shape.numel() > held {
            // A view expanded with strides of zero could claim any size from four bytes.
            return Err(format!("{} elements {shape} of a storage of {held}", shape.numel()));
        }
        let tail = bytes.slice(offset.min(bytes.len())..bytes.len()).ok_or("offset beyond the storage")?;
        let outside =
            || format!("shape {shape} with strides {stride:?} reaches beyond its storage of {held}");
        let source = Strided::new(tail, element, shape, stride.clone()).ok_or_else(outside)?;
        Ok(Tensor { name: name.to_owned(), shape, stored: element.dtype(), source: Box::new(source) })
    }

    /// The persistent id `("storage", type, key, location, numel)`.
    fn storage(&self, id: Id) -> Result<(Bytes, Element), String> {
        let Value::Persistent(id) = self.pickle.get(id) else { return Err("no storage".to_owned()) };
        let [kind, storage, key, _, count, ..] = self.items(*id)? else {
            return Err("storage with too few fields".to_owned());
        };
        let Value::Global(Global::Storage(storage)) = self.pickle.get(*storage) else {
            return Err("storage of no known type".to_owned());
        };
        if self.text(*kind) != Some("storage") {
            return Err("persistent id that is no storage".to_owned());
        }
        let element = storage.element();
        let key = self.text(*key).ok_or("storage without a key")?;
        let member = format!("{}data/{key}", self.folder);
        let range = self.members.get(&member).ok_or_else(|| format!("no member {member}"))?;
        let bytes = self.checkpoint.slice(range.clone()).ok_or("storage outside the file")?;
        let wanted = self.count(*count)?.checked_mul(element.bytes()).ok_or("storage size overflows")?;
        let held = bytes.len();
        let bytes =
            bytes.slice(0..wanted).ok_or_else(|| format!("storage {key}: {held} of {wanted} bytes"))?;
        Ok((bytes, element))
    }

    fn text(&self, id: Id) -> Option<&str> {
        match self.pickle.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn items(&self, id: Id) -> Result<&[Id], String> {
        match self.pickle.get(id) {
            Value::Tuple(items) | Value::List(items) => Ok(items),
            _ => Err("a field that is no tuple".to_owned()),
        }
    }

    fn count(&self, id: Id) -> Result<usize, String> {
        match self.pickle.get(id) {
            Value::Int(n) => usize::try_from(*n).map_err(|_| format!("negative number {n}")),
            _ => Err("a field that is no number".to_owned()),
        }
    }

    fn counts(&self, id: Id) -> Result<Vec<usize>, String> {
        self.items(id)?.iter().map(|&id| self.count(id)).collect()
    }
}
