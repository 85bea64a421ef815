//! Weights read element by element: gains, biases, statistics.

use super::{checked_row_bytes, decode};
use crate::memory::Buffer;
use mynah_device::{DeviceError, WeightBytes};

/// A weight decoded to floats, row-major.
#[derive(Debug)]
pub(crate) struct Elements {
    data: Buffer,
    len: usize,
}

impl Elements {
    /// Decodes a weight of any type.
    pub(crate) fn prepare(weight: &WeightBytes<'_>) -> Result<Self, DeviceError> {
        checked_row_bytes(weight)?;
        let len = weight.shape.numel();
        let mut data = Buffer::zeroed_f32(len, weight.name)?;
        decode(weight, weight.bytes, &mut data.as_f32_mut()[..len])?;
        Ok(Self { data, len })
    }

    /// The elements.
    pub(crate) fn as_f32(&self) -> &[f32] {
        &self.data.as_f32()[..self.len]
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.data.bytes()
    }
}
