//! Q3_K: 16 groups of 16 three-bit values, each group with a six-bit signed scale; 3.4375 bits an element.
//!
//! ```text
//! byte  0 ......... 31   32 ........ 95   96 ....... 107   108 109
//!      [ hmask 256 bits ][ qs 2 × 32 B ... ][ scales 16 × 6 b ][ d f16 ]
//!
//! x[i] = d * (s[g] - 32) * (low[i] - 4 * !hmask[i]),  g = i / 16
//! ```
//! Low bits lie as in Q2_K. The mask bit of element 32·k + l is bit k of `hmask[l]`; a clear bit subtracts 4. Scale
//! `g`: its low four bits are nibble `g / 8` of byte `g % 8`, its high two are bits 2·(g / 4) of byte `8 + g % 4`.

use bytemuck::{Pod, Zeroable};

use super::{BlockFormat, half};
use crate::DType;

/// One block, as in the file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// The third bits.
    pub hmask: [u8; 32],
    /// Two low bits, four to a byte, 32 elements apart.
    pub qs: [u8; 64],
    /// Six-bit scales, offset by 32.
    pub scales: [u8; 12],
    /// The scale of the scales, half precision.
    pub d: [u8; 2],
}

impl BlockFormat for Block {
    type Values = [f32; 256];
    const DTYPE: DType = DType::Q3K;

    fn decode(&self, out: &mut [f32; 256]) {
        let d = half(self.d);
        for (g, group) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let low = (self.scales[g % 8] >> (g / 8 * 4)) & 15;
            let high = (self.scales[8 + g % 4] >> (g / 4 * 2)) & 3;
            let scale = d * f32::from((low | high << 4) as i8 - 32);
            let half_row = g % 2 * 16;
            let (bytes, shift) = (&self.qs[g / 8 * 32 + half_row..][..16], g % 8 / 2 * 2);
            let (mask, bit) = (&self.hmask[half_row..][..16], g / 2);
            for ((x, &q), &m) in group.iter_mut().zip(bytes).zip(mask) {
                let q = ((q >> shift) & 3) as i8 - (((!m >> bit) & 1) << 2) as i8;
                *x = scale * f32::from(q);
            }
        }
    }
}
