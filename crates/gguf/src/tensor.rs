//! What the file says about one tensor.

use mynah_tensor::{DType, Shape};

use crate::GgufError;

/// One line of the tensor table, checked: when the type is known, the data lies inside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Unique in the file.
    pub name: String,
    /// Row-major, the file's dimensions reversed.
    pub shape: Shape,
    /// The type number in the file.
    pub ggml_id: u32,
    /// Where the data starts, counted from the start of the data section.
    pub offset: u64,
    /// Bytes of the data; 0 when the type is unknown.
    pub nbytes: usize,
}

impl TensorInfo {
    /// How the elements are stored.
    ///
    /// # Errors
    /// [`GgufError::UnknownTensorType`]: such a tensor can be listed but not read.
    pub fn dtype(&self) -> Result<DType, GgufError> {
        DType::from_ggml_id(self.ggml_id)
            .ok_or_else(|| GgufError::UnknownTensorType { tensor: self.name.clone(), ggml_id: self.ggml_id })
    }
}
