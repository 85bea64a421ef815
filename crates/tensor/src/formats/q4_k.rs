//! Q4_K: 8 groups of 32 four-bit values, each group with a six-bit scale and minimum; 4.5 bits an element.
//!
//! ```text
//! byte  0  1     2  3       4 ....... 15   16 ................ 143
//!      [ d f16 ][ dmin f16 ][ s, m 8 × 6 b ][ qs 4 × 32 B         ]
//!
//! x[i] = d * s[g] * q[i] - dmin * m[g],  g = i / 32
//! ```
//! The low nibbles of the `k`-th 32 bytes of `qs` are group 2k, the high ones group 2k+1.

use bytemuck::{Pod, Zeroable};

use super::{BlockEncode, BlockFormat, affine, half};
use crate::DType;

/// One block, as in the file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// The scale of the scales, half precision.
    pub d: [u8; 2],
    /// The scale of the minima, half precision.
    pub dmin: [u8; 2],
    /// Packed six-bit scales and minima, see [`Block::scales_and_mins`].
    pub scales: [u8; 12],
    /// Nibbles, two groups to 32 bytes.
    pub qs: [u8; 128],
}

impl Block {
    /// The integer scales and minima of the eight groups.
    pub fn scales_and_mins(&self) -> ([u8; 8], [u8; 8]) {
        affine::unpack(&self.scales)
    }
}

impl BlockFormat for Block {
    type Values = [f32; 256];
    const DTYPE: DType = DType::Q4K;

    fn decode(&self, out: &mut [f32; 256]) {
        let (d, dmin) = (half(self.d), half(self.dmin));
        let (scales, mins) = self.scales_and_mins();
        let line = |g: usize| (d * f32::from(scales[g]), dmin * f32::from(mins[g]));
        let pairs = out.as_chunks_mut::<64>().0.iter_mut().zip(self.qs.as_chunks::<32>().0);
        for (k, (values, bytes)) in pairs.enumerate() {
            let (low, high) = values.split_at_mut(32);
            let ((scale, min), (high_scale, high_min)) = (line(2 * k), line(2 * k + 1));
            for ((x, y), &q) in low.iter_mut().zip(high).zip(bytes) {
                *x = scale * f32::from(q & 15) - min;
                *y = high_scale * f32::from(q >> 4) - high_min;
            }
        }
    }
}

impl BlockEncode for Block {
    fn encode(values: &[f32; 256]) -> Block {
        let affine::Superblock { d, dmin, scales, q } = affine::encode(values, 15.0);
        let mut qs = [0; 128];
        for (bytes, q) in qs.as_chunks_mut::<32>().0.iter_mut().zip(q.as_chunks::<64>().0) {
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = q[i] | q[i + 32] << 4;
            }
        }
        Block { d, dmin, scales, qs }
    }
}
