//! Operations over the last dimension: normalisations, softmax, the index of the largest.

mod argmax;
mod batch;
mod layer;
mod softmax;

pub(crate) use argmax::compile as compile_argmax;
pub(crate) use batch::{compile as compile_batch, compile_scale as compile_batch_scale};
pub(crate) use layer::{compile_layer, compile_rms};
pub(crate) use softmax::compile as compile_softmax;

use crate::simd::Simd;

/// The sum of `f` over `n` elements: four vectors of partial sums, always joined in the same order.
#[inline(always)]
unsafe fn sum_of<S: Simd>(s: S, x: *const f32, n: usize, f: impl Fn(S::F) -> S::F) -> f32 {
    // SAFETY: the caller's pointer covers n elements.
    unsafe {
        let mut sums = [s.zero(); 4];
        let mut i = 0;
        while i + 4 * S::LANES <= n {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = s.add(*sum, f(s.load(x.add(i + v * S::LANES))));
            }
            i += 4 * S::LANES;
        }
        while i + S::LANES <= n {
            sums[0] = s.add(sums[0], f(s.load(x.add(i))));
            i += S::LANES;
        }
        let mut sum = s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])));
        // The padding of a partial vector would go through `f` as well, so the rest is taken one by one.
        while i < n {
            let mut one = [0.0f32; 16];
            s.store(one.as_mut_ptr(), f(s.splat(*x.add(i))));
            sum += one[0];
            i += 1;
        }
        sum
    }
}
