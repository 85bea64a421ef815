//! F16: IEEE half precision.
//!
//! ```text
//! byte  0         1
//!      [m m m m m m m m  s e e e e e m m]   1 sign, 5 exponent, 10 mantissa bits, little-endian
//! ```

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Bytes of one element.
pub const BYTES: usize = 2;

/// How many elements go through the aligned scratch buffer at a time: enough to amortise `half`'s check for the CPU's
/// conversion instructions, small enough for the first-level cache.
const CHUNK: usize = 512;

/// Widens a row, exactly. Stops at the shorter of the two slices.
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    let mut scratch = [f16::ZERO; CHUNK];
    for (bytes, out) in bytes.chunks(CHUNK * BYTES).zip(out.chunks_mut(CHUNK)) {
        let scratch = &mut scratch[..out.len().min(bytes.len() / BYTES)];
        for (half, pair) in scratch.iter_mut().zip(bytes.chunks_exact(BYTES)) {
            *half = f16::from_le_bytes([pair[0], pair[1]]);
        }
        scratch.convert_to_f32_slice(&mut out[..scratch.len()]);
    }
}

/// Rounds a row to nearest even; what is too large becomes infinite. Stops at the shorter of the two slices.
pub fn encode(values: &[f32], out: &mut [u8]) {
    let mut scratch = [f16::ZERO; CHUNK];
    for (values, out) in values.chunks(CHUNK).zip(out.chunks_mut(CHUNK * BYTES)) {
        let scratch = &mut scratch[..values.len()];
        scratch.convert_from_f32_slice(values);
        for (half, pair) in scratch.iter().zip(out.chunks_exact_mut(BYTES)) {
            pair.copy_from_slice(&half.to_le_bytes());
        }
    }
}
