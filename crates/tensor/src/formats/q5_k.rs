//! Q5_K: 8 groups of 32 five-bit values, each group with a six-bit scale and minimum; 5.5 bits an element.
//!
//! ```text
//! byte  0  1     2  3       4 ....... 15   16 ....... 47   48 ....... 175
//!      [ d f16 ][ dmin f16 ][ s, m 8 × 6 b ][ qh 256 bits ][ qs 4 × 32 B ]
//!
//! x[i] = d * s[g] * (low[i] | high[i] << 4) - dmin * m[g],  g = i / 32
//! ```
//! Low nibbles lie as in Q4_K; the fifth bit of element 32·g + l is bit g of `qh[l]`.

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
    /// Fifth bits.
    pub qh: [u8; 32],
    /// Low nibbles, two groups to 32 bytes.
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
    const DTYPE: DType = DType::Q5K;

    fn decode(&self, out: &mut [f32; 256]) {
        let (d, dmin) = (half(self.d), half(self.dmin));
        let (scales, mins) = self.scales_and_mins();
        for (g, values) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = (d * f32::from(scales[g]), dmin * f32::from(mins[g]));
            let (bytes, shift) = (&self.qs[g / 2 * 32..][..32], g % 2 * 4);
            for ((x, &q), &high) in values.iter_mut().zip(bytes).zip(&self.qh) {
                let q = ((q >> shift) & 15) | ((high >> g) & 1) << 4;
                *x = scale * f32::from(q) - min;
            }
        }
    }
}

impl BlockEncode for Block {
    fn encode(values: &[f32; 256]) -> Block {
        let affine::Superblock { d, dmin, scales, q } = affine::encode(values, 31.0);
        let (mut qh, mut qs) = ([0; 32], [0; 128]);
        for (g, q) in q.as_chunks::<32>().0.iter().enumerate() {
            let bytes = &mut qs[g / 2 * 32..][..32];
            for ((byte, high), &q) in bytes.iter_mut().zip(&mut qh).zip(q) {
                *byte |= (q & 15) << (g % 2 * 4);
                *high |= (q >> 4) << g;
            }
        }
        Block { d, dmin, scales, qh, qs }
    }
}
