//! Shape rules of the ops of decoder language models.

use super::Rule;
use crate::decoder::{CausalConv1d, Rope};
use crate::error::GraphError;
use mynah_tensor::Shape;

impl Rule<'_> {
    /// `[B, T, H, D]` from heads and positions.
    pub(super) fn rope(&self, r: &Rope) -> Result<Shape, GraphError> {
        let [x, positions] = [0, 1].map(|i| self.shapes[i]);
        let fits = x.rank() == 4 && positions.dims() == &x.dims()[..2];
        self.need(fits, || "x must be [batch, time, heads, width], positions [batch, time]".into())?;
        let turns = r.dims > 0 && r.dims.is_multiple_of(2) && r.dims <= x.last();
        self.need(turns, || format!("{} of {} channels can't turn in pairs", r.dims, x.last()))?;
        self.need(r.is_sound(), || format!("no frequencies come of base {} and {:?}", r.theta, r.scaling))?;
        Ok(x)
    }

    /// `[B, T, C]` from inputs, kernel, sequences and the row of the state tensor.
    pub(super) fn causal_conv1d(&self, c: &CausalConv1d, row: Shape) -> Result<Shape, GraphError> {
        let [x, w, sequences] = [0, 1, 2].map(|i| self.shapes[i]);
        let fits = x.rank() == 3 && w.dims() == [x.last(), 1, w.last()] && w.last() >= 2;
        self.need(fits, || "x must be [B, T, C], weight [C, 1, K] with at least two taps".into())?;
        self.need(sequences.dims() == [x.dims()[0], 3], || "sequences must be [batch, 3]".into())?;
        let kept = (w.last() - 2).checked_add(c.snapshots).filter(|_| c.snapshots > 0);
        self.need(kept.is_some_and(|n| row.dims() == [n, x.last()]), || {
            let (taps, channels) = (w.last(), x.last());
            format!("state rows must be [{taps} - 2 + {}, {channels}], not {row:?}", c.snapshots)
        })?;
        Ok(x)
    }

    /// `[B, T, H, D]` from q, k, v, sequences, pages and the rows of the two state tensors.
    pub(super) fn causal_attention(&self, state_rows: [Shape; 2]) -> Result<Shape, GraphError> {
        let [q, k, v, sequences, pages] = [0, 1, 2, 3, 4].map(|i| self.shapes[i]);
        let (&[batch, time, heads, width], &[kb, kt, key_heads, key_width]) = (q.dims(), k.dims()) else {
            self.need(false, || "q, k and v must be [batch, time, heads, width]".into())?;
            return Ok(q);
        };
        self.need(k == v && [kb, kt, key_width] == [batch, time, width], || {
            "k and v must be one [batch, time, key heads, width] with the batch, time and width of q".into()
        })?;
        self.need(key_heads > 0 && heads.is_multiple_of(key_heads) && width > 0, || {
            "the query heads must be a multiple of the key heads".into()
        })?;
        self.need(sequences.dims() == [batch, 2], || "sequences must be [batch, 2]".into())?;
        self.need(pages.rank() == 2 && pages.dims()[0] == batch, || "pages must be [batch, N]".into())?;
        let [keys, values] = state_rows;
        let page = matches!(keys.dims(), &[h, places, d] if [h, d] == [key_heads, width] && places > 0);
        self.need(page && values == keys, || {
            format!("state rows must be [{key_heads}, P, {width}], not {keys:?} and {values:?}")
        })?;
        Ok(q)
    }
}
