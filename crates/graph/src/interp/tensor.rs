//! The interpreter's tensors.

use crate::error::GraphError;
use mynah_tensor::{HostTensor, Shape};

/// A row-major tensor of f64; ids and lengths are whole numbers in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor64 {
    /// Row-major shape.
    pub shape: Shape,
    /// `shape.numel()` elements.
    pub data: Vec<f64>,
}

impl Tensor64 {
    /// A tensor of these elements.
    ///
    /// # Errors
    /// [`GraphError::Argument`] when their number differs from the shape's.
    pub fn new(shape: impl Into<Shape>, data: Vec<f64>) -> Result<Self, GraphError> {
        let tensor = Self { shape: shape.into(), data };
        tensor.expect_shape("tensor", "", tensor.shape)?;
        Ok(tensor)
    }

    /// The elements of a host tensor, decoded exactly.
    pub fn from_host(tensor: &HostTensor) -> Self {
        Self { shape: tensor.shape(), data: tensor.to_f32().into_iter().map(f64::from).collect() }
    }

    /// The elements rounded to f32.
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&v| v as f32).collect()
    }

    /// Rows along the last dimension; a tensor without elements has none.
    pub(super) fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.data.chunks_exact(self.shape.last().max(1))
    }

    /// Elements of one entry of the outermost dimension.
    pub(super) fn entry_len(&self) -> usize {
        self.shape.dims().iter().skip(1).product()
    }

    pub(super) fn expect_shape(
        &self,
        kind: &'static str,
        name: &str,
        wanted: Shape,
    ) -> Result<(), GraphError> {
        let reason = if self.shape != wanted {
            format!("has shape {:?}, {wanted:?} is needed", self.shape)
        } else if self.data.len() != wanted.numel() {
            format!("holds {} elements for shape {wanted:?}", self.data.len())
        } else {
            return Ok(());
        };
        Err(GraphError::Argument { kind, name: name.to_owned(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_must_fill_the_shape() {
        assert!(Tensor64::new([2, 2], vec![0.0; 4]).is_ok());
        let error = Tensor64::new([2, 2], vec![0.0; 3]).unwrap_err();
        assert_eq!(error.to_string(), "tensor '' holds 3 elements for shape [2, 2]");
    }

    #[test]
    fn host_tensors_convert() {
        let host = HostTensor::from_f32([2], &[0.1, -3.0]).unwrap();
        let tensor = Tensor64::from_host(&host);
        assert_eq!(tensor.data, [f64::from(0.1f32), -3.0]);
        assert_eq!(tensor.to_f32(), [0.1, -3.0]);
    }
}
