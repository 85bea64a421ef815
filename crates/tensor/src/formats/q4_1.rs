//! Q4_1: 32 four-bit values, a scale and a minimum; 5 bits an element.
//!
//! ```text
//! byte  0   1   2   3   4 ....................... 19
//!      [ d f16 ][ m f16 ][ q16:q0  q17:q1 ... q31:q15 ]      high:low nibble      x[i] = d * q[i] + m
//! ```

use bytemuck::{Pod, Zeroable};

use super::{BlockFormat, half, nibbles};
use crate::DType;

/// One block, as in the file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// The scale, half precision.
    pub d: [u8; 2],
    /// The minimum, half precision.
    pub m: [u8; 2],
    /// Nibbles: the low ones are elements 0–15, the high ones 16–31.
    pub qs: [u8; 16],
}

impl BlockFormat for Block {
    type Values = [f32; 32];
    const DTYPE: DType = DType::Q4_1;

    fn decode(&self, out: &mut [f32; 32]) {
        let (d, m) = (half(self.d), half(self.m));
        for (x, q) in out.iter_mut().zip(nibbles(&self.qs)) {
            *x = d * f32::from(q) + m;
        }
    }
}
