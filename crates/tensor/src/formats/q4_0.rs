//! Q4_0: 32 four-bit values around 8 and one scale; 4.5 bits an element.
//!
//! ```text
//! byte  0   1   2 ....................... 17
//!      [ d f16 ][ q16:q0  q17:q1 ... q31:q15 ]      high:low nibble      x[i] = d * (q[i] - 8)
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
    /// Nibbles: the low ones are elements 0–15, the high ones 16–31.
    pub qs: [u8; 16],
}

impl BlockFormat for Block {
    type Values = [f32; 32];
    const DTYPE: DType = DType::Q4_0;

    fn decode(&self, out: &mut [f32; 32]) {
        let d = half(self.d);
        for (x, q) in out.iter_mut().zip(nibbles(&self.qs)) {
            *x = d * f32::from(q as i8 - 8);
        }
    }
}

impl BlockEncode for Block {
    /// Maps the value of largest magnitude to 0, the end of the range with one step more: ggml's bytes exactly.
    fn encode(values: &[f32; 32]) -> Block {
        let (d, inverse) = symmetric::extreme_scale(values, -8.0);
        let q = values.map(|x| ((x * inverse + 8.5) as u8).min(15));
        Block { d: to_half(d), qs: pack_nibbles(&q) }
    }
}
