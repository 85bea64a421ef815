//! Some rows of queries against all keys they see, a block of keys at a time, and in a block one head after another.

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

/// What the rows of some heads of keys read and write.
pub(super) struct Rows<'a, E> {
    pub(super) cache: &'a Cache<'a, E>,
    pub(super) sequence: &'a Sequence<'a>,
    pub(super) batch: usize,
    pub(super) key_heads: Range<usize>,
    /// Keys of a block.
    pub(super) block: usize,
    pub(super) scale: f32,
    pub(super) q: &'a [f32],
    pub(super) out: Output<'a, f32>,
}

/// One head of keys, with the rows that read it.
struct Head<'r, 'a, E> {
    rows: &'r Rows<'a, E>,
    key_head: usize,
    /// The head that is read next and how many tokens on, where its keys and values should be asked for early.
    next: Option<(usize, usize)>,
}

impl<E: Element> Rows<'_, E> {
    /// How many keys a row sees.
    #[inline(always)]
    fn seen(&self, row: usize) -> usize {
        let group = self.cache.sizes.heads / self.cache.sizes.key_heads;
        self.sequence.past + row / group + 1
    }

    /// One of the heads. A block that is the whole sequence would push its own beginning out of the cache, were anything asked for early.
    #[inline(always)]
    fn head(&self, key_head: usize) -> Head<'_, '_, E> {
        let next = if key_head + 1 < self.key_heads.end {
            (key_head + 1, 0)
        } else {
            (self.key_heads.start, self.block)
        };
        Head { rows: self, key_head, next: (self.block <= super::BLOCK).then_some(next) }
    }
}

impl<E: Element> Head<'_, '_, E> {
    /// Whether rows from `first` on are those that ask for the next keys while they score, and for the next values while they sum: a
    /// processor by itself begins anew with every run of keys or values, which are short.
    #[inline(always)]
    fn fetches_ahead(&self, first: usize) -> bool {
        first.is_multiple_of(super::ROWS) && self.next.is_some()
    }

    #[inline(always)]
    fn query(&self, row: usize) -> *const f32 {
        let sizes = &self.rows.cache.sizes;
        let at = sizes.query(self.rows.batch, self.key_head, row);
        self.rows.q[at..at + sizes.width].as_ptr()
    }

    /// The keys and values of some tokens, in runs that lie in one page each.
    #[inline(always)]
    fn runs(&self, tokens: Range<usize>) -> impl Iterator<Item = Run<E>> {
        let (cache, width) = (self.rows.cache, self.rows.cache.sizes.width);
        let mut token = tokens.start;
        std::iter::from_fn(
            #[inline(always)]
            move || {
                let left = tokens.end.checked_sub(token).filter(|&left| left > 0)?;
                let (at, follow) = cache.place(self.rows.sequence, token, self.key_head);
                let count = left.min(follow);
                // The ends are checked as well.
                cache.keys.at(at + count * width);
                cache.values.at(at + count * width);
                let run = Run { token, count, keys: cache.keys.at(at), values: cache.values.at(at) };
                token += count;
                Some(run)
            },
        )
    }

    /// The keys and values that are read next after those of a run, as many as lie together.
    #[inline(always)]
    fn after(&self, run: &Run<E>) -> Run<E> {
        let (cache, known) = (self.rows.cache, self.rows.sequence.past + self.rows.sequence.length);
        match self.next {
            Some((key_head, later)) if run.token + later < known => {
                let token = run.token + later;
                let (at, follow) = cache.place(self.rows.sequence, token, key_head);
                let count = run.count.min(follow).min(known - token);
                Run { token, count, keys: cache.keys.at(at), values: cache.values.at(at) }
            }
            _ => Run::none(),
        }
    }
}

/// Tokens whose keys, and values, lie one after the other.
struct Run<E> {
    /// The first.
    token: usize,
    count: usize,
    keys: *const E,
    values: *const E,
}

impl<E> Run<E> {
    #[inline(always)]
    fn none() -> Self {
        Self { token: 0, count: 0, keys: std::ptr::null(), values: std::ptr::null() }
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
    let (totals, scores) = scratch.split_at_mut(r.key_heads.len() * count * width);
    totals.fill(0.0);
    let mut softmax = [Softmax { top: f32::NEG_INFINITY, sum: 0.0 }; super::ROWS];
    let last = r.seen(range.end - 1);
    let mut from = 0;
    while from < last {
        let heads = totals.chunks_exact_mut(count * width).zip(softmax.chunks_exact_mut(count));
        for (key_head, (totals, softmax)) in r.key_heads.clone().zip(heads) {
            // SAFETY: passed on to the caller.
            unsafe { attend_block(s, &r.head(key_head), range.clone(), from, scores, totals, softmax) };
        }
        from += r.block;
    }
    let rows = r.key_heads.clone().flat_map(|head| range.clone().map(move |row| (head, row)));
    for (((head, row), totals), softmax) in rows.zip(totals.chunks_exact(width)).zip(&softmax) {
        let to = r.cache.sizes.query(r.batch, head, row);
        let factor = 1.0 / softmax.sum;
        // SAFETY: the caller owns these rows.
        let out = unsafe { r.out.slice(to..to + width) };
        for (out, total) in out.iter_mut().zip(totals) {
            *out = total * factor;
        }
    }
}

/// Adds the block of keys from `from` on to what the rows of a head have so far.
#[inline(always)]
unsafe fn attend_block<S: Simd, E: Element>(
    s: S,
    head: &Head<'_, '_, E>,
    range: Range<usize>,
    from: usize,
    scores: &mut [f32],
    totals: &mut [f32],
    softmax: &mut [Softmax],
) {
    let (r, width, count) = (head.rows, head.rows.cache.sizes.width, range.len());
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
                    TOGETHER => score::<S, E, TOGETHER>(s, head, range.start + at, from..to, scores),
                    _ => score::<S, E, 1>(s, head, range.start + at, from..to, scores),
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
                TOGETHER => mix_four(s, head, range.start + at, from, scores, totals),
                _ => {
                    let to = r.seen(range.start + at).min(from + r.block);
                    mix::<S, E, 1>(s, head, range.start + at, from..to.max(from), from, scores, totals);
                }
            }
        }
        at += together;
    }
}

/// Scores of `R` rows from `first` on with some keys, each row's in a block of its own.
#[allow(clippy::needless_range_loop, reason = "a row is an offset into the scores as well")]
#[inline(always)]
unsafe fn score<S: Simd, E: Element, const R: usize>(
    s: S,
    head: &Head<'_, '_, E>,
    first: usize,
    keys: Range<usize>,
    scores: &mut [f32],
) {
    let (r, width) = (head.rows, head.rows.cache.sizes.width);
    let ahead = head.fetches_ahead(first);
    let mut queries = [head.query(first); R];
    for i in 1..R {
        queries[i] = head.query(first + i);
    }
    for run in head.runs(keys.clone()) {
        let next = if ahead { head.after(&run) } else { Run::none() };
        let mut i = 0;
        while i < run.count {
            // A pair of keys; the odd one at the end is its own neighbour.
            let other = (i + 1).min(run.count - 1);
            let at = run.token + i - keys.start;
            // SAFETY: the run is as long as its count; queries and keys are `width` long.
            let sums = unsafe {
                if other < next.count {
                    prefetch(next.keys.add(i * width), (other + 1 - i) * width);
                }
                products::<S, E, R>(
                    s,
                    &queries,
                    [run.keys.add(i * width), run.keys.add(other * width)],
                    width,
                )
            };
            for row in 0..R {
                scores[row * r.block + at] = s.sum(sums[row][0]) * r.scale;
                if i + 1 < run.count {
                    scores[row * r.block + at + 1] = s.sum(sums[row][1]) * r.scale;
                }
            }
            i += 2;
        }
    }
}

/// Products of queries with two keys, lane by lane.
#[allow(clippy::needless_range_loop, reason = "rows of one array are those of another")]
#[inline(always)]
unsafe fn products<S: Simd, E: Element, const R: usize>(
    s: S,
    queries: &[*const f32; R],
    [left, right]: [*const E; 2],
    width: usize,
) -> [[S::F; 2]; R] {
    let whole = width - width % S::LANES;
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
    sums
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
    head: &Head<'_, '_, E>,
    first: usize,
    from: usize,
    scores: &[f32],
    totals: &mut [f32],
) {
    let (r, width) = (head.rows, head.rows.cache.sizes.width);
    let common = r.seen(first).min(from + r.block).max(from);
    // SAFETY: passed on to the caller.
    unsafe {
        mix::<S, E, TOGETHER>(s, head, first, from..common, from, scores, totals);
        let mut row = 1;
        while row < TOGETHER {
            let to = r.seen(first + row).min(from + r.block).max(common);
            let (scores, totals) = (&scores[row * r.block..], &mut totals[row * width..]);
            mix::<S, E, 1>(s, head, first + row, common..to, from, scores, totals);
            row += 1;
        }
    }
}

/// `totals += weights · values` for `R` rows from `first` on; the weights begin at token `from`.
#[inline(always)]
unsafe fn mix<S: Simd, E: Element, const R: usize>(
    s: S,
    head: &Head<'_, '_, E>,
    first: usize,
    tokens: Range<usize>,
    from: usize,
    weights: &[f32],
    totals: &mut [f32],
) {
    let (r, width) = (head.rows, head.rows.cache.sizes.width);
    assert!(tokens.is_empty() || weights.len() >= (R - 1) * r.block + tokens.end - from);
    assert!(totals.len() >= R * width);
    for run in head.runs(tokens) {
        let mut ahead = if head.fetches_ahead(first) { head.after(&run) } else { Run::none() };
        let weights = weights[run.token - from..].as_ptr();
        let mut i = 0;
        // SAFETY: values are `width` long, as are the rows of the totals; the weights reach as far as was just checked.
        unsafe {
            // As many sums as registers have room for: a chain waits for itself.
            if R == 1 || S::LANES == 16 {
                while i + 4 * S::LANES <= width {
                    mix_columns::<S, E, R, 4>(
                        s,
                        &run,
                        &ahead,
                        i,
                        width,
                        (weights, r.block),
                        totals.as_mut_ptr(),
                    );
                    ahead = Run::none();
                    i += 4 * S::LANES;
                }
            }
            while i + 2 * S::LANES <= width {
                mix_columns::<S, E, R, 2>(s, &run, &ahead, i, width, (weights, r.block), totals.as_mut_ptr());
                ahead = Run::none();
                i += 2 * S::LANES;
            }
            while i < width {
                let n = S::LANES.min(width - i);
                for row in 0..R {
                    let at = totals.as_mut_ptr().add(row * width + i);
                    let mut sum = some(s, at, n);
                    for t in 0..run.count {
                        let weight = s.splat(*weights.add(row * r.block + t));
                        sum = s.fma(weight, some(s, run.values.add(t * width + i), n), sum);
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
}

/// The same for the tokens of a run and `V` vectors of columns from `first` on, asking for a value of the `next` with each.
#[allow(clippy::needless_range_loop, reason = "a row is an offset into weights and totals as well")]
#[inline(always)]
unsafe fn mix_columns<S: Simd, E: Element, const R: usize, const V: usize>(
    s: S,
    run: &Run<E>,
    next: &Run<E>,
    first: usize,
    width: usize,
    (weights, stride): (*const f32, usize),
    totals: *mut f32,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        let mut sums = [[s.zero(); V]; R];
        for row in 0..R {
            for v in 0..V {
                sums[row][v] = s.load(totals.add(row * width + first + v * S::LANES));
            }
        }
        for t in 0..run.count {
            if t < next.count {
                prefetch(next.values.add(t * width), width);
            }
            let value = run.values.add(t * width + first);
            let mut values = [s.zero(); V];
            for v in 0..V {
                values[v] = E::load(s, value.add(v * S::LANES));
            }
            for row in 0..R {
                let weight = s.splat(*weights.add(row * stride + t));
                for v in 0..V {
                    sums[row][v] = s.fma(weight, values[v], sums[row][v]);
                }
            }
        }
        for row in 0..R {
            for v in 0..V {
                s.store(totals.add(row * width + first + v * S::LANES), sums[row][v]);
            }
        }
    }
}

/// Reads `n ≤ LANES` elements.
#[inline(always)]
unsafe fn some<S: Simd, E: Element>(s: S, p: *const E, n: usize) -> S::F {
    // SAFETY: passed on to the caller.
    unsafe { if n == S::LANES { E::load(s, p) } else { E::load_some(s, p, n) } }
}
