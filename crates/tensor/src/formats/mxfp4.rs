//! MXFP4: 32 four-bit floats (E2M1) and one power-of-two scale, OCP microscaling; 4.25 bits an element.
//!
//! ```text
//! byte  0       1 ....................... 16
//!      [ e u8 ][ q16:q0  q17:q1 ... q31:q15 ]      high:low nibble      x[i] = 2^(e-128) * DOUBLED[q[i]]
//! ```

use bytemuck::{Pod, Zeroable};

use super::{BlockEncode, BlockFormat, nibbles, pack_nibbles};
use crate::DType;

/// Twice the E2M1 values, so that they are integers.
pub const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// One block, as in the file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// The exponent of the scale, biased by 127.
    pub e: u8,
    /// E2M1 floats: low nibbles are elements 0–15, high nibbles 16–31.
    pub qs: [u8; 16],
}

/// `2^(e-128)`: half the scale, because [`DOUBLED`] has the other factor. The two smallest are subnormal.
pub fn half_scale(e: u8) -> f32 {
    let bits = if e < 2 { 0x0020_0000 << e } else { u32::from(e - 1) << 23 };
    f32::from_bits(bits)
}

impl BlockFormat for Block {
    type Values = [f32; 32];
    const DTYPE: DType = DType::Mxfp4;

    fn decode(&self, out: &mut [f32; 32]) {
        let scale = half_scale(self.e);
        for (x, q) in out.iter_mut().zip(nibbles(&self.qs)) {
            *x = scale * f32::from(DOUBLED[usize::from(q)]);
        }
    }
}

impl BlockEncode for Block {
    /// The largest magnitude lies in the last octave of E2M1, which reaches from 4 to 6 (ggml's choice), or, where that
    /// errs less, an octave below the end: 7 would be cut to 6.
    fn encode(values: &[f32; 32]) -> Block {
        let largest = values.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        // The exponent with its bias, 0 for subnormal numbers; 2 less, because 4 is the last octave's beginning.
        let octave = (largest.to_bits() >> 23) as u8;
        let lower = Block::at(values, octave.saturating_sub(2));
        let higher = Block::at(values, octave.saturating_sub(1));
        if higher.error(values) < lower.error(values) { higher } else { lower }
    }
}

impl Block {
    /// The nearest levels at a scale.
    fn at(values: &[f32; 32], e: u8) -> Block {
        let scale = half_scale(e);
        Block { e, qs: pack_nibbles(&values.map(|x| nearest(x, scale))) }
    }

    fn error(&self, values: &[f32; 32]) -> f32 {
        let mut decoded = [0.0; 32];
        self.decode(&mut decoded);
        values.iter().zip(decoded).map(|(x, y)| (x - y) * (x - y)).sum()
    }
}

/// The nearest of the 16 floats, the smaller magnitude of two as near.
fn nearest(x: f32, scale: f32) -> u8 {
    let size = x.abs();
    // How many of the midpoints between neighbours lie below; the scale is a power of two, so these are exact.
    let below = |at: usize| {
        let middle = f32::from(DOUBLED[at]) + f32::from(DOUBLED[at + 1]);
        u8::from(size > middle * 0.5 * scale)
    };
    let index: u8 = (0..7).map(below).sum();
    // Zero has no sign.
    if x < 0.0 && index > 0 { index + 8 } else { index }
}
