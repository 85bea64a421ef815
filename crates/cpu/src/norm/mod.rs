//! Operations over the last dimension: normalisations, softmax, the index of the largest.

mod argmax;
mod batch;
mod l2;
mod layer;
mod segments;
mod softmax;

pub(crate) use argmax::{compile as compile_argmax, first_largest};
pub(crate) use batch::{compile as compile_batch, compile_scale as compile_batch_scale};
pub(crate) use l2::compile as compile_l2;
pub(crate) use layer::{compile_layer, compile_rms};
pub(crate) use segments::compile as compile_segments;
pub(crate) use softmax::compile as compile_softmax;

use crate::simd::Simd;

/// The sum of `f` over `n` elements: four vectors of partial sums, always joined in the same order. The closure must
/// be marked `#[inline(always)]`.
#[inline(always)]
unsafe fn sum_of<S: Simd>(s: S, x: *const f32, n: usize, f: impl Fn(S::F) -> S::F) -> f32 {
    // SAFETY: the caller's pointer covers n elements.
    unsafe {
        let (mut a, mut b, mut c, mut d) = (s.zero(), s.zero(), s.zero(), s.zero());
        let mut i = 0;
        while i + 4 * S::LANES <= n {
            a = s.add(a, f(s.load(x.add(i))));
            b = s.add(b, f(s.load(x.add(i + S::LANES))));
            c = s.add(c, f(s.load(x.add(i + 2 * S::LANES))));
            d = s.add(d, f(s.load(x.add(i + 3 * S::LANES))));
            i += 4 * S::LANES;
        }
        while i + S::LANES <= n {
            a = s.add(a, f(s.load(x.add(i))));
            i += S::LANES;
        }
        let mut sum = s.sum(s.add(s.add(a, b), s.add(c, d)));
        if i < n {
            // The padding of a partial vector goes through `f` as well, so only the elements that exist are taken.
            let mut lanes = [0.0f32; 16];
            s.store(lanes.as_mut_ptr(), f(s.load_some(x.add(i), n - i)));
            lanes[..n - i].iter().for_each(|&lane| sum += lane);
        }
        sum
    }
}
