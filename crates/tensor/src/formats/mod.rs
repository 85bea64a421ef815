//! Block formats, one file each: the layout, its decoder, and an encoder where writing it makes sense.
//!
//! A format is a plain struct of bytes without alignment, so a weight in a memory-mapped file is a slice of blocks with
//! no copy. Decoders give the same bits as the Python package `gguf`; encoders have no more error than ggml's
//! reference quantisers. These are the reference meanings: devices bring their own fast kernels and are checked
//! against the functions here.

mod affine;
pub mod bf16;
pub mod f16;
pub mod iq2_xxs;
pub mod iq4_nl;
pub mod mxfp4;
mod plain;
pub mod q2_k;
pub mod q3_k;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k;
pub mod q6_k;
pub mod q8_0;
mod row;
mod symmetric;

use bytemuck::Pod;

pub use row::{decode_row, dot_row, encode_row};

use crate::DType;

/// A block format: the bytes of one block, and what they mean. Implementors are byte structs of alignment 1.
pub trait BlockFormat: Pod {
    /// `[f32; BLOCK_LEN]`.
    type Values: Pod;
    /// The type this is the layout of.
    const DTYPE: DType;
    /// Elements per block.
    const BLOCK_LEN: usize = size_of::<Self::Values>() / size_of::<f32>();
    /// Bytes per block.
    const BLOCK_BYTES: usize = size_of::<Self>();

    /// Writes the block's values.
    fn decode(&self, out: &mut Self::Values);
}

/// A block format that can be written.
pub trait BlockEncode: BlockFormat {
    /// The block whose decoded values come close to these. All values must be finite and within
    /// [`encode_row`]'s range.
    fn encode(values: &Self::Values) -> Self;
}

/// A little-endian half-precision field of a block.
pub(crate) fn half(bytes: [u8; 2]) -> f32 {
    ::half::f16::from_le_bytes(bytes).to_f32()
}

/// The bytes of a value rounded to half precision, to nearest even.
pub(crate) fn to_half(value: f32) -> [u8; 2] {
    ::half::f16::from_f32(value).to_le_bytes()
}

/// Splits 16 bytes into 32 nibbles the way the 32-element formats order them: low nibbles are elements 0–15, high
/// nibbles 16–31.
pub(crate) fn nibbles(qs: &[u8; 16]) -> [u8; 32] {
    let mut out = [0; 32];
    for (i, &q) in qs.iter().enumerate() {
        out[i] = q & 15;
        out[i + 16] = q >> 4;
    }
    out
}

/// The reverse of [`nibbles`]; bits above the low four are dropped.
pub(crate) fn pack_nibbles(q: &[u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    for (i, packed) in out.iter_mut().enumerate() {
        *packed = (q[i] & 15) | (q[i + 16] << 4);
    }
    out
}
