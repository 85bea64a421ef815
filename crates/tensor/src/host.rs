//! A tensor in host memory: what loaders hand over and what tests compare.

use crate::{DType, Shape, TensorError, decode_row, encode_row};

/// Elements of one type and shape in an owned byte buffer, rows one after another without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTensor {
    dtype: DType,
    shape: Shape,
    data: Vec<u8>,
}

impl HostTensor {
    /// Wraps bytes that already hold `shape` elements of `dtype`.
    ///
    /// # Errors
    /// [`TensorError::PartialBlock`] or [`TensorError::ByteLength`] when the bytes do not fit the shape.
    pub fn new(dtype: DType, shape: impl Into<Shape>, data: Vec<u8>) -> Result<HostTensor, TensorError> {
        let shape = shape.into();
        let expected = HostTensor::bytes_of(dtype, shape)?;
        if data.len() != expected {
            let elements = shape.numel();
            return Err(TensorError::ByteLength { dtype, elements, expected, found: data.len() });
        }
        Ok(HostTensor { dtype, shape, data })
    }

    /// A tensor whose bytes are all zero, which every format reads as zeros except `MXFP4` and the offset formats'
    /// negative zeros.
    ///
    /// # Errors
    /// [`TensorError::PartialBlock`] or [`TensorError::TooManyElements`] when the shape does not suit the type.
    pub fn zeros(dtype: DType, shape: impl Into<Shape>) -> Result<HostTensor, TensorError> {
        let shape = shape.into();
        let bytes = HostTensor::bytes_of(dtype, shape)?;
        Ok(HostTensor { dtype, shape, data: vec![0; bytes] })
    }

    /// Copies `F32` values in row-major order.
    ///
    /// # Errors
    /// [`TensorError::ElementCount`] when their number differs from the shape's.
    pub fn from_f32(shape: impl Into<Shape>, values: &[f32]) -> Result<HostTensor, TensorError> {
        HostTensor::from_plain(DType::F32, shape.into(), values)
    }

    /// Copies `I32` values in row-major order.
    ///
    /// # Errors
    /// [`TensorError::ElementCount`] when their number differs from the shape's.
    pub fn from_i32(shape: impl Into<Shape>, values: &[i32]) -> Result<HostTensor, TensorError> {
        HostTensor::from_plain(DType::I32, shape.into(), values)
    }

    fn from_plain<T: bytemuck::NoUninit>(
        dtype: DType,
        shape: Shape,
        values: &[T],
    ) -> Result<HostTensor, TensorError> {
        if values.len() != shape.numel() {
            let expected = shape.numel();
            return Err(TensorError::ElementCount { shape, expected, found: values.len() });
        }
        Ok(HostTensor { dtype, shape, data: bytemuck::cast_slice(values).to_vec() })
    }

    /// Bytes that `shape` elements of `dtype` take.
    ///
    /// # Errors
    /// [`TensorError::PartialBlock`] when rows are no whole number of blocks, [`TensorError::TooManyElements`] on
    /// overflow.
    pub fn bytes_of(dtype: DType, shape: Shape) -> Result<usize, TensorError> {
        let too_many = || TensorError::TooManyElements { dims: shape.dims().to_vec() };
        let len = shape.last();
        if !len.is_multiple_of(dtype.block_len()) {
            return Err(TensorError::PartialBlock { dtype, len });
        }
        shape.checked_numel().and_then(|n| dtype.row_bytes(n)).ok_or_else(too_many)
    }

    /// How the elements are stored.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dimensions, outermost first.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The raw bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The raw bytes, given away.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// All elements as `f32`, decoded or converted from whatever they are; integers beyond 2^24 are rounded.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.shape.numel()];
        // Blocks never straddle rows, so the whole tensor decodes like one long row; the constructor checked the sizes.
        let decoded = decode_row(self.dtype, &self.data, &mut out);
        debug_assert_eq!(decoded, Ok(()));
        out
    }

    /// The elements without a copy, when they are `F32` and the buffer happens to be aligned for it.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if self.dtype != DType::F32 {
            return None;
        }
        bytemuck::try_cast_slice(&self.data).ok()
    }

    /// The same elements in another format.
    ///
    /// # Errors
    /// Those of [`encode_row`], and [`TensorError::PartialBlock`] when rows do not divide into blocks.
    pub fn to_dtype(&self, dtype: DType) -> Result<HostTensor, TensorError> {
        let mut data = vec![0; HostTensor::bytes_of(dtype, self.shape)?];
        encode_row(dtype, &self.to_f32(), &mut data)?;
        Ok(HostTensor { dtype, shape: self.shape, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive() {
        let tensor = HostTensor::from_f32([2, 2], &[1.0, -2.5, 3.0, 0.0]).unwrap();
        assert_eq!(tensor.to_f32(), [1.0, -2.5, 3.0, 0.0]);
        assert_eq!(tensor.to_dtype(DType::BF16).unwrap().to_f32(), tensor.to_f32());
        let ids = HostTensor::from_i32([3], &[-1, 0, 70000]).unwrap();
        assert_eq!(ids.to_f32(), [-1.0, 0.0, 70000.0]);
        assert!(ids.as_f32().is_none());
        if let Some(values) = tensor.as_f32() {
            assert_eq!(values, tensor.to_f32());
        }
    }

    #[test]
    fn sizes_are_checked() {
        let error = HostTensor::from_f32([3], &[0.0]).unwrap_err();
        assert_eq!(error, TensorError::ElementCount { shape: [3].into(), expected: 3, found: 1 });
        let error = HostTensor::zeros(DType::Q8_0, [64, 2]).unwrap_err();
        assert_eq!(error, TensorError::PartialBlock { dtype: DType::Q8_0, len: 2 });
        let error = HostTensor::new(DType::Q8_0, [1, 32], vec![0; 33]).unwrap_err();
        assert!(matches!(error, TensorError::ByteLength { expected: 34, found: 33, .. }));
        assert!(HostTensor::zeros(DType::F32, [usize::MAX, 4]).is_err());
    }
}
