//! Q6_K: 16 groups of 16 six-bit values around 32, each group with a signed byte scale; 6.5625 bits an element.
//!
//! ```text
//! byte  0 .......... 127   128 ...... 191   192 ...... 207   208 209
//!      [ ql 2 × 64 B     ][ qh 2 × 32 B   ][ scales 16 × i8 ][ d f16 ]
//!
//! x[i] = d * scales[g] * ((low[i] | high[i] << 4) - 32),  g = i / 16
//! ```
//! Element 128·h + 32·j + l (h < 2, j < 4, l < 32): its low four bits are nibble `j / 2` of `ql[64·h + 32·(j % 2) + l]`,
//! its high two are bits 2j and 2j+1 of `qh[32·h + l]`.

use bytemuck::{Pod, Zeroable};

use super::{BlockEncode, BlockFormat, half, symmetric};
use crate::DType;

/// One block, as in the file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// Low four bits.
    pub ql: [u8; 128],
    /// High two bits.
    pub qh: [u8; 64],
    /// The scales of the groups.
    pub scales: [i8; 16],
    /// The scale of the scales, half precision.
    pub d: [u8; 2],
}

impl BlockFormat for Block {
    type Values = [f32; 256];
    const DTYPE: DType = DType::Q6K;

    fn decode(&self, out: &mut [f32; 256]) {
        let d = half(self.d);
        for (g, values) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = d * f32::from(self.scales[g]);
            let (h, j, l) = (g / 8, g % 8 / 2, g % 2 * 16);
            let (low, high) = (&self.ql[64 * h + 32 * (j % 2) + l..][..16], &self.qh[32 * h + l..][..16]);
            for ((x, &low), &high) in values.iter_mut().zip(low).zip(high) {
                let q = ((low >> (j / 2 * 4)) & 15) | ((high >> (2 * j)) & 3) << 4;
                *x = scale * f32::from(q as i8 - 32);
            }
        }
    }
}

impl BlockEncode for Block {
    fn encode(values: &[f32; 256]) -> Block {
        let symmetric::Superblock { d, scales, q } = symmetric::encode(values);
        let (mut ql, mut qh) = ([0; 128], [0; 64]);
        for (g, q) in q.as_chunks::<16>().0.iter().enumerate() {
            let (h, j, l) = (g / 8, g % 8 / 2, g % 2 * 16);
            for (i, &q) in q.iter().enumerate() {
                let q = (q + 32) as u8;
                ql[64 * h + 32 * (j % 2) + l + i] |= (q & 15) << (j / 2 * 4);
                qh[32 * h + l + i] |= (q >> 4) << (2 * j);
            }
        }
        Block { ql, qh, scales, d }
    }
}
