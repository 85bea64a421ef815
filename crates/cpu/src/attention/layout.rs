//! Sizes and places of an attention's panels, and the packing of keys, values and positions into them.

use crate::matmul::pack_rows;
use crate::memory::Output;
use crate::simd::tile::TileShape;
use mynah_graph::RelPosAttention;
use std::ops::Range;

/// Shapes of one attention and of its scratch memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) heads: usize,
    /// Width of a head.
    pub(super) depth: usize,
    /// Rows of the position table.
    pub(super) offsets: usize,
    pub(super) first_offset: i64,
    pub(super) window: Option<[usize; 2]>,
    pub(super) scale: f32,
    pub(super) tiles: TileShape,
    /// Queries of a task, a multiple of the tallest tile.
    pub(super) block: usize,
    /// Scores kept for a query, whole panels.
    pub(super) keys: usize,
    /// Position scores kept for a query, whole panels.
    pub(super) spread: usize,
}

impl Layout {
    /// The layout, unless its sizes overflow.
    pub(super) fn new(
        op: &RelPosAttention,
        batch: usize,
        time: usize,
        width: usize,
        offsets: usize,
        tiles: TileShape,
        block: usize,
    ) -> Option<Self> {
        let block = block.next_multiple_of(tiles.tallest());
        let seen = match op.window {
            Some([left, right]) => left.saturating_add(right).saturating_add(block).min(time),
            None => time,
        };
        // A stretch that begins anywhere touches one panel more than its length fills.
        let keys = seen.checked_add(tiles.panel)?.checked_next_multiple_of(tiles.panel)?;
        let layout = Self {
            batch,
            time,
            heads: op.heads,
            depth: width / op.heads.max(1),
            offsets,
            first_offset: op.first_offset,
            window: op.window,
            scale: op.scale,
            tiles,
            block,
            keys,
            spread: keys.checked_add(block + tiles.panel)?.checked_next_multiple_of(tiles.panel)?,
        };
        // Everything below is a sum of a few products of these.
        let per_head = time.checked_add(offsets)?.checked_add(4 * tiles.panel)?;
        let all = per_head.checked_mul(layout.depth.checked_add(tiles.panel)?)?.checked_mul(batch + 1)?;
        all.checked_mul(op.heads)?.checked_mul(16)?;
        layout.spread.checked_mul(16 * block).map(|_| layout)
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

    fn offset_panels(&self) -> usize {
        self.offsets.div_ceil(self.tiles.panel)
    }

    /// Floats of a panel of keys or positions, `[depth][lane]`.
    fn key_panel(&self) -> usize {
        self.depth * self.tiles.panel
    }

    /// Floats of a panel of values, `[time][lane]`.
    fn value_panel(&self) -> usize {
        self.time * self.tiles.panel
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
        let (width, panel) = (self.heads * self.depth, self.tiles.panel);
        let sequences = self.batch * self.heads;
        let keys = sequences * self.key_panels();
        let values = keys + sequences * self.depth_panels();
        // The rows of one head among the rows of a tensor.
        let rows = |data: &'_ [f32], range: Range<usize>, head: usize| -> Vec<Range<usize>> {
            debug_assert!(range.end * width <= data.len());
            range.map(|r| r * width + head * self.depth..r * width + (head + 1) * self.depth).collect()
        };
        // SAFETY: passed on to the caller.
        let out = |at: usize, len: usize| unsafe { shared.slice(at..at + len) };
        if index < keys {
            let (line, n) = (index / self.key_panels(), index % self.key_panels());
            let (batch, head) = (line / self.heads, line % self.heads);
            // Keys past the length are never seen, whatever they are.
            let end = (lengths[batch] as usize).min((n + 1) * panel).max(n * panel);
            let rows = rows(k, batch * self.time + n * panel..batch * self.time + end, head);
            let out = out(self.keys_at(batch, head, n), self.key_panel());
            pack_rows(rows.iter().map(|r| &k[r.clone()]), self.depth, panel, out);
        } else if index < values {
            let (line, n) = ((index - keys) / self.depth_panels(), (index - keys) % self.depth_panels());
            let (batch, head) = (line / self.heads, line % self.heads);
            let out = out(self.values_at(batch, head, n), self.value_panel());
            let (first, len) = (n * panel, panel.min(self.depth - n * panel));
            for (j, out) in out.chunks_exact_mut(panel).enumerate() {
                let from = (batch * self.time + j) * width + head * self.depth + first;
                out[..len].copy_from_slice(&v[from..from + len]);
                out[len..].fill(0.0);
            }
        } else {
            let (head, n) =
                ((index - values) / self.offset_panels(), (index - values) % self.offset_panels());
            let rows = rows(p, n * panel..self.offsets.min((n + 1) * panel), head);
            let out = out(self.positions_at(head, n), self.key_panel());
            pack_rows(rows.iter().map(|r| &p[r.clone()]), self.depth, panel, out);
        }
    }
}
