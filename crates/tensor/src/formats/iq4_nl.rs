//! IQ4_NL: 32 four-bit indices into a table of unevenly spaced levels and one scale; 4.5 bits an element.
//!
//! ```text
//! byte  0   1   2 ....................... 17
//!      [ d f16 ][ q16:q0  q17:q1 ... q31:q15 ]      high:low nibble      x[i] = d * LEVELS[q[i]]
//! ```

use bytemuck::{Pod, Zeroable};

use super::affine::inverse;
use super::{BlockEncode, BlockFormat, half, nibbles, pack_nibbles, symmetric, to_half};
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

/// Scales tried around the one that maps the largest magnitude to the last level of its sign: so many to either side,
/// each one level further.
const TRIES: i8 = 8;

impl BlockEncode for Block {
    /// For every scale that maps the value of largest magnitude near the end of the range, of either sign, the nearest
    /// levels and the least-squares scale for those; the one of least error stays.
    fn encode(values: &[f32; 32]) -> Block {
        let (mut best, mut least) = (Block { d: to_half(0.0), qs: pack_nibbles(&[8; 32]) }, f32::INFINITY);
        for end in [f32::from(LEVELS[0]), f32::from(LEVELS[15])] {
            for step in -TRIES..=TRIES {
                let (d, _) = symmetric::extreme_scale(values, end + f32::from(step));
                let d = refit(values, d);
                let candidate = Block::at(values, to_half(d));
                let error = candidate.error(values);
                if error < least {
                    (best, least) = (candidate, error);
                }
            }
        }
        best
    }
}

impl Block {
    /// The nearest levels at a scale.
    fn at(values: &[f32; 32], d: [u8; 2]) -> Block {
        let inverse = inverse(half(d));
        Block { d, qs: pack_nibbles(&values.map(|x| nearest(x * inverse))) }
    }

    fn error(&self, values: &[f32; 32]) -> f32 {
        let mut decoded = [0.0; 32];
        self.decode(&mut decoded);
        values.iter().zip(decoded).map(|(x, y)| (x - y) * (x - y)).sum()
    }
}

/// The least-squares scale for the levels that are nearest at scale `d`.
fn refit(values: &[f32; 32], d: f32) -> f32 {
    let inverse = inverse(d);
    let (mut products, mut squares) = (0.0, 0.0);
    for &x in values {
        let level = f32::from(LEVELS[usize::from(nearest(x * inverse))]);
        products += x * level;
        squares += level * level;
    }
    products / squares
}

/// The index of the nearest level, the lower of two as near.
fn nearest(x: f32) -> u8 {
    // How many of the midpoints between neighbours lie below; counting them all needs no branch.
    let below = |pair: &[i8]| u8::from(x > (f32::from(pair[0]) + f32::from(pair[1])) * 0.5);
    LEVELS.windows(2).map(below).sum()
}
