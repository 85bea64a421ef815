//! Q5_1: 32 five-bit values, a scale and a minimum; 6 bits an element.
//!
//! ```text
//! byte  0   1   2   3   4 ..... 7   8 ....................... 23
//!      [ d f16 ][ m f16 ][ qh u32 ][ q16:q0  q17:q1 ... q31:q15 ]      x[i] = d * (low[i] | qh bit i << 4) + m
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
    /// The fifth bits, element `i` at bit `i`, little-endian.
    pub qh: [u8; 4],
    /// The low four bits: low nibbles are elements 0–15, high nibbles 16–31.
    pub qs: [u8; 16],
}

impl BlockFormat for Block {
    type Values = [f32; 32];
    const DTYPE: DType = DType::Q5_1;

    fn decode(&self, out: &mut [f32; 32]) {
        let (d, m) = (half(self.d), half(self.m));
        let high = u32::from_le_bytes(self.qh);
        for (i, (x, q)) in out.iter_mut().zip(nibbles(&self.qs)).enumerate() {
            let q = q | ((high >> i) as u8 & 1) << 4;
            *x = d * f32::from(q) + m;
        }
    }
}
