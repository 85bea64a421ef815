//! An open GGUF file: metadata and tensors by name.

use std::path::Path;

use mynah_tensor::{HostTensor, Shape};

use crate::parse::{Contents, parse};
use crate::{Bytes, GgufError, Metadata, TensorInfo};

/// A GGUF file whose table of contents has been checked. The tensor data stays where it is, usually in a mapping that
/// the system pages in on demand. Cloning is cheap as to data, but copies the tables.
#[derive(Debug, Clone)]
pub struct GgufFile {
    bytes: Bytes,
    contents: Contents,
}

impl GgufFile {
    /// Maps and checks a file.
    ///
    /// # Errors
    /// [`GgufError::Io`] with the path, or what is wrong with the content.
    pub fn open(path: impl AsRef<Path>) -> Result<GgufFile, GgufError> {
        let path = path.as_ref();
        let bytes = Bytes::map(path).map_err(|source| GgufError::Io { path: path.to_owned(), source })?;
        GgufFile::from_bytes(bytes)
    }

    /// Checks a file that is in memory already: `Vec<u8>`, `Arc<[u8]>` or `&'static [u8]`.
    ///
    /// # Errors
    /// What is wrong with the content.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<GgufFile, GgufError> {
        let bytes = bytes.into();
        let contents = parse(bytes.as_slice())?;
        Ok(GgufFile { bytes, contents })
    }

    /// 2 or 3.
    pub fn version(&self) -> u32 {
        self.contents.version
    }

    /// What tensor offsets are multiples of.
    pub fn alignment(&self) -> u64 {
        self.contents.alignment
    }

    /// Size of the whole file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.bytes.as_slice().len() as u64
    }

    /// All keys and values, in file order.
    pub fn metadata(&self) -> &Metadata {
        &self.contents.metadata
    }

    /// All tensors, in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.contents.tensors
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let tensors = &self.contents.tensors;
        self.contents.tensor_index.find(name, |i| tensors[i].name.as_str()).map(|i| &tensors[i])
    }

    /// The tensor of this name and row-major shape.
    ///
    /// # Errors
    /// [`GgufError::MissingTensor`], [`GgufError::WrongShape`].
    pub fn require(&self, name: &str, shape: impl Into<Shape>) -> Result<&TensorInfo, GgufError> {
        let tensor = self.tensor(name).ok_or_else(|| GgufError::MissingTensor { tensor: name.to_owned() })?;
        let (wanted, found) = (shape.into(), tensor.shape);
        if wanted != found {
            return Err(GgufError::WrongShape { tensor: name.to_owned(), wanted, found });
        }
        Ok(tensor)
    }

    /// The stored bytes of a tensor, rows one after another without padding.
    ///
    /// # Errors
    /// [`GgufError::UnknownTensorType`], and [`GgufError::OutOfRange`] for a description that is not from this file.
    pub fn data(&self, tensor: &TensorInfo) -> Result<&[u8], GgufError> {
        tensor.dtype()?;
        self.range(tensor).and_then(|(start, end)| self.bytes.as_slice().get(start..end)).ok_or_else(|| {
            GgufError::OutOfRange {
                tensor: tensor.name.clone(),
                offset: tensor.offset,
                nbytes: tensor.nbytes as u64,
                available: self.file_bytes().saturating_sub(self.contents.data_start),
            }
        })
    }

    /// A copy of a tensor with its type and shape.
    ///
    /// # Errors
    /// Those of [`GgufFile::data`].
    pub fn host_tensor(&self, tensor: &TensorInfo) -> Result<HostTensor, GgufError> {
        let (dtype, data) = (tensor.dtype()?, self.data(tensor)?);
        HostTensor::new(dtype, tensor.shape, data.to_vec()).map_err(|_| GgufError::DataLength {
            tensor: tensor.name.clone(),
            expected: tensor.nbytes as u64,
            found: data.len() as u64,
        })
    }

    /// Lets the system drop the pages that hold this tensor from the process, for weights that a device has repacked.
    /// Their content comes back from the file when read again, so this is never wrong, only slow when overdone. Pages at
    /// the ends that other tensors share are dropped too. Does nothing for files in memory, or off Unix.
    pub fn release_pages(&self, tensor: &TensorInfo) {
        if let Some((start, end)) = self.range(tensor) {
            self.bytes.release(start, end - start);
        }
    }

    /// Where in the file a tensor's bytes are.
    fn range(&self, tensor: &TensorInfo) -> Option<(usize, usize)> {
        let start = usize::try_from(self.contents.data_start.checked_add(tensor.offset)?).ok()?;
        Some((start, start.checked_add(tensor.nbytes)?))
    }
}

/// Keys by type; see [`Metadata`] for the rules. `None` when the key is not there.
#[allow(missing_docs, clippy::missing_errors_doc)]
impl GgufFile {
    pub fn get_u32(&self, key: &str) -> Result<Option<u32>, GgufError> {
        self.metadata().get_integer(key)
    }

    pub fn get_i32(&self, key: &str) -> Result<Option<i32>, GgufError> {
        self.metadata().get_integer(key)
    }

    pub fn get_u64(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.metadata().get_integer(key)
    }

    pub fn get_usize(&self, key: &str) -> Result<Option<usize>, GgufError> {
        self.metadata().get_integer(key)
    }

    pub fn get_f32(&self, key: &str) -> Result<Option<f32>, GgufError> {
        self.metadata().get_f32(key)
    }

    pub fn get_bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.metadata().get_bool(key)
    }

    pub fn get_str(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.metadata().get_str(key)
    }

    pub fn get_str_array(&self, key: &str) -> Result<Option<&[String]>, GgufError> {
        self.metadata().get_str_array(key)
    }

    pub fn get_i32_array(&self, key: &str) -> Result<Option<Vec<i32>>, GgufError> {
        self.metadata().get_integer_array(key)
    }

    pub fn get_u32_array(&self, key: &str) -> Result<Option<Vec<u32>>, GgufError> {
        self.metadata().get_integer_array(key)
    }

    pub fn get_f32_array(&self, key: &str) -> Result<Option<Vec<f32>>, GgufError> {
        self.metadata().get_f32_array(key)
    }
}
