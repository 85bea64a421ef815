//! Q2_K: 16 groups of 16 two-bit values, each group with a four-bit scale and minimum; 2.625 bits an element.
//!
//! ```text
//! byte  0 ............ 15   16 ......... 79   80  81    82  83
//!      [ m:s per group ×16 ][ qs 2 × 32 B ... ][ d f16 ][ dmin f16 ]
//!
//! x[i] = d * s[g] * q[i] - dmin * m[g],  g = i / 16
//! ```
//! Elements 128·h + 32·j + l (h < 2, j < 4, l < 32) are bits 2j and 2j+1 of `qs[32·h + l]`.

use bytemuck::{Pod, Zeroable};

use super::{BlockFormat, half};
use crate::DType;

/// One block, as in the file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// Per group of 16: the scale in the low nibble, the minimum in the high one.
    pub scales: [u8; 16],
    /// Two-bit values, four to a byte, 32 elements apart.
    pub qs: [u8; 64],
    /// The scale of the scales, half precision.
    pub d: [u8; 2],
    /// The scale of the minima, half precision.
    pub dmin: [u8; 2],
}

impl BlockFormat for Block {
    type Values = [f32; 256];
    const DTYPE: DType = DType::Q2K;

    fn decode(&self, out: &mut [f32; 256]) {
        let (d, dmin) = (half(self.d), half(self.dmin));
        for (g, group) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = d * f32::from(self.scales[g] & 15);
            let min = dmin * f32::from(self.scales[g] >> 4);
            let (bytes, shift) = (&self.qs[g / 8 * 32 + g % 2 * 16..][..16], g % 8 / 2 * 2);
            for (x, &q) in group.iter_mut().zip(bytes) {
                *x = scale * f32::from((q >> shift) & 3) - min;
            }
        }
    }
}
