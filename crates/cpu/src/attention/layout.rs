//! Sizes and places of an attention's panels, and the packing of keys, values and positions into them.

use crate::matmul::pack_rows;
use crate::memory::Output;
use crate::simd::Bf16;
use crate::simd::tile::TileShape;
use std::ops::Range;

/// What an attention is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub(super) batch: usize,
    /// Queries of a sequence.
    pub(super) queries: usize,
    /// Keys of a sequence.
    pub(super) time: usize,
    pub(super) heads: usize,
    /// Width of a head.
    pub(super) depth: usize,
    pub(super) scale: f32,
    pub(super) window: Option<[usize; 2]>,
    /// Rows of the position table and the offset that the first stands for, where there is a table.
    pub(super) positions: Option<(usize, i64)>,
}

/// Shapes of one attention and of its scratch memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) batch: usize,
    /// Queries of a sequence.
    pub(super) queries: usize,
    /// Keys of a sequence.
    pub(super) time: usize,
    pub(super) heads: usize,
    /// Width of a head.
    pub(super) depth: usize,
    /// Whether scores have a part by position.
    pub(super) positional: bool,
    /// Rows of the position table.
    pub(super) offsets: usize,
    pub(super) first_offset: i64,
    pub(super) window: Option<[usize; 2]>,
    pub(super) scale: f32,
    pub(super) tiles: TileShape,
    /// Whether keys, values and positions are pairs of bfloat16: then two terms take the place of one float.
    pub(super) bf16: Option<Bf16>,
    /// Queries of a task, a multiple of the tallest tile.
    pub(super) block: usize,
    /// Scores kept for a query, whole panels.
    pub(super) keys: usize,
    /// Position scores kept for a query, whole panels.
    pub(super) spread: usize,
}

impl Layout {
    /// The layout, unless its sizes overflow.
    pub(super) fn new(of: &Extents, tiles: TileShape, bf16: Option<Bf16>, block: usize) -> Option<Self> {
        let Extents { batch, queries, time, heads, depth, scale, window, positions } = *of;
        let (offsets, first_offset) = positions.unwrap_or((0, 0));
        let block = block.next_multiple_of(tiles.tallest());
        let seen = match window {
            Some([left, right]) => left.saturating_add(right).saturating_add(block).min(time),
            None => time,
        };
        // A stretch that begins anywhere touches one panel more than its length fills.
        let keys = seen.checked_add(tiles.panel)?.checked_next_multiple_of(tiles.panel)?;
        let layout = Self {
            batch,
            queries,
            time,
            heads,
            depth,
            positional: positions.is_some(),
            offsets,
            first_offset,
            window,
            scale,
            tiles,
            bf16,
            block,
            keys,
            spread: keys.checked_add(block + tiles.panel)?.checked_next_multiple_of(tiles.panel)?,
        };
        // Everything below is a sum of a few products of these.
        let per_head = time.checked_add(queries)?.checked_add(offsets)?.checked_add(4 * tiles.panel)?;
        let all = per_head.checked_mul(layout.depth.checked_add(tiles.panel)?)?.checked_mul(batch + 1)?;
        all.checked_mul(heads)?.checked_mul(16)?;
        layout.spread.checked_mul(16 * block).map(|_| layout)
    }

    /// Queries of a sequence that are computed, given its length: where there are as many as keys, they are the same frames.
    pub(super) fn present(&self, length: usize) -> usize {
        if self.queries == self.time { length } else { self.queries }
    }

    /// The keys a block of queries sees, given the sequence's length.
    pub(super) fn keys_of(&self, queries: &Range<usize>, length: usize) -> Range<usize> {
        let [left, right] = self.window.unwrap_or([usize::MAX; 2]);
        let first = queries.start.saturating_sub(left);
        let last = queries.end.saturating_add(right).min(length);
        first..last.max(first)
    }

    fn key_panels(&self) -> usize {
        self.time.div_ceil(self.tiles.panel)
    }

    fn depth_panels(&self) -> usize {
        self.depth.div_ceil(self.tiles.panel)
    }

    pub(super) fn offset_panels(&self) -> usize {
        self.offsets.div_ceil(self.tiles.panel)
    }

    /// Elements that so many terms take.
    pub(super) fn steps(&self, terms: usize) -> usize {
        if self.bf16.is_some() { terms.div_ceil(2) } else { terms }
    }

    /// Elements of a panel of keys or positions, `[depth][lane]`.
    pub(super) fn key_panel(&self) -> usize {
        self.steps(self.depth) * self.tiles.panel
    }

    /// Elements of a panel of values, `[time][lane]`.
    pub(super) fn value_panel(&self) -> usize {
        self.steps(self.time) * self.tiles.panel
    }

    /// Panels of all kinds, one packing task each.
    pub(super) fn panels(&self) -> usize {
        let sequences = self.batch * self.heads;
        sequences * (self.key_panels() + self.depth_panels()) + self.heads * self.offset_panels()
    }

    /// Floats of shared scratch: panels of keys, then values, then positions.
    pub(super) fn shared(&self) -> usize {
        self.positions_at(0, 0) + self.heads * self.offset_panels() * self.key_panel()
    }

    /// Where a panel of keys begins.
    pub(super) fn keys_at(&self, batch: usize, head: usize, panel: usize) -> usize {
        ((batch * self.heads + head) * self.key_panels() + panel) * self.key_panel()
    }

    /// Where a panel of values begins.
    pub(super) fn values_at(&self, batch: usize, head: usize, panel: usize) -> usize {
        let keys = self.keys_at(self.batch, 0, 0);
        keys + ((batch * self.heads + head) * self.depth_panels() + panel) * self.value_panel()
    }

    /// Where a panel of positions begins.
    pub(super) fn positions_at(&self, head: usize, panel: usize) -> usize {
        self.values_at(self.batch, 0, 0) + (head * self.offset_panels() + panel) * self.key_panel()
    }

    /// Floats of a thread's scratch: queries with either bias, scores, position scores, packed probabilities, sums.
    pub(super) fn private(&self) -> usize {
        let tile = self.tiles.tallest();
        self.block * (2 * self.depth + self.keys + self.spread + self.tiles.panel + 1) + tile * self.keys
    }

    /// Packs one panel.
    ///
    /// # Safety
    /// Nobody else may touch that panel of `shared`.
    pub(super) unsafe fn pack(
        &self,
        index: usize,
        k: &[f32],
        v: &[f32],
        p: &[f32],
        lengths: &[i32],
        shared: &Output<'_, f32>,
    ) {
        let panel = self.tiles.panel;
        let sequences = self.batch * self.heads;
        let keys = sequences * self.key_panels();
        let values = keys + sequences * self.depth_panels();
        // SAFETY: passed on to the caller.
        let out = |at: usize, len: usize| unsafe { shared.slice(at..at + len) };
        if index < keys {
            let (line, n) = (index / self.key_panels(), index % self.key_panels());
            let (batch, head) = (line / self.heads, line % self.heads);
            // Keys past the length are never seen, whatever they are.
            let end = (lengths[batch] as usize).min((n + 1) * panel).max(n * panel);
            let first = batch * self.time;
            let out = out(self.keys_at(batch, head, n), self.key_panel());
            self.pack_rows(k, first + n * panel..first + end, head, out);
        } else if index < values {
            let (line, n) = ((index - keys) / self.depth_panels(), (index - keys) % self.depth_panels());
            let (batch, head) = (line / self.heads, line % self.heads);
            let out = out(self.values_at(batch, head, n), self.value_panel());
            self.pack_values(v, batch, head, n, lengths[batch] as usize, out);
        } else {
            let (head, n) =
                ((index - values) / self.offset_panels(), (index - values) % self.offset_panels());
            let out = out(self.positions_at(head, n), self.key_panel());
            self.pack_rows(p, n * panel..self.offsets.min((n + 1) * panel), head, out);
        }
    }

    /// Packs one head of some rows of a tensor, side by side.
    fn pack_rows(&self, data: &[f32], rows: Range<usize>, head: usize, out: &mut [f32]) {
        let (width, panel) = (self.heads * self.depth, self.tiles.panel);
        let rows = rows.map(|r| &data[r * width + head * self.depth..][..self.depth]);
        match self.bf16 {
            Some(bf16) => bf16.pack_rows(rows, self.depth, panel, out),
            None => pack_rows(rows, self.depth, panel, out),
        }
    }

    /// Packs panel `n` of one head of a sequence's values, those past its length as zeros.
    fn pack_values(&self, v: &[f32], batch: usize, head: usize, n: usize, length: usize, out: &mut [f32]) {
        let (width, panel) = (self.heads * self.depth, self.tiles.panel);
        let (first, len) = (n * panel, panel.min(self.depth - n * panel));
        let row = |time: usize| {
            let from = (batch * self.time + time) * width + head * self.depth + first;
            (time < length).then(|| &v[from..from + len])
        };
        let per_step = if self.bf16.is_some() { 2 } else { 1 };
        for (step, out) in out.chunks_exact_mut(panel).enumerate() {
            let (values, rest) = out.split_at_mut(len);
            match (row(step * per_step), self.bf16) {
                (Some(even), Some(bf16)) => bf16.pair_rows(even, row(step * per_step + 1), values),
                (Some(value), None) => values.copy_from_slice(value),
                (None, _) => values.fill(0.0),
            }
            rest.fill(0.0);
        }
    }
}
