//! MXFP4: 32 four-bit floats (E2M1) and one power-of-two scale, OCP microscaling; 4.25 bits an element.
//!
//! ```text
//! byte  0       1 ....................... 16
//!      [ e u8 ][ q16:q0  q17:q1 ... q31:q15 ]      high:low nibble      x[i] = 2^(e-128) * DOUBLED[q[i]]
//! ```

use bytemuck::{Pod, Zeroable};

use super::{BlockFormat, nibbles};
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
