//! Shape rules of heads, by the rules of the ops they stand for.

use super::Rule;
use crate::decoder::CausalConv1d;
use crate::error::GraphError;
use crate::heads::{AttentionHeads, DeltaHeads};
use mynah_tensor::Shape;

impl Rule<'_> {
    /// `[B, T, Hv, S]` from mixed, steps, rates, beta, gain, z, sequences and the row of the state tensor.
    pub(super) fn delta_heads(&self, h: &DeltaHeads, row: Shape) -> Result<Shape, GraphError> {
        let [mixed, steps, rates, beta, gain, z, sequences] = [0, 1, 2, 3, 4, 5, 6].map(|i| self.shapes[i]);
        let &[batch, time, heads, size] = z.dims() else {
            self.need(false, || "z must be [batch, time, heads, width]".into())?;
            return Ok(z);
        };
        let channels = (2 * h.key_heads + heads).checked_mul(size);
        self.need(channels.is_some_and(|n| mixed.dims() == [batch, time, n]), || {
            format!("mixed must be [{batch}, {time}, (2 · {} + {heads}) · {size}]", h.key_heads)
        })?;
        self.need(steps == beta && rates.dims() == [heads] && gain.dims() == [size], || {
            "steps must be as beta, rates [heads], the gain [width]".into()
        })?;
        let key = self.make(&[batch, time, h.key_heads, size])?;
        let shapes = [key, key, z, steps, beta, sequences];
        Rule { op: self.op, shapes: &shapes }.gated_delta_net(&h.delta, row)
    }

    /// The convolution of mixed, by the kernel after the other operands.
    pub(super) fn conv_of_heads(&self, c: &CausalConv1d, row: Shape) -> Result<Shape, GraphError> {
        let [mixed, sequences, kernel] = [0, 6, 7].map(|i| self.shapes[i]);
        Rule { op: self.op, shapes: &[mixed, kernel, sequences] }.causal_conv1d(c, row)
    }

    /// `[B, T, H, D]` from both, k, v, the gains of q and k, positions, sequences, pages and the rows of the state tensors.
    pub(super) fn attention_heads(
        &self,
        h: &AttentionHeads,
        state_rows: [Shape; 2],
    ) -> Result<Shape, GraphError> {
        let [both, k, v, q_gain, k_gain, positions, sequences, pages] =
            [0, 1, 2, 3, 4, 5, 6, 7].map(|i| self.shapes[i]);
        let &[batch, time, heads, width] = both.dims() else {
            self.need(false, || "queries with gates must be [batch, time, heads, 2 · width]".into())?;
            return Ok(both);
        };
        let half = width / 2;
        self.need(width.is_multiple_of(2) && q_gain.dims() == [half] && k_gain == q_gain, || {
            "heads must have a query and a gate, the gains their width".into()
        })?;
        let q = self.make(&[batch, time, heads, half])?;
        Rule { op: self.op, shapes: &[q, positions] }.rope(&h.rope)?;
        Rule { op: self.op, shapes: &[q, k, v, sequences, pages] }.causal_attention(state_rows)
    }
}
