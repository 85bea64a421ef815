//! The types without blocks that need no file of their own: floats and integers as little-endian words.

use crate::DType;

/// Converts a row of a plain type to `f32`, rounding what has no exact value. Returns whether the type is one of them.
pub(super) fn decode(dtype: DType, bytes: &[u8], out: &mut [f32]) -> bool {
    match dtype {
        DType::F32 => words(bytes, out, f32::from_le_bytes),
        DType::F64 => words(bytes, out, |b| f64::from_le_bytes(b) as f32),
        DType::I8 => words(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
        DType::I16 => words(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
        DType::I32 => words(bytes, out, |b| i32::from_le_bytes(b) as f32),
        DType::I64 => words(bytes, out, |b| i64::from_le_bytes(b) as f32),
        _ => return false,
    }
    true
}

fn words<const N: usize>(bytes: &[u8], out: &mut [f32], read: impl Fn([u8; N]) -> f32) {
    let (words, _) = bytes.as_chunks::<N>();
    for (out, &word) in out.iter_mut().zip(words) {
        *out = read(word);
    }
}

/// Stores an `F32` row.
pub(super) fn encode_f32(values: &[f32], out: &mut [u8]) {
    for (word, value) in out.chunks_exact_mut(4).zip(values) {
        word.copy_from_slice(&value.to_le_bytes());
    }
}
