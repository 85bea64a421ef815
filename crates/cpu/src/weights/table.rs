//! Tables read by row, kept as they are in the file: a row is decoded when it is asked for.

use super::{bad, checked_row_bytes};
use crate::memory::Buffer;
use mynah_device::{DeviceError, WeightBytes};
use mynah_tensor::{DType, TensorError, decode_row};

/// `[rows, width]` in the file's type.
#[derive(Debug)]
pub(crate) struct Table {
    data: Buffer,
    dtype: DType,
    rows: usize,
    row_bytes: usize,
}

impl Table {
    /// Copies a table.
    pub(crate) fn prepare(weight: &WeightBytes<'_>) -> Result<Self, DeviceError> {
        let row_bytes = checked_row_bytes(weight)?;
        if weight.shape.rank() != 2 {
            return Err(bad(weight, format!("a table is [rows, width], not {}", weight.shape)));
        }
        let mut data = Buffer::zeroed(weight.bytes.len(), weight.name)?;
        data.as_bytes_mut()[..weight.bytes.len()].copy_from_slice(weight.bytes);
        Ok(Self { data, dtype: weight.dtype, rows: weight.shape.rows(), row_bytes })
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Decodes row `index`, which must be below [`Table::rows`].
    pub(crate) fn row(&self, index: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let bytes = &self.data.as_bytes()[index * self.row_bytes..(index + 1) * self.row_bytes];
        decode_row(self.dtype, bytes, out)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.data.bytes()
    }
}
