//! One block of queries of one head.

use super::exponentials::exponentials;
use super::layout::Layout;
use crate::matmul::pack_rows;
use crate::memory::Output;
use crate::simd::dispatch;
use crate::simd::tile::{F32, Tile, Tiles};
use crate::weights::K_BLOCK;
use std::ops::Range;

/// What all blocks read.
#[derive(Clone, Copy)]
pub(super) struct Queries<'a> {
    pub(super) layout: &'a Layout,
    /// `[B, T, C]`.
    pub(super) q: &'a [f32],
    /// `[heads, depth]`, added to queries before they meet keys.
    pub(super) content_bias: Option<&'a [f32]>,
    /// `[heads, depth]`, added to queries before they meet positions, where there are positions.
    pub(super) position_bias: Option<&'a [f32]>,
    /// Keys, values and positions as [`Layout`] places them.
    pub(super) panels: &'a [f32],
    pub(super) out: Output<'a, f32>,
}

impl Queries<'_> {
    /// Where a query's row of a head lies in `q` and in the output.
    #[inline(always)]
    pub(super) fn row(&self, batch: usize, query: usize, head: usize) -> Range<usize> {
        let l = self.layout;
        let at = ((batch * l.queries + query) * l.heads + head) * l.depth;
        at..at + l.depth
    }

    /// What of a bias is a head's, zeros being `None`.
    #[inline(always)]
    pub(super) fn bias_of<'b>(&self, bias: Option<&'b [f32]>, head: usize) -> Option<&'b [f32]> {
        bias.map(|bias| &bias[head * self.layout.depth..(head + 1) * self.layout.depth])
    }
}

dispatch! {
    /// Computes the block of queries from `first` on; queries past `length` give zeros.
    pub(super) fn attend(
        queries: &Queries<'_>,
        batch: usize,
        head: usize,
        first: usize,
        length: usize,
        scratch: &mut [f32],
    ) = attend_body;
}

/// Where a block is.
#[derive(Clone)]
struct Place {
    batch: usize,
    head: usize,
    /// Queries that exist.
    rows: Range<usize>,
    /// Keys that any of them sees.
    keys: Range<usize>,
    /// The first key of the panels those are in.
    first_key: usize,
    /// The table row of the first position score.
    first_offset: usize,
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
    let block = first..l.queries.min(first + l.block);
    let rows = first..block.end.min(l.present(length)).max(first);
    for i in rows.end..block.end {
        // SAFETY: these rows of this head belong to this task.
        unsafe { queries.out.slice(queries.row(batch, i, head)) }.fill(0.0);
    }
    if rows.is_empty() {
        return;
    }
    let (content, scratch) = scratch.split_at_mut(l.block * l.depth);
    let (position, scratch) = scratch.split_at_mut(l.block * l.depth);
    let (scores, scratch) = scratch.split_at_mut(l.block * l.keys);
    let (shifts, scratch) = scratch.split_at_mut(l.block * l.spread);
    let (packed, scratch) = scratch.split_at_mut(l.tiles.tallest() * l.keys);
    let (totals, sums) = scratch.split_at_mut(l.block * S::PANEL);

    let keys = l.keys_of(&rows, length);
    let first_key = keys.start / S::PANEL * S::PANEL;
    // The table row of the offset i − j is first_offset − (i − j); the last query and the first key have the lowest.
    // Pairs outside the window may lie outside the table: they are never read.
    let lowest = l.first_offset - (rows.end as i64 - 1) + keys.start as i64;
    let highest = l.first_offset - rows.start as i64 + keys.end as i64;
    let lowest = usize::try_from(lowest).unwrap_or(0);
    let highest = usize::try_from(highest).unwrap_or(0).min(l.offsets);
    let first_offset = lowest / S::PANEL * S::PANEL;
    let place = Place { batch, head, rows, keys, first_key, first_offset };

    add_bias(queries, &place, queries.content_bias, content);
    if l.positional {
        add_bias(queries, &place, queries.position_bias, position);
    }
    // SAFETY: the buffers are as wide as `Layout` makes them, the panels lie within `panels`.
    unsafe {
        for panel in first_key / S::PANEL..place.keys.end.div_ceil(S::PANEL) {
            let at = panel * S::PANEL - first_key;
            score(
                s,
                l,
                &place,
                content,
                &queries.panels[l.keys_at(batch, head, panel)..],
                &mut scores[at..],
                l.keys,
            );
        }
        for panel in first_offset / S::PANEL..highest.div_ceil(S::PANEL) {
            let (at, from) = (panel * S::PANEL - first_offset, l.positions_at(head, panel));
            score(s, l, &place, position, &queries.panels[from..], &mut shifts[at..], l.spread);
        }
        for (r, sum) in sums.iter_mut().enumerate().take(place.rows.len()) {
            let scores = &mut scores[r * l.keys..][..l.keys];
            let shifts = l.positional.then(|| &shifts[r * l.spread..][..l.spread]);
            *sum = probabilities(s, l, &place, place.rows.start + r, scores, shifts);
        }
        mix(s, queries, &place, scores, packed, totals, sums);
    }
}

/// Packs the block's queries plus a bias, tile by tile.
#[inline(always)]
fn add_bias(queries: &Queries<'_>, place: &Place, bias: Option<&[f32]>, out: &mut [f32]) {
    let l = queries.layout;
    let bias = queries.bias_of(bias, place.head);
    let tallest = l.tiles.tallest();
    for (tile, out) in out.chunks_exact_mut(tallest * l.depth).enumerate() {
        let first = place.rows.start + tile * tallest;
        if first >= place.rows.end {
            break;
        }
        let rows = first..place.rows.end.min(first + tallest);
        let height = l.tiles.height_for(rows.len());
        for (r, i) in rows.clone().enumerate() {
            let q = &queries.q[queries.row(place.batch, i, place.head)];
            let out = out[r..].iter_mut().step_by(height).zip(q);
            match bias {
                Some(bias) => out.zip(bias).for_each(|((out, &q), &b)| *out = q + b),
                None => out.for_each(|(out, &q)| *out = q),
            }
        }
        for r in rows.len()..height {
            out[r..].iter_mut().step_by(height).take(l.depth).for_each(|out| *out = 0.0);
        }
    }
}

/// Scores of the block's queries against one panel.
#[inline(always)]
unsafe fn score<S: Tiles>(
    s: S,
    l: &Layout,
    place: &Place,
    queries: &[f32],
    panel: &[f32],
    out: &mut [f32],
    stride: usize,
) {
    let tallest = l.tiles.tallest();
    for tile in 0..place.rows.len().div_ceil(tallest) {
        let height = l.tiles.height_for(place.rows.len() - tile * tallest);
        for k0 in (0..l.depth).step_by(K_BLOCK) {
            let x = &queries[tile * tallest * l.depth + k0 * height..];
            let tile = Tile {
                x: x.as_ptr(),
                x_step: height,
                segments: 1,
                x_jump: 0,
                w: panel[k0 * S::PANEL..].as_ptr().cast(),
                w_stride: S::PANEL,
                k: K_BLOCK.min(l.depth - k0),
                c: out[tile * tallest * stride..].as_mut_ptr(),
                c_stride: stride,
                accumulate: k0 > 0,
            };
            // SAFETY: passed on to the caller.
            unsafe { s.tile::<F32>(height, &tile) };
        }
    }
}

/// Turns a query's scores into `exp(score − largest)`, zero for keys it doesn't see; returns their sum.
#[inline(always)]
unsafe fn probabilities<S: Tiles>(
    s: S,
    l: &Layout,
    place: &Place,
    query: usize,
    scores: &mut [f32],
    shifts: Option<&[f32]>,
) -> f32 {
    let [left, right] = l.window.unwrap_or([usize::MAX; 2]);
    let from = place.keys.start.max(query.saturating_sub(left));
    let to = place.keys.end.min(query.saturating_add(right).saturating_add(1)).max(from);
    let panels_end = (place.keys.end.div_ceil(S::PANEL) * S::PANEL).max(place.first_key);
    scores[..from - place.first_key].fill(0.0);
    scores[to - place.first_key..panels_end - place.first_key].fill(0.0);
    if from == to {
        return 0.0;
    }
    let shift = l.first_offset - query as i64 + from as i64 - place.first_offset as i64;
    let n = to - from;
    let scores = &mut scores[from - place.first_key..to - place.first_key];
    let shifts = shifts.map(|all| all[usize::try_from(shift).unwrap_or(usize::MAX)..][..n].as_ptr());
    let x = scores.as_mut_ptr();
    let factor = s.splat(l.scale);
    // SAFETY: both slices are n long.
    unsafe {
        let mut top = s.splat(f32::NEG_INFINITY);
        let mut i = 0;
        while i + S::LANES <= n {
            let mut score = s.load(x.add(i));
            if let Some(p) = shifts {
                score = s.add(score, s.load(p.add(i)));
            }
            let score = s.mul(score, factor);
            s.store(x.add(i), score);
            top = s.max(top, score);
            i += S::LANES;
        }
        let mut largest = s.largest(top);
        for i in i..n {
            *x.add(i) = shifts.map_or(*x.add(i), |p| *x.add(i) + *p.add(i)) * l.scale;
            largest = largest.max(*x.add(i));
        }
        exponentials(s, scores, largest)
    }
}

/// Mixes the values by the probabilities and writes the block's rows.
#[inline(always)]
unsafe fn mix<S: Tiles>(
    s: S,
    queries: &Queries<'_>,
    place: &Place,
    scores: &[f32],
    packed: &mut [f32],
    totals: &mut [f32],
    sums: &[f32],
) {
    let l = queries.layout;
    let tallest = l.tiles.tallest();
    let keys = place.keys.end.saturating_sub(place.first_key);
    for tile in 0..place.rows.len().div_ceil(tallest) {
        let count = tallest.min(place.rows.len() - tile * tallest);
        let height = l.tiles.height_for(count);
        let rows = (0..count).map(|r| &scores[(tile * tallest + r) * l.keys..][..keys]);
        pack_rows(rows, keys, height, packed);
        for panel in 0..l.depth.div_ceil(S::PANEL) {
            let values = &queries.panels[l.values_at(place.batch, place.head, panel)..];
            totals[..height * S::PANEL].fill(0.0);
            let mut key = place.first_key;
            while key < place.keys.end {
                // Stretches end at multiples of K_BLOCK whatever the window, so that a row's sum has one order.
                let end = ((key / K_BLOCK + 1) * K_BLOCK).min(place.keys.end);
                let tile = Tile {
                    x: packed[(key - place.first_key) * height..].as_ptr(),
                    x_step: height,
                    segments: 1,
                    x_jump: 0,
                    w: values[key * S::PANEL..].as_ptr().cast(),
                    w_stride: S::PANEL,
                    k: end - key,
                    c: totals.as_mut_ptr(),
                    c_stride: S::PANEL,
                    accumulate: true,
                };
                // SAFETY: the slices above reach as far as the tile reads.
                unsafe { s.tile::<F32>(height, &tile) };
                key = end;
            }
            let len = S::PANEL.min(l.depth - panel * S::PANEL);
            for r in 0..count {
                let i = place.rows.start + tile * tallest + r;
                let at = queries.row(place.batch, i, place.head).start + panel * S::PANEL;
                let sum = sums[tile * tallest + r];
                let factor = if sum == 0.0 { 0.0 } else { 1.0 / sum };
                // SAFETY: these rows of this head belong to this task.
                let out = unsafe { queries.out.slice(at..at + len) };
                for (out, &total) in out.iter_mut().zip(&totals[r * S::PANEL..]) {
                    *out = total * factor;
                }
            }
        }
    }
}
