//! Q8_0: 32 signed bytes and one scale; 8.5 bits an element.
//!
//! ```text
//! byte  0   1   2 ............................ 33
//!      [ d f16 ][ q0 i8 q1 q2 ............ q31 ]      x[i] = q[i] * d
//! ```

use bytemuck::{Pod, Zeroable};

use super::{BlockEncode, BlockFormat, half, to_half};
use crate::DType;

/// One block, as in the file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// The scale, half precision.
    pub d: [u8; 2],
    /// The quantised values.
    pub qs: [i8; 32],
}

impl BlockFormat for Block {
    type Values = [f32; 32];
    const DTYPE: DType = DType::Q8_0;

    fn decode(&self, out: &mut [f32; 32]) {
        let d = half(self.d);
        for (x, &q) in out.iter_mut().zip(&self.qs) {
            *x = f32::from(q) * d;
        }
    }
}

impl BlockEncode for Block {
    /// Scales the largest magnitude to 127 and rounds half away from zero: ggml's bytes exactly.
    fn encode(values: &[f32; 32]) -> Block {
        let largest = values.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let d = largest / 127.0;
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        Block { d: to_half(d), qs: values.map(|x| (x * inverse).round() as i8) }
    }
}
