//! Scores to the weights of a softmax, for every way that attention is gone about.

use crate::simd::Simd;
use crate::simd::math::exp;

/// Replaces each score by `exp(score − largest)`; returns their sum.
#[inline(always)]
pub(super) fn exponentials<S: Simd>(s: S, scores: &mut [f32], largest: f32) -> f32 {
    let (n, x) = (scores.len(), scores.as_mut_ptr());
    // SAFETY: the scores are n long.
    unsafe {
        let (measure, mut sum) = (s.splat(largest), s.zero());
        let mut i = 0;
        while i + S::LANES <= n {
            let e = exp(s, s.sub(s.load(x.add(i)), measure));
            s.store(x.add(i), e);
            sum = s.add(sum, e);
            i += S::LANES;
        }
        let mut total = s.sum(sum);
        if i < n {
            s.store_some(x.add(i), exp(s, s.sub(s.load_some(x.add(i), n - i), measure)), n - i);
            (i..n).for_each(|i| total += *x.add(i));
        }
        total
    }
}
