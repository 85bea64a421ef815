//! Files assembled field by field, so that any field can lie.
#![allow(clippy::unwrap_used)]

use mynah_gguf::{GgufError, GgufFile};

/// Bytes of a file under construction.
#[derive(Clone)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Raw {
    /// The header: version 3 and the counts.
    pub(crate) fn new(tensors: u64, keys: u64) -> Raw {
        Raw(b"GGUF".to_vec()).u32(3).u64(tensors).u64(keys)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Raw {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn u32(self, value: u32) -> Raw {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Raw {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn string(self, text: impl AsRef<[u8]>) -> Raw {
        let text = text.as_ref();
        self.u64(text.len() as u64).bytes(text)
    }

    /// A tensor description with dimensions in the file's order.
    pub(crate) fn tensor(self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Raw {
        let raw = self.string(name).u32(dims.len() as u32);
        dims.iter().fold(raw, |raw, &dim| raw.u64(dim)).u32(kind).u64(offset)
    }

    /// Padding to a multiple of 32, then that many bytes of data.
    pub(crate) fn data(mut self, n: usize) -> Raw {
        let start = self.0.len().next_multiple_of(32);
        self.0.resize(start + n, 7);
        self
    }

    pub(crate) fn open(&self) -> Result<GgufFile, GgufError> {
        GgufFile::from_bytes(self.0.clone())
    }

    /// The error that this file must give.
    pub(crate) fn error(&self) -> GgufError {
        self.open().map(|_| ()).unwrap_err()
    }
}
