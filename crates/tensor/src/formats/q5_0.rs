//! Q5_0: 32 five-bit values around 16 and one scale; 5.5 bits an element.
//!
//! ```text
//! byte  0   1   2 ..... 5   6 ....................... 21
//!      [ d f16 ][ qh u32 ][ q16:q0  q17:q1 ... q31:q15 ]      x[i] = d * ((low[i] | qh bit i << 4) - 16)
//! ```

use bytemuck::{Pod, Zeroable};

use super::{BlockEncode, BlockFormat, half, nibbles, pack_nibbles, symmetric, to_half};
use crate::DType;

/// One block, as in the file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// The scale, half precision; negative when the largest magnitude was positive.
    pub d: [u8; 2],
    /// The fifth bits, element `i` at bit `i`, little-endian.
    pub qh: [u8; 4],
    /// The low four bits: low nibbles are elements 0–15, high nibbles 16–31.
    pub qs: [u8; 16],
}

impl BlockFormat for Block {
    type Values = [f32; 32];
    const DTYPE: DType = DType::Q5_0;

    fn decode(&self, out: &mut [f32; 32]) {
        let d = half(self.d);
        let high = u32::from_le_bytes(self.qh);
        for (i, (x, q)) in out.iter_mut().zip(nibbles(&self.qs)).enumerate() {
            let q = q | ((high >> i) as u8 & 1) << 4;
            *x = d * f32::from(q as i8 - 16);
        }
    }
}

impl BlockEncode for Block {
    /// Maps the value of largest magnitude to 0, the end of the range with one step more: ggml's bytes exactly.
    fn encode(values: &[f32; 32]) -> Block {
        let (d, inverse) = symmetric::extreme_scale(values, -16.0);
        let q = values.map(|x| ((x * inverse + 16.5) as u8).min(31));
        let high = q.iter().enumerate().fold(0u32, |bits, (i, q)| bits | u32::from(q >> 4) << i);
        Block { d: to_half(d), qh: high.to_le_bytes(), qs: pack_nibbles(&q) }
    }
}
