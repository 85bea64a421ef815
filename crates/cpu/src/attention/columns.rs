//! A panel of queries of one head, side by side as the columns of everything: scores are `[key][query]`, sums are
//! `[element][query]`.
//!
//! Largest scores, exponentials, their totals and what sums are rescaled with are then vectors over queries: no row is
//! ever reduced or masked. Weights lie in the order in which the product with the values reads them, so that nothing
//! is turned on the way; as pairs of bfloat16 they are rounded in registers and written over the scores. Rows of the
//! two products are keys and elements of a value, which were packed once for all queries.
//!
//! Scores are measured from a reference that follows the largest score only when that is [`SLACK`] ahead: sums are
//! hardly ever rescaled, and no weight exceeds `2^SLACK`. Each query decides by itself and blocks of keys lie at
//! multiples of their size, so its bits don't depend on what else is in the panel, nor on padding.

use super::full::Sizes;
use crate::matmul::{pack_columns, pack_rows};
use crate::memory::{Output, prefetch, prefetch_to_write};
use crate::simd::dispatch;
use crate::simd::math::exp2_fast;
use crate::simd::tile::{Ahead, F32, Tile, Tiles};

/// Tiles of keys in a block, an even number of keys: scores, and the keys and values they belong to, stay near the first-level cache.
pub(super) const KEYS_TILES: usize = 8;
/// The widest panel and the tallest tile there is.
pub(super) const MOST: usize = 32;
/// How far scores, in powers of two, may be ahead of what they are measured from.
const SLACK: f32 = 8.0;

/// What all panels read.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) sizes: &'a Sizes,
    /// `[B, Tq, heads, depth]`.
    pub(super) q: &'a [f32],
    /// Keys and values as [`Sizes`] places them.
    pub(super) packed: &'a [f32],
    pub(super) out: Output<'a, f32>,
}

/// Floats of a thread's scratch memory: packed queries, scores, sums, and rows on their way in or out.
pub(super) fn private(sizes: &Sizes) -> usize {
    let panel = sizes.tiles.panel;
    panel * (sizes.steps(sizes.depth) + sizes.block + sums(sizes) + sums(sizes))
}

/// Rows of sums: the tiles', and whole fours.
fn sums(sizes: &Sizes) -> usize {
    sizes.wide().max(sizes.depth.next_multiple_of(4))
}

/// What scores of a panel are measured from, and the sum of weights so far.
struct Totals {
    reference: [f32; MOST],
    total: [f32; MOST],
}

dispatch! {
    /// Computes the panel of queries from `first` on; queries past `length` of sequences with a key for each query
    /// give zeros.
    pub(super) fn attend(work: &Work<'_>, line: usize, first: usize, length: usize, scratch: &mut [f32]) = attend_body;
}

#[inline(always)]
unsafe fn attend_body<S: Tiles>(
    s: S,
    work: &Work<'_>,
    line: usize,
    first: usize,
    length: usize,
    scratch: &mut [f32],
) {
    let sizes = work.sizes;
    let (depth, height, wide) = (sizes.depth, sizes.height(), sizes.wide());
    let tile_for = |rows: usize| if rows < height { sizes.tiles.height_for(rows) } else { height };
    let (batch, head) = (line / sizes.heads, line % sizes.heads);
    let row = |query: usize| {
        let at = ((batch * sizes.queries + query) * sizes.heads + head) * depth;
        at..at + depth
    };
    let end = sizes.queries.min(first + S::PANEL);
    // As many queries as keys are the same frames.
    let all = if sizes.queries == sizes.time { length } else { sizes.queries };
    let present = if length == 0 { first } else { end.min(all).max(first) };
    for query in present..end {
        // SAFETY: these rows of this head belong to this task.
        unsafe { work.out.slice(row(query)) }.fill(0.0);
    }
    if first == present {
        return;
    }
    // A head's rows lie a whole frame apart, which the machine doesn't foresee: those of the next panel, and where this
    // one's results go.
    for query in end..sizes.queries.min(end + S::PANEL) {
        prefetch(&work.q[row(query)]);
    }
    for query in first..present {
        prefetch_to_write(work.out.at(row(query).start).cast(), 4 * depth);
    }
    let (queries, scratch) = scratch.split_at_mut(sizes.steps(depth) * S::PANEL);
    let (scores, scratch) = scratch.split_at_mut(sizes.block * S::PANEL);
    let (sums, rows) = scratch.split_at_mut(sums(sizes) * S::PANEL);
    let rows = &mut rows[..sums.len()];

    // With the scale and the logarithm of e in the queries a weight is a power of two of its score.
    let factor = sizes.scale * std::f32::consts::LOG2_E;
    for (query, scaled) in (first..present).zip(rows.chunks_exact_mut(depth)) {
        scaled.iter_mut().zip(&work.q[row(query)]).for_each(|(out, &q)| *out = q * factor);
    }
    let scaled = rows.chunks_exact(depth).take(present - first);
    match sizes.bf16 {
        Some(bf16) => bf16.pack_rows(scaled, depth, S::PANEL, queries),
        None => pack_rows(scaled, depth, S::PANEL, queries),
    }
    let mut totals = Totals { reference: [f32::NEG_INFINITY; MOST], total: [0.0; MOST] };
    let mut block = 0;
    while block < length {
        let keys = sizes.block.min(length - block);
        let mut key = 0;
        while key < keys {
            let x = &work.packed[sizes.keys_at(line, (block + key) / height)..][..sizes.key_tile()];
            let rows = tile_for(keys - key);
            let c = &mut scores[key * S::PANEL..];
            // SAFETY: the slices reach as far as the tile does.
            unsafe { product(s, sizes, rows, (x, height), queries, sizes.steps(depth), c, false) };
            key += height;
        }
        // SAFETY: the scores of whole tiles were just written; sums are as large as `private` makes them.
        unsafe { weigh(s, sizes, keys, block > 0, scores, sums, &mut totals) };
        let values = &work.packed[sizes.values_at(line, block)..];
        let mut element = 0;
        while element < depth {
            let x = &values[element..];
            let rows = tile_for(depth - element);
            let c = &mut sums[element * S::PANEL..];
            // SAFETY: as above.
            unsafe {
                product(s, sizes, rows, (x, wide), scores, sizes.steps(keys), c, block > 0);
            }
            element += height;
        }
        block += sizes.block;
    }
    // SAFETY: the sums are whole vectors.
    unsafe { scale_sums(s, sums, depth, |s, i| s.div(s.splat(1.0), s.load(totals.total.as_ptr().add(i)))) };
    let turned = depth.next_multiple_of(4);
    for element in (0..depth).step_by(4) {
        let of = |i: usize| &sums[(element + i) * S::PANEL..][..S::PANEL];
        pack_columns([of(0), of(1), of(2), of(3)], element, turned, rows);
    }
    for (query, row_of) in (first..present).zip(rows.chunks_exact(turned)) {
        // SAFETY: these rows of this head belong to this task.
        unsafe { work.out.slice(row(query)) }.copy_from_slice(&row_of[..depth]);
    }
}

/// A tile of floats or of pairs: rows of `x`, so many elements apart from term to term, by a panel of queries.
#[inline(always)]
unsafe fn product<S: Tiles>(
    s: S,
    sizes: &Sizes,
    rows: usize,
    (x, x_step): (&[f32], usize),
    w: &[f32],
    steps: usize,
    c: &mut [f32],
    accumulate: bool,
) {
    debug_assert!(x.len() >= (steps - 1) * x_step + rows && w.len() >= steps * S::PANEL);
    debug_assert!(c.len() >= rows * S::PANEL);
    let tile = Tile {
        x: x.as_ptr(),
        x_step,
        segments: 1,
        x_jump: 0,
        w: w.as_ptr().cast(),
        w_stride: S::PANEL,
        k: steps,
        c: c.as_mut_ptr(),
        c_stride: S::PANEL,
        accumulate,
    };
    // Keys and values follow each other in memory as they do here.
    let ahead = Ahead { from: x.as_ptr().wrapping_add(steps * x_step).cast(), step: 4 * rows };
    // SAFETY: passed on to the caller; only levels that have the instruction are given pairs.
    unsafe {
        if sizes.bf16.is_some() {
            s.pairs_ahead(rows, &tile, ahead);
        } else {
            s.tile_ahead::<F32>(rows, &tile, ahead);
        }
    }
}

/// Multiplies `rows` rows of sums by vectors over queries.
#[inline(always)]
unsafe fn scale_sums<S: Tiles>(s: S, sums: &mut [f32], rows: usize, factor: impl Fn(S, usize) -> S::F) {
    let sums = &mut sums[..rows * S::PANEL];
    // SAFETY: two vectors are a row of a panel.
    unsafe {
        let (left, right) = (factor(s, 0), factor(s, S::LANES));
        let mut at = 0;
        while at < sums.len() {
            let (a, b) = (sums.as_mut_ptr().add(at), sums.as_mut_ptr().add(at + S::LANES));
            s.store(a, s.mul(s.load(a), left));
            s.store(b, s.mul(s.load(b), right));
            at += S::PANEL;
        }
    }
}

/// Turns the scores of a block's keys into weights, raises references and totals, and rescales the sums so far where a
/// reference was raised.
#[inline(always)]
unsafe fn weigh<S: Tiles>(
    s: S,
    sizes: &Sizes,
    keys: usize,
    summed: bool,
    scores: &mut [f32],
    sums: &mut [f32],
    totals: &mut Totals,
) {
    let x = scores[..keys * S::PANEL].as_mut_ptr();
    // SAFETY: rows of two vectors each, within the scores; the totals hold a panel's queries.
    unsafe {
        // Two chains for each column: one would wait for itself.
        let (mut a, mut b) = (s.load(x), s.load(x.add(S::LANES)));
        let (mut c, mut d) = (a, b);
        let mut key = 1;
        while key + 2 <= keys {
            let p = x.add(key * S::PANEL);
            (a, b) = (s.max(a, s.load(p)), s.max(b, s.load(p.add(S::LANES))));
            (c, d) = (s.max(c, s.load(p.add(S::PANEL))), s.max(d, s.load(p.add(S::PANEL + S::LANES))));
            key += 2;
        }
        if key < keys {
            let p = x.add(key * S::PANEL);
            (a, b) = (s.max(a, s.load(p)), s.max(b, s.load(p.add(S::LANES))));
        }
        let (left, right) = (raise(s, s.max(a, c), totals, 0), raise(s, s.max(b, d), totals, S::LANES));
        if summed && (left.raised || right.raised) {
            scale_sums(
                s,
                sums,
                sizes.wide(),
                #[inline(always)]
                |_, i| if i == 0 { left.factor } else { right.factor },
            );
        }
        let (mut a, mut b) = (s.zero(), s.zero());
        let mut key = 0;
        if sizes.bf16.is_some() {
            while key < keys {
                let (p, to) = (x.add(key * S::PANEL), x.add(key / 2 * S::PANEL));
                let e = exp2_fast(s, s.sub(s.load(p), left.reference));
                let f = exp2_fast(s, s.sub(s.load(p.add(S::LANES)), right.reference));
                let (mut g, mut h) = (s.zero(), s.zero());
                if key + 1 < keys {
                    g = exp2_fast(s, s.sub(s.load(p.add(S::PANEL)), left.reference));
                    h = exp2_fast(s, s.sub(s.load(p.add(S::PANEL + S::LANES)), right.reference));
                }
                (a, b) = (s.add(a, s.add(e, g)), s.add(b, s.add(f, h)));
                s.store(to, s.pair(e, g));
                s.store(to.add(S::LANES), s.pair(f, h));
                key += 2;
            }
        } else {
            while key < keys {
                let p = x.add(key * S::PANEL);
                let e = exp2_fast(s, s.sub(s.load(p), left.reference));
                let f = exp2_fast(s, s.sub(s.load(p.add(S::LANES)), right.reference));
                (a, b) = (s.add(a, e), s.add(b, f));
                s.store(p, e);
                s.store(p.add(S::LANES), f);
                key += 1;
            }
        }
        let total = totals.total.as_mut_ptr();
        s.store(total, s.fma(s.load(total), left.factor, a));
        let total = total.add(S::LANES);
        s.store(total, s.fma(s.load(total), right.factor, b));
    }
}

/// What scores of a vector of queries are measured from now, and what came before must be multiplied with.
struct Raised<F> {
    reference: F,
    factor: F,
    raised: bool,
}

/// Raises the references of the queries from column `at` on whose largest score is too far ahead.
#[inline(always)]
unsafe fn raise<S: Tiles>(s: S, largest: S::F, totals: &mut Totals, at: usize) -> Raised<S::F> {
    // SAFETY: the totals hold a panel's queries.
    unsafe {
        let p = totals.reference.as_mut_ptr().add(at);
        let before = s.load(p);
        let ahead = s.less(s.add(before, s.splat(SLACK)), largest);
        let reference = s.select(ahead, largest, before);
        s.store(p, reference);
        let factor = s.select(ahead, exp2_fast(s, s.sub(before, reference)), s.splat(1.0));
        Raised { reference, factor, raised: s.any(ahead) }
    }
}
