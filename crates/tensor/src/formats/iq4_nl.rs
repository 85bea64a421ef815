//! IQ4_NL: 32 four-bit indices into a table of unevenly spaced levels and one scale; 4.5 bits an element.
//!
//! ```text
//! byte  0   1   2 ....................... 17
//!      [ d f16 ][ q16:q0  q17:q1 ... q31:q15 ]      high:low nibble      x[i] = d * LEVELS[q[i]]
//! ```

use bytemuck::{Pod, Zeroable};

use super::{BlockFormat, half, nibbles};
use crate::DType;

/// The levels, denser around zero where weights are.
pub const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// One block, as in the file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// The scale, half precision.
    pub d: [u8; 2],
    /// Indices: low nibbles are elements 0–15, high nibbles 16–31.
    pub qs: [u8; 16],
}

impl BlockFormat for Block {
    type Values = [f32; 32];
    const DTYPE: DType = DType::Iq4Nl;

    fn decode(&self, out: &mut [f32; 32]) {
        let d = half(self.d);
        for (x, q) in out.iter_mut().zip(nibbles(&self.qs)) {
            *x = d * f32::from(LEVELS[usize::from(q)]);
        }
    }
}
