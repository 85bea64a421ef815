//! Some rows of queries against all keys they see, a block of keys at a time.

use super::super::exponentials::exponentials;
use super::element::{Element, prefetch};
use super::pages::{Cache, Sequence};
use crate::memory::Output;
use crate::simd::math::exp;
use crate::simd::{Simd, dispatch};
use half::f16;
use std::ops::Range;

/// Rows that share what is in registers.
const TOGETHER: usize = 4;

/// What the rows of a head of keys read and write.
pub(super) struct Rows<'a, E> {
    pub(super) cache: &'a Cache<'a, E>,
    pub(super) sequence: &'a Sequence<'a>,
    pub(super) batch: usize,
    pub(super) key_head: usize,
    /// Keys of a block.
    pub(super) block: usize,
    pub(super) scale: f32,
    pub(super) q: &'a [f32],
    pub(super) out: Output<'a, f32>,
}

impl<E: Element> Rows<'_, E> {
    /// How many keys a row sees.
    #[inline(always)]
    fn seen(&self, row: usize) -> usize {
        let group = self.cache.sizes.heads / self.cache.sizes.key_heads;
        self.sequence.past + row / group + 1
    }

    /// Whether rows from `first` on are those that ask for the values of a block while they score its keys, and for the next keys while
    /// they sum its values: a processor by itself begins anew with every run of keys or values, which are short. A block that is the
    /// whole sequence would push its own beginning out of the cache.
    #[inline(always)]
    fn fetches_ahead(&self, first: usize) -> bool {
        first.is_multiple_of(super::ROWS) && self.block <= super::BLOCK
    }

    #[inline(always)]
    fn query(&self, row: usize) -> *const f32 {
        let at = self.cache.sizes.query(self.batch, self.key_head, row);
        self.q[at..at + self.cache.sizes.width].as_ptr()
    }

    #[inline(always)]
    fn key(&self, token: usize) -> *const E {
        let at = self.cache.place(self.sequence, token, self.key_head);
        // The end is checked as well: a kernel reads the whole width.
        self.cache.keys.at(at + self.cache.sizes.width);
        self.cache.keys.at(at)
    }

    #[inline(always)]
    fn value(&self, token: usize) -> *const E {
        let at = self.cache.place(self.sequence, token, self.key_head);
        self.cache.values.at(at + self.cache.sizes.width);
        self.cache.values.at(at)
    }
}

/// A row's largest score so far, and the sum of its weights relative to that.
#[derive(Clone, Copy)]
struct Softmax {
    top: f32,
    sum: f32,
}

dispatch! {
    /// Computes these rows over floats. `scratch` holds a width and a block for each.
    pub(super) fn attend_floats(rows: &Rows<'_, f32>, range: Range<usize>, scratch: &mut [f32]) = attend_body;
    /// The same over halves.
    pub(super) fn attend_halves(rows: &Rows<'_, f16>, range: Range<usize>, scratch: &mut [f32]) = attend_body;
}

#[inline(always)]
unsafe fn attend_body<S: Simd, E: Element>(s: S, r: &Rows<'_, E>, range: Range<usize>, scratch: &mut [f32]) {
    let (width, count) = (r.cache.sizes.width, range.len());
    if count == 0 {
        return;
    }
    let (totals, scores) = scratch.split_at_mut(count * width);
    totals.fill(0.0);
    let mut softmax = [Softmax { top: f32::NEG_INFINITY, sum: 0.0 }; super::ROWS];
    let last = r.seen(range.end - 1);
    let mut from = 0;
    while from < last {
        let mut at = 0;
        while at < count {
            let together = if count - at >= TOGETHER { TOGETHER } else { 1 };
            // Rows stand in the order of their tokens, so the last of them sees most.
            let to = r.seen(range.start + at + together - 1).min(from + r.block);
            if from < to {
                let scores = &mut scores[at * r.block..];
                // SAFETY: the caller made sure of the extents; nothing writes the cache.
                unsafe {
                    match together {
                        TOGETHER => score::<S, E, TOGETHER>(s, r, range.start + at, from..to, scores),
                        _ => score::<S, E, 1>(s, r, range.start + at, from..to, scores),
                    }
                }
            }
            at += together;
        }
        at = 0;
        while at < count {
            let n = r.seen(range.start + at).min(from + r.block).saturating_sub(from);
            if n > 0 {
                let scores = &mut scores[at * r.block..at * r.block + n];
                weigh(s, scores, &mut softmax[at], &mut totals[at * width..(at + 1) * width]);
            }
            at += 1;
        }
        at = 0;
        while at < count {
            let together = if count - at >= TOGETHER { TOGETHER } else { 1 };
            let (scores, totals) = (&scores[at * r.block..], &mut totals[at * width..]);
            // SAFETY: as above.
            unsafe {
                match together {
                    TOGETHER => mix_four(s, r, range.start + at, from, scores, totals),
                    _ => {
                        let to = r.seen(range.start + at).min(from + r.block);
                        mix::<S, E, 1>(s, r, range.start + at, from..to.max(from), from, scores, totals);
                    }
                }
            }
            at += together;
        }
        from += r.block;
    }
    let mut at = 0;
    while at < count {
        let to = r.cache.sizes.query(r.batch, r.key_head, range.start + at);
        let factor = 1.0 / softmax[at].sum;
        // SAFETY: the caller owns these rows.
        let out = unsafe { r.out.slice(to..to + width) };
        for (out, total) in out.iter_mut().zip(&totals[at * width..(at + 1) * width]) {
            *out = total * factor;
        }
        at += 1;
    }
}

/// Scores of `R` rows from `first` on with some keys, each row's in a block of its own.
#[allow(clippy::needless_range_loop, reason = "a row is an offset into the scores as well")]
#[inline(always)]
unsafe fn score<S: Simd, E: Element, const R: usize>(
    s: S,
    r: &Rows<'_, E>,
    first: usize,
    keys: Range<usize>,
    scores: &mut [f32],
) {
    let width = r.cache.sizes.width;
    let ahead = r.fetches_ahead(first);
    let whole = width - width % S::LANES;
    let mut queries = [r.query(first); R];
    for i in 1..R {
        queries[i] = r.query(first + i);
    }
    let mut token = keys.start;
    while token < keys.end {
        // A pair of keys; the odd one at the end is its own neighbour.
        let (left, right) = (r.key(token), r.key((token + 1).min(keys.end - 1)));
        if ahead {
            prefetch(r.value(token), width);
            prefetch(r.value((token + 1).min(keys.end - 1)), width);
        }
        let mut sums = [[s.zero(); 2]; R];
        let mut i = 0;
        // SAFETY: queries and keys are `width` long.
        unsafe {
            while i < whole {
                let (a, b) = (E::load(s, left.add(i)), E::load(s, right.add(i)));
                for row in 0..R {
                    let q = s.load(queries[row].add(i));
                    sums[row][0] = s.fma(q, a, sums[row][0]);
                    sums[row][1] = s.fma(q, b, sums[row][1]);
                }
                i += S::LANES;
            }
            let n = width - whole;
            if n > 0 {
                let (a, b) = (E::load_some(s, left.add(i), n), E::load_some(s, right.add(i), n));
                for row in 0..R {
                    let q = s.load_some(queries[row].add(i), n);
                    sums[row][0] = s.fma(q, a, sums[row][0]);
                    sums[row][1] = s.fma(q, b, sums[row][1]);
                }
            }
        }
        let at = token - keys.start;
        for row in 0..R {
            scores[row * r.block + at] = s.sum(sums[row][0]) * r.scale;
            if token + 1 < keys.end {
                scores[row * r.block + at + 1] = s.sum(sums[row][1]) * r.scale;
            }
        }
        token += 2;
    }
}

/// Turns a row's scores into weights relative to its largest score so far, and brings what was summed before to the same measure.
#[inline(always)]
fn weigh<S: Simd>(s: S, scores: &mut [f32], softmax: &mut Softmax, totals: &mut [f32]) {
    let (n, x) = (scores.len(), scores.as_mut_ptr());
    // SAFETY: the scores are n long.
    unsafe {
        let mut top = s.splat(softmax.top);
        let mut i = 0;
        while i + S::LANES <= n {
            top = s.max(top, s.load(x.add(i)));
            i += S::LANES;
        }
        let mut largest = s.largest(top);
        while i < n {
            largest = largest.max(*x.add(i));
            i += 1;
        }
        let total = exponentials(s, scores, largest);
        if softmax.top < largest {
            let mut lanes = [0.0f32; 16];
            s.store(lanes.as_mut_ptr(), exp(s, s.splat(softmax.top - largest)));
            let factor = lanes[0];
            softmax.sum *= factor;
            totals.iter_mut().for_each(|t| *t *= factor);
        }
        softmax.top = largest;
        softmax.sum += total;
    }
}

/// Adds the values of a block to four rows: those that all see together, then what each sees alone. Weights of zero for the rest
/// would do the same, but for values that are no numbers.
#[inline(always)]
unsafe fn mix_four<S: Simd, E: Element>(
    s: S,
    r: &Rows<'_, E>,
    first: usize,
    from: usize,
    scores: &[f32],
    totals: &mut [f32],
) {
    let width = r.cache.sizes.width;
    let common = r.seen(first).min(from + r.block).max(from);
    // SAFETY: passed on to the caller.
    unsafe {
        mix::<S, E, TOGETHER>(s, r, first, from..common, from, scores, totals);
        let mut row = 1;
        while row < TOGETHER {
            let to = r.seen(first + row).min(from + r.block).max(common);
            let (scores, totals) = (&scores[row * r.block..], &mut totals[row * width..]);
            mix::<S, E, 1>(s, r, first + row, common..to, from, scores, totals);
            row += 1;
        }
    }
}

/// `totals += weights · values` for `R` rows from `first` on; the weights begin at token `from`.
#[allow(clippy::needless_range_loop, reason = "a row is an offset into weights and totals as well")]
#[inline(always)]
unsafe fn mix<S: Simd, E: Element, const R: usize>(
    s: S,
    r: &Rows<'_, E>,
    first: usize,
    tokens: Range<usize>,
    from: usize,
    weights: &[f32],
    totals: &mut [f32],
) {
    let width = r.cache.sizes.width;
    if tokens.is_empty() {
        return;
    }
    assert!(weights.len() >= (R - 1) * r.block + tokens.end - from && totals.len() >= R * width);
    let (weights, totals) = (weights.as_ptr(), totals.as_mut_ptr());
    let known = if r.fetches_ahead(first) { r.sequence.past + r.sequence.length } else { 0 };
    let mut i = 0;
    // SAFETY: values are `width` long, as are the rows of the totals; the weights reach as far as was just checked.
    unsafe {
        while i + 2 * S::LANES <= width {
            let mut sums = [[s.zero(); 2]; R];
            for row in 0..R {
                let at = totals.add(row * width + i);
                sums[row] = [s.load(at), s.load(at.add(S::LANES))];
            }
            let mut token = tokens.start;
            while token < tokens.end {
                if i == 0 && token + r.block < known {
                    prefetch(r.key(token + r.block), width);
                }
                let value = r.value(token).add(i);
                let (a, b) = (E::load(s, value), E::load(s, value.add(S::LANES)));
                for row in 0..R {
                    let weight = s.splat(*weights.add(row * r.block + token - from));
                    sums[row][0] = s.fma(weight, a, sums[row][0]);
                    sums[row][1] = s.fma(weight, b, sums[row][1]);
                }
                token += 1;
            }
            for row in 0..R {
                let at = totals.add(row * width + i);
                s.store(at, sums[row][0]);
                s.store(at.add(S::LANES), sums[row][1]);
            }
            i += 2 * S::LANES;
        }
        while i < width {
            let n = S::LANES.min(width - i);
            for row in 0..R {
                let at = totals.add(row * width + i);
                let mut sum = some(s, at, n);
                let mut token = tokens.start;
                while token < tokens.end {
                    let weight = s.splat(*weights.add(row * r.block + token - from));
                    sum = s.fma(weight, some(s, r.value(token).add(i), n), sum);
                    token += 1;
                }
                if n == S::LANES {
                    s.store(at, sum);
                } else {
                    s.store_some(at, sum, n);
                }
            }
            i += n;
        }
    }
}

/// Reads `n ≤ LANES` elements.
#[inline(always)]
unsafe fn some<S: Simd, E: Element>(s: S, p: *const E, n: usize) -> S::F {
    // SAFETY: passed on to the caller.
    unsafe { if n == S::LANES { E::load(s, p) } else { E::load_some(s, p, n) } }
}
