//! Weights in the layouts the kernels want, prepared once and shared by all sessions of a model.

mod bf16;
mod conv;
mod elements;
mod levels;
mod line;
mod panels;
mod stack;
mod store;
mod table;

pub(crate) use conv::ConvKernel;
pub(crate) use elements::Elements;
pub(crate) use levels::{LevelPanels, Record};
pub(crate) use line::Line;
pub(crate) use mynah_tensor::LevelFormat;
pub(crate) use panels::{K_BLOCK, Panels};
pub(crate) use stack::Stack;
pub(crate) use store::Store;
pub(crate) use table::Table;

use mynah_device::{DeviceError, WeightBytes};

/// An error that names the weight.
fn bad(weight: &WeightBytes<'_>, reason: impl Into<String>) -> DeviceError {
    DeviceError::Weight { name: weight.name.to_owned(), reason: reason.into() }
}

/// Bytes of one row, after checking that the whole weight has the bytes its shape says.
fn checked_row_bytes(weight: &WeightBytes<'_>) -> Result<usize, DeviceError> {
    let (dtype, shape) = (weight.dtype, weight.shape);
    let row = dtype.row_bytes(shape.last()).ok_or_else(|| {
        bad(weight, format!("a row of {} elements is no whole number of {dtype} blocks", shape.last()))
    })?;
    let wanted = row.checked_mul(shape.rows());
    if wanted != Some(weight.bytes.len()) {
        let found = weight.bytes.len();
        return Err(bad(weight, format!("{shape} of {dtype} does not take {found} bytes")));
    }
    Ok(row)
}

/// Decodes whole rows; sizes were checked by [`checked_row_bytes`].
fn decode(weight: &WeightBytes<'_>, bytes: &[u8], out: &mut [f32]) -> Result<(), DeviceError> {
    mynah_tensor::decode_row(weight.dtype, bytes, out).map_err(|e| bad(weight, e.to_string()))
}
