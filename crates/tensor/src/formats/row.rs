//! Rows of any type: the dynamic entry points over the formats.

use bytemuck::{cast_slice, cast_slice_mut};

use super::{BlockEncode, BlockFormat, bf16, f16, plain};
use super::{iq2_xxs, iq4_nl, mxfp4, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0};
use crate::{DType, TensorError};

/// The largest magnitude that every quantised format can scale: eight times the largest half-precision number, because
/// `Q4_0` spends three of its four bits on magnitude.
const LARGEST: f32 = 8.0 * 65504.0;

/// Decodes a row of `out.len()` elements. Several whole rows in a row are fine too.
///
/// # Errors
/// [`TensorError::PartialBlock`] or [`TensorError::ByteLength`] when the sizes do not belong together.
pub fn decode_row(dtype: DType, bytes: &[u8], out: &mut [f32]) -> Result<(), TensorError> {
    check_sizes(dtype, out.len(), bytes.len())?;
    if plain::decode(dtype, bytes, out) {
        return Ok(());
    }
    match dtype {
        DType::F16 => f16::decode(bytes, out),
        DType::BF16 => bf16::decode(bytes, out),
        DType::Q4_0 => decode_blocks::<q4_0::Block>(bytes, out),
        DType::Q4_1 => decode_blocks::<q4_1::Block>(bytes, out),
        DType::Q5_0 => decode_blocks::<q5_0::Block>(bytes, out),
        DType::Q5_1 => decode_blocks::<q5_1::Block>(bytes, out),
        DType::Q8_0 => decode_blocks::<q8_0::Block>(bytes, out),
        DType::Q2K => decode_blocks::<q2_k::Block>(bytes, out),
        DType::Q3K => decode_blocks::<q3_k::Block>(bytes, out),
        DType::Q4K => decode_blocks::<q4_k::Block>(bytes, out),
        DType::Q5K => decode_blocks::<q5_k::Block>(bytes, out),
        DType::Q6K => decode_blocks::<q6_k::Block>(bytes, out),
        DType::Iq2Xxs => decode_blocks::<iq2_xxs::Block>(bytes, out),
        DType::Iq4Nl => decode_blocks::<iq4_nl::Block>(bytes, out),
        DType::Mxfp4 => decode_blocks::<mxfp4::Block>(bytes, out),
        DType::F32 | DType::F64 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => {}
    }
    Ok(())
}

/// Encodes a row, or several whole rows.
///
/// # Errors
/// [`TensorError::NoEncoder`] for formats that are only read ([`DType::can_encode`]), [`TensorError::PartialBlock`] and
/// [`TensorError::ByteLength`] when the sizes do not belong together, and for quantised formats
/// [`TensorError::Unrepresentable`] for a value that is not finite or beyond ±524 032, whose scale would overflow.
pub fn encode_row(dtype: DType, src: &[f32], out: &mut [u8]) -> Result<(), TensorError> {
    check_sizes(dtype, src.len(), out.len())?;
    if dtype.is_quantized()
        && let Some(index) = src.iter().position(|x| x.is_nan() || x.abs() > LARGEST)
    {
        return Err(TensorError::Unrepresentable { dtype, index, value: src[index] });
    }
    match dtype {
        DType::F32 => plain::encode_f32(src, out),
        DType::F16 => f16::encode(src, out),
        DType::BF16 => bf16::encode(src, out),
        DType::Q4_0 => encode_blocks::<q4_0::Block>(src, out),
        DType::Q5_0 => encode_blocks::<q5_0::Block>(src, out),
        DType::Q8_0 => encode_blocks::<q8_0::Block>(src, out),
        DType::Q4K => encode_blocks::<q4_k::Block>(src, out),
        DType::Q5K => encode_blocks::<q5_k::Block>(src, out),
        DType::Q6K => encode_blocks::<q6_k::Block>(src, out),
        DType::Iq4Nl => encode_blocks::<iq4_nl::Block>(src, out),
        DType::Mxfp4 => encode_blocks::<mxfp4::Block>(src, out),
        _ => return Err(TensorError::NoEncoder { dtype }),
    }
    Ok(())
}

/// The scalar product of a stored row with `x`, accumulated in double precision: the reference that fast kernels are
/// checked against.
///
/// # Errors
/// Those of [`decode_row`].
pub fn dot_row(dtype: DType, bytes: &[u8], x: &[f32]) -> Result<f32, TensorError> {
    check_sizes(dtype, x.len(), bytes.len())?;
    let mut scratch = [0.0f32; 256];
    let mut sum = 0.0f64;
    let block_bytes = 256 / dtype.block_len() * dtype.block_bytes();
    for (x, bytes) in x.chunks(256).zip(bytes.chunks(block_bytes)) {
        let values = &mut scratch[..x.len()];
        decode_row(dtype, bytes, values)?;
        sum += x.iter().zip(values).map(|(&x, &mut w)| f64::from(x) * f64::from(w)).sum::<f64>();
    }
    Ok(sum as f32)
}

fn check_sizes(dtype: DType, elements: usize, found: usize) -> Result<(), TensorError> {
    let expected = dtype.row_bytes(elements).ok_or(TensorError::PartialBlock { dtype, len: elements })?;
    if found != expected {
        return Err(TensorError::ByteLength { dtype, elements, expected, found });
    }
    Ok(())
}

// Blocks are byte structs and value arrays align like `f32`, so after `check_sizes` these casts always succeed.
fn decode_blocks<B: BlockFormat>(bytes: &[u8], out: &mut [f32]) {
    for (block, values) in cast_slice::<u8, B>(bytes).iter().zip(cast_slice_mut::<f32, B::Values>(out)) {
        block.decode(values);
    }
}

fn encode_blocks<B: BlockEncode>(src: &[f32], out: &mut [u8]) {
    for (block, values) in cast_slice_mut::<u8, B>(out).iter_mut().zip(cast_slice::<f32, B::Values>(src)) {
        *block = B::encode(values);
    }
}
