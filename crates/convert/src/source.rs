//! Where a tensor's values come from when its turn to be written has come: a strided view of a mapped file, numbers
//! computed beforehand, or a random generator. Nothing here holds more than a chunk.

use mynah_tensor::{DType, Shape, TensorError, decode_row};

use crate::bytes::Bytes;

/// Something that yields the elements of one tensor in row-major order, any range at a time.
pub trait Source: Send + Sync {
    /// Writes elements `start..start + out.len()`, which lie within the tensor.
    ///
    /// # Errors
    /// [`TensorError`] when stored bytes cannot be decoded.
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError>;

    /// What to write as it is, for tensors whose elements are no numbers to encode: those of whole numbers.
    fn stored(&self) -> Option<&[u8]> {
        None
    }

    /// Called when the tensor has been read for the last time for now.
    fn release(&self) {}
}

/// A tensor of a checkpoint: what it is called, its dimensions (outermost first) and where its values are.
pub struct Tensor {
    /// Name of the state dict.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Shape,
    /// How the checkpoint stores it, for reports.
    pub stored: DType,
    /// Its values.
    pub source: Box<dyn Source>,
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.name, self.stored, self.shape)
    }
}

/// Values computed beforehand, for small tensors.
pub(crate) struct Values(pub(crate) Vec<f32>);

impl Source for Values {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let values = self.0.get(start..).unwrap_or_default();
        for (out, &value) in out.iter_mut().zip(values) {
            *out = value;
        }
        Ok(())
    }
}

/// Whole numbers as [`DType::I32`] has them, computed beforehand.
pub(crate) struct Integers(Vec<u8>);

impl Integers {
    pub(crate) fn new(values: impl IntoIterator<Item = i32>) -> Integers {
        Integers(values.into_iter().flat_map(i32::to_le_bytes).collect())
    }
}

impl Source for Integers {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let size = DType::I32.block_bytes();
        let from = start.saturating_mul(size);
        let bytes = self.0.get(from..from.saturating_add(out.len().saturating_mul(size))).unwrap_or_default();
        decode_row(DType::I32, bytes, out)
    }

    fn stored(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

/// Elements of a plain type somewhere in a file, with a stride per dimension.
pub(crate) struct Strided {
    bytes: Bytes,
    element: Element,
    shape: Shape,
    strides: Vec<usize>,
}

/// A plain element type, including the two that GGUF has no number for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Float(DType),
    U8,
}

impl Element {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Element::Float(dtype) => dtype.block_bytes(),
            Element::U8 => 1,
        }
    }

    /// The nearest type there is a name for.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Element::Float(dtype) => dtype,
            Element::U8 => DType::I8,
        }
    }
}

impl Strided {
    /// A view of `bytes`; strides count elements. `None` when an element of the view lies outside.
    pub(crate) fn new(bytes: Bytes, element: Element, shape: Shape, strides: Vec<usize>) -> Option<Strided> {
        if strides.len() != shape.rank() {
            return None;
        }
        let count = shape.checked_numel()?;
        if count > 0 {
            let reach = |last: usize, (&d, &s): (&usize, &usize)| last.checked_add((d - 1).checked_mul(s)?);
            let last = shape.dims().iter().zip(&strides).try_fold(0, reach)?;
            let end = last.checked_add(1)?.checked_mul(element.bytes())?;
            if end > bytes.len() {
                return None;
            }
        }
        Some(Strided { bytes, element, shape, strides })
    }

    /// A view without gaps.
    pub(crate) fn contiguous(bytes: Bytes, element: Element, shape: Shape) -> Option<Strided> {
        let strides = contiguous_strides(shape);
        Strided::new(bytes, element, shape, strides)
    }

    fn decode(&self, first: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let size = self.element.bytes();
        let bytes = self.bytes.get(first * size..(first + out.len()) * size).unwrap_or_default();
        match self.element {
            Element::Float(dtype) => decode_row(dtype, bytes, out),
            Element::U8 => {
                for (out, &byte) in out.iter_mut().zip(bytes) {
                    *out = byte.into();
                }
                Ok(())
            }
        }
    }

    /// Where element `index` of the view lies, in elements.
    fn position(&self, mut index: usize) -> usize {
        let mut position = 0;
        for (&dim, &stride) in self.shape.dims().iter().zip(&self.strides).rev() {
            position += index % dim.max(1) * stride;
            index /= dim.max(1);
        }
        position
    }
}

/// Strides of a tensor without gaps, in elements.
pub(crate) fn contiguous_strides(shape: Shape) -> Vec<usize> {
    let mut strides = vec![1usize; shape.rank()];
    for (i, &dim) in shape.dims().iter().enumerate().skip(1).rev() {
        strides[i - 1] = strides[i].saturating_mul(dim.max(1));
    }
    strides
}

impl Source for Strided {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        // Dimensions of one have strides that mean nothing.
        let same = |((&d, a), b): ((&usize, &usize), usize)| d == 1 || *a == b;
        let ideal = contiguous_strides(self.shape);
        if self.shape.dims().iter().zip(&self.strides).zip(ideal).all(same) {
            return self.decode(start, out);
        }
        for (i, out) in out.chunks_mut(1).enumerate() {
            self.decode(self.position(start + i), out)?;
        }
        Ok(())
    }

    fn release(&self) {
        self.bytes.release();
    }
}
