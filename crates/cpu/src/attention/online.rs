//! The route `online-softmax` with relative positions: a few tiles of queries of one head walk over blocks of keys.
//!
//! For each block of keys a tile forms its scores, raises its running maximum, rescales what it has summed so far and
//! adds the block's share of the values. Nothing grows with the length of the sequence, so a task's scratch memory
//! stays in the cache whatever the audio's length. Blocks of keys lie at multiples of [`KEYS`] from the sequence's
//! beginning, so a row's bits don't depend on the queries it shares a tile with, nor on padding.
//!
//! With the route `bf16-dot` queries, keys, positions, probabilities and values are pairs of bfloat16; sums, maxima
//! and exponentials stay floats.

use super::block::Queries;
use super::layout::Layout;
use crate::matmul::pack_rows;
use crate::simd::dispatch;
use crate::simd::math::exp;
use crate::simd::tile::{Ahead, F32, Tile, Tiles};
use std::ops::Range;

/// Keys of a block: a multiple of every panel's width.
pub(super) const KEYS: usize = 256;
/// Tiles of queries in a task: each block of keys is read from memory once for all of them.
pub(super) const TILES: usize = 4;

/// The number of each lane.
const LANE: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];

/// Sizes of the scratch memory of a task, in floats.
#[derive(Clone, Copy)]
struct Sizes {
    /// A tile's packed queries.
    queries: usize,
    /// A tile's rows of sums, whole panels wide.
    width: usize,
    /// Position scores of a tile's row: a block's keys, the tile's other rows, and what whole panels add.
    spread: usize,
    tallest: usize,
}

impl Sizes {
    fn of(l: &Layout) -> Self {
        let (tallest, panel) = (l.tiles.tallest(), l.tiles.panel);
        Self {
            queries: tallest * l.steps(l.depth),
            width: l.depth.next_multiple_of(panel),
            spread: KEYS + (tallest + panel - 2).next_multiple_of(panel),
            tallest,
        }
    }

    /// What a tile keeps from block to block: queries with either bias, sums, position scores, maxima and totals.
    fn kept(&self) -> usize {
        2 * self.queries + self.tallest * (self.width + self.spread + 2)
    }

    /// What one tile after another uses: biased queries, scores, packed probabilities.
    fn passing(&self, l: &Layout) -> usize {
        self.tallest * (l.depth + 2 * KEYS)
    }
}

/// Floats of a thread's scratch memory.
pub(super) fn private(l: &Layout) -> usize {
    let sizes = Sizes::of(l);
    TILES * sizes.kept() + sizes.passing(l)
}

/// A tile of queries.
struct Rows<'a> {
    /// The queries that exist.
    queries: Range<usize>,
    /// The height of the tile that computes them.
    height: usize,
    /// Position panels below this one are done.
    positions_done: i64,
    content: &'a mut [f32],
    position: &'a mut [f32],
    /// `[row][width]`.
    sums: &'a mut [f32],
    /// `[row][spread]`.
    shifts: &'a mut [f32],
    /// The largest score of each row so far.
    largest: &'a mut [f32],
    /// The sum of each row's exponentials so far.
    totals: &'a mut [f32],
}

/// Where a tile meets a block of keys.
struct Meeting {
    batch: usize,
    head: usize,
    /// The block's first key.
    block: usize,
    /// Keys of the block that any of the tile's queries sees.
    keys: Range<usize>,
    /// The first panel of position scores kept, possibly before the table.
    first_position: i64,
}

dispatch! {
    /// Computes the tiles of queries from `first` on; queries past `length` give zeros.
    pub(super) fn attend(
        queries: &Queries<'_>,
        batch: usize,
        head: usize,
        first: usize,
        length: usize,
        scratch: &mut [f32],
    ) = attend_body;
}

#[inline(always)]
unsafe fn attend_body<S: Tiles>(
    s: S,
    queries: &Queries<'_>,
    batch: usize,
    head: usize,
    first: usize,
    length: usize,
    scratch: &mut [f32],
) {
    let l = queries.layout;
    let sizes = Sizes::of(l);
    let block = first..l.queries.min(first + TILES * sizes.tallest);
    let present = first..block.end.min(l.present(length)).max(first);
    for i in present.end..block.end {
        // SAFETY: these rows of this head belong to this task.
        unsafe { queries.out.slice(queries.row(batch, i, head)) }.fill(0.0);
    }
    let count = present.len().div_ceil(sizes.tallest);
    let (kept, passing) = scratch.split_at_mut(TILES * sizes.kept());
    for (tile, kept) in kept.chunks_exact_mut(sizes.kept()).enumerate().take(count) {
        let from = first + tile * sizes.tallest;
        let mut rows = rows_in(kept, l, &sizes, from..present.end.min(from + sizes.tallest), i64::MIN);
        rows.largest.fill(f32::NEG_INFINITY);
        rows.totals.fill(0.0);
        rows.sums.fill(0.0);
        pack_queries(queries, batch, head, &mut rows, passing);
    }
    let seen = l.keys_of(&present, length);
    let mut done = [i64::MIN; TILES];
    let mut block = seen.start / KEYS * KEYS;
    while block < seen.end {
        for (tile, kept) in kept.chunks_exact_mut(sizes.kept()).enumerate().take(count) {
            let from = first + tile * sizes.tallest;
            let range = from..present.end.min(from + sizes.tallest);
            let keys = l.keys_of(&range, length);
            let keys = keys.start.max(block)..keys.end.min(block + KEYS);
            if keys.is_empty() {
                continue;
            }
            let lowest = l.first_offset - (range.end as i64 - 1) + block as i64;
            let first_position = lowest.div_euclid(S::PANEL as i64);
            let meeting = Meeting { batch, head, block, keys, first_position };
            let mut rows = rows_in(kept, l, &sizes, range, done[tile]);
            // SAFETY: the scratch memory was cut to the sizes of this layout.
            unsafe { meet(s, queries, &sizes, &meeting, &mut rows, passing) };
            done[tile] = rows.positions_done;
        }
        block += KEYS;
    }
    for (tile, kept) in kept.chunks_exact_mut(sizes.kept()).enumerate().take(count) {
        let from = first + tile * sizes.tallest;
        let rows = rows_in(kept, l, &sizes, from..present.end.min(from + sizes.tallest), 0);
        for (r, i) in rows.queries.clone().enumerate() {
            let total = rows.totals[r];
            let factor = if total == 0.0 { 0.0 } else { 1.0 / total };
            // SAFETY: these rows of this head belong to this task.
            let out = unsafe { queries.out.slice(queries.row(batch, i, head)) };
            for (out, &sum) in out.iter_mut().zip(&rows.sums[r * sizes.width..]) {
                *out = sum * factor;
            }
        }
    }
}

/// Cuts what a tile keeps.
#[inline(always)]
fn rows_in<'a>(
    kept: &'a mut [f32],
    l: &Layout,
    sizes: &Sizes,
    queries: Range<usize>,
    positions_done: i64,
) -> Rows<'a> {
    let (content, kept) = kept.split_at_mut(sizes.queries);
    let (position, kept) = kept.split_at_mut(sizes.queries);
    let (sums, kept) = kept.split_at_mut(sizes.tallest * sizes.width);
    let (shifts, kept) = kept.split_at_mut(sizes.tallest * sizes.spread);
    let (largest, totals) = kept.split_at_mut(sizes.tallest);
    let height = l.tiles.height_for(queries.len());
    Rows { queries, height, positions_done, content, position, sums, shifts, largest, totals }
}

/// Packs a tile's queries with either bias.
#[inline(always)]
fn pack_queries(queries: &Queries<'_>, batch: usize, head: usize, rows: &mut Rows<'_>, biased: &mut [f32]) {
    let l = queries.layout;
    let biased = &mut biased[..rows.queries.len() * l.depth];
    let biases = [(queries.content_bias, &mut *rows.content), (queries.position_bias, &mut *rows.position)];
    for (bias, out) in biases {
        let bias = queries.bias_of(bias, head);
        for (i, row) in rows.queries.clone().zip(biased.chunks_exact_mut(l.depth)) {
            let q = &queries.q[queries.row(batch, i, head)];
            match bias {
                Some(bias) => {
                    row.iter_mut().zip(q).zip(bias).for_each(|((out, &q), &b)| *out = q + b);
                }
                None => row.copy_from_slice(q),
            }
        }
        let biased = biased.chunks_exact(l.depth);
        match l.bf16 {
            Some(bf16) => bf16.pack_rows(biased, l.depth, rows.height, out),
            None => pack_rows(biased, l.depth, rows.height, out),
        }
    }
}

/// Adds a block of keys to a tile's sums.
#[inline(always)]
unsafe fn meet<S: Tiles>(
    s: S,
    queries: &Queries<'_>,
    sizes: &Sizes,
    at: &Meeting,
    rows: &mut Rows<'_>,
    scratch: &mut [f32],
) {
    let l = queries.layout;
    let (scores, scratch) = scratch.split_at_mut(sizes.tallest * KEYS);
    let packed = &mut scratch[..sizes.tallest * l.steps(KEYS)];
    let panels = at.keys.start / S::PANEL..at.keys.end.div_ceil(S::PANEL);
    // SAFETY: the panels lie within `panels`, and the buffers hold a tile's rows of whole panels.
    unsafe {
        for panel in panels.clone() {
            let w = &queries.panels[l.keys_at(at.batch, at.head, panel)..][..l.key_panel()];
            let c = &mut scores[panel * S::PANEL - at.block..];
            product(s, l, rows.height, rows.content, w, l.steps(l.depth), (c, KEYS), false);
        }
        position_scores(s, queries, sizes, at, rows);
        let mut r = 0;
        while r < rows.queries.len() {
            let query = rows.queries.start + r;
            let scores = &mut scores[r * KEYS..(r + 1) * KEYS];
            let shifts = &rows.shifts[r * sizes.spread..(r + 1) * sizes.spread];
            let factor = weigh(s, l, at, query, scores, shifts, &mut rows.largest[r], &mut rows.totals[r]);
            if factor != 1.0 {
                let sums = rows.sums[r * sizes.width..(r + 1) * sizes.width].as_mut_ptr();
                let factor = s.splat(factor);
                let mut i = 0;
                while i < sizes.width {
                    s.store(sums.add(i), s.mul(s.load(sums.add(i)), factor));
                    i += S::LANES;
                }
            }
            r += 1;
        }
        let (from, to) = (panels.start * S::PANEL, at.keys.end);
        let probabilities = scores.chunks_exact(KEYS).take(rows.queries.len());
        let probabilities = probabilities.map(|row| &row[from - at.block..to - at.block]);
        match l.bf16 {
            Some(bf16) => bf16.pack_rows(probabilities, to - from, rows.height, packed),
            None => pack_rows(probabilities, to - from, rows.height, packed),
        }
        for panel in 0..sizes.width / S::PANEL {
            let values = &queries.panels[l.values_at(at.batch, at.head, panel)..][..l.value_panel()];
            let w = &values[l.steps(from) * S::PANEL..];
            let c = &mut rows.sums[panel * S::PANEL..];
            product(s, l, rows.height, packed, w, l.steps(to - from), (c, sizes.width), true);
        }
    }
}

/// Scores of the tile's queries against the positions that its pairs with the block's keys need. What the block
/// before has left over is moved to its new place.
#[inline(always)]
unsafe fn position_scores<S: Tiles>(
    s: S,
    queries: &Queries<'_>,
    sizes: &Sizes,
    at: &Meeting,
    rows: &mut Rows<'_>,
) {
    let (l, width) = (queries.layout, S::PANEL as i64);
    let lowest = l.first_offset - (rows.queries.end as i64 - 1) + at.keys.start as i64;
    let highest = l.first_offset - rows.queries.start as i64 + at.keys.end as i64;
    // Pairs outside the window may lie outside the table: they are never read.
    let from = lowest.div_euclid(width).max(0);
    let to = (highest + width - 1).div_euclid(width).min(l.offset_panels() as i64);
    let mut panel = from;
    while panel < to {
        let column = ((panel - at.first_position) * width) as usize;
        if panel < rows.positions_done {
            for row in rows.shifts.chunks_exact_mut(sizes.spread).take(rows.queries.len()) {
                row.copy_within(column + KEYS..column + KEYS + S::PANEL, column);
            }
        } else {
            let w = &queries.panels[l.positions_at(at.head, panel as usize)..][..l.key_panel()];
            let c = (&mut rows.shifts[column..], sizes.spread);
            // SAFETY: the columns of a panel lie within the spread.
            unsafe { product(s, l, rows.height, rows.position, w, l.steps(l.depth), c, false) };
        }
        panel += 1;
    }
    rows.positions_done = to;
}

/// A tile of floats or of pairs.
#[inline(always)]
unsafe fn product<S: Tiles>(
    s: S,
    l: &Layout,
    height: usize,
    x: &[f32],
    w: &[f32],
    steps: usize,
    (c, c_stride): (&mut [f32], usize),
    accumulate: bool,
) {
    let mut k0 = 0;
    let block = l.steps(crate::weights::K_BLOCK);
    while k0 < steps {
        let terms = block.min(steps - k0);
        let (x, w) = (&x[k0 * height..][..terms * height], &w[k0 * S::PANEL..][..terms * S::PANEL]);
        debug_assert!(c.len() >= (height - 1) * c_stride + S::PANEL);
        let tile = Tile {
            x: x.as_ptr(),
            x_step: height,
            segments: 1,
            x_jump: 0,
            w: w.as_ptr().cast(),
            w_stride: S::PANEL,
            k: terms,
            c: c.as_mut_ptr(),
            c_stride,
            accumulate: accumulate || k0 > 0,
        };
        // Panels follow each other in memory as they do here.
        let ahead = Ahead { from: w.as_ptr_range().end.cast(), step: 4 * S::PANEL };
        // SAFETY: passed on to the caller; only levels that have the instruction are given pairs.
        unsafe {
            if l.bf16.is_some() {
                s.pairs_ahead(height, &tile, ahead);
            } else {
                s.tile_ahead::<F32>(height, &tile, ahead);
            }
        }
        k0 += block;
    }
}

/// Turns a query's scores of a block into `exp(score − largest)`, zero for keys it doesn't see, and raises `largest`
/// and `total`. Returns what the sums so far must be multiplied with.
#[inline(always)]
unsafe fn weigh<S: Tiles>(
    s: S,
    l: &Layout,
    at: &Meeting,
    query: usize,
    scores: &mut [f32],
    shifts: &[f32],
    largest: &mut f32,
    total: &mut f32,
) -> f32 {
    let [left, right] = l.window.unwrap_or([usize::MAX; 2]);
    let from = at.keys.start.max(query.saturating_sub(left));
    let to = at.keys.end.min(query.saturating_add(right).saturating_add(1)).max(from);
    // Whole panels are multiplied with the values, in columns of the block.
    let (panels_start, panels_end) =
        (at.keys.start / S::PANEL * S::PANEL, at.keys.end.next_multiple_of(S::PANEL));
    let (start, end) = (panels_start - at.block, panels_end - at.block);
    if from == to {
        scores[start..end].fill(0.0);
        return 1.0;
    }
    let (from, to) = (from - at.block, to - at.block);
    // Vectors lie at multiples of their width from the block's beginning, so that a row's sums have one order.
    let (first, last) = (from / S::LANES * S::LANES, to.next_multiple_of(S::LANES));
    let shift = l.first_offset - query as i64 + at.block as i64 - at.first_position * S::PANEL as i64;
    let shifts = shifts[usize::try_from(shift).unwrap_or(usize::MAX)..][..last].as_ptr();
    scores[start..first].fill(0.0);
    scores[last..end].fill(0.0);
    let x = scores.as_mut_ptr();
    let scale = s.splat(l.scale);
    // SAFETY: both slices reach to `last`.
    unsafe {
        let (lane, nothing) = (s.load(LANE.as_ptr()), s.splat(f32::NEG_INFINITY));
        let mut top = s.splat(*largest);
        let mut i = first;
        while i < last {
            let mut score = s.mul(s.add(s.load(x.add(i)), s.load(shifts.add(i))), scale);
            if i < from {
                score = s.select(s.less(lane, s.splat((from - i) as f32)), nothing, score);
            }
            if i + S::LANES > to {
                score = s.select(s.less(lane, s.splat((to - i) as f32)), score, nothing);
            }
            s.store(x.add(i), score);
            top = s.max(top, score);
            i += S::LANES;
        }
        let before = *largest;
        *largest = s.largest(top);
        let (top, mut sum) = (s.splat(*largest), s.zero());
        let mut i = first;
        while i < last {
            let e = exp(s, s.sub(s.load(x.add(i)), top));
            s.store(x.add(i), e);
            sum = s.add(sum, e);
            i += S::LANES;
        }
        if *largest == before {
            *total += s.sum(sum);
            return 1.0;
        }
        let mut factor = [0.0; 16];
        s.store(factor.as_mut_ptr(), exp(s, s.sub(s.splat(before), top)));
        *total = *total * factor[0] + s.sum(sum);
        factor[0]
    }
}
