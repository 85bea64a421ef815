//! Shape rules of routed experts.

use super::{Rule, with_last};
use crate::error::GraphError;
use crate::experts::{ExpertChoice, ExpertGateUp, ExpertWeights};
use mynah_tensor::Shape;

impl Rule<'_> {
    /// `[.., used]` from logits and bias.
    pub(super) fn expert_choice(&self, c: &ExpertChoice) -> Result<Shape, GraphError> {
        let logits = self.shapes[0];
        let experts = logits.last();
        self.need(logits.rank() >= 1 && (1..=experts).contains(&c.used), || {
            format!("{} of {experts} experts can't be chosen", c.used)
        })?;
        let fits = !c.bias || self.shapes[1].dims() == [experts];
        self.need(fits, || format!("the bias must be [{experts}]"))?;
        self.make(&with_last(logits, c.used))
    }

    /// `[.., k]` from logits and ids.
    pub(super) fn expert_weights(&self, w: &ExpertWeights) -> Result<Shape, GraphError> {
        let [logits, ids] = [0, 1].map(|i| self.shapes[i]);
        self.need(of_tokens(ids, logits) && logits.last() > 0, || {
            "logits must be [.., E], ids [.., k] of the same tokens".into()
        })?;
        let numbers = [w.scale, w.normalise.unwrap_or(0.0)];
        let sound = numbers.iter().all(|n| n.is_finite()) && numbers[1] >= 0.0;
        self.need(sound, || {
            format!("weights can't be scaled by {} with sums above {}", w.scale, numbers[1])
        })?;
        Ok(ids)
    }

    /// `[.., k, F]` from x, ids and the stacks.
    pub(super) fn expert_gate_up(&self, g: &ExpertGateUp) -> Result<Shape, GraphError> {
        let [x, ids, gate] = [0, 1, 2].map(|i| self.shapes[i]);
        let stack = gate.rank() == 3 && gate.dims()[0] > 0 && gate.last() == x.last();
        let even = !g.fused || gate.rank() == 3 && gate.dims()[1].is_multiple_of(2);
        self.need(stack && even && self.shapes[2..].iter().all(|s| *s == gate), || {
            format!("stacks must be [E, {}, {}]", if g.fused { "2F" } else { "F" }, x.last())
        })?;
        self.need(of_tokens(ids, x), || "x must be [.., K], ids [.., k] of the same tokens".into())?;
        self.need(g.limit.is_none_or(|n| n > 0.0), || "the limit must be above zero".into())?;
        let mut dims = ids.dims().to_vec();
        dims.push(if g.fused { gate.dims()[1] / 2 } else { gate.dims()[1] });
        self.make(&dims)
    }

    /// `[.., N]` from h, ids, weights and the stack.
    pub(super) fn expert_down(&self) -> Result<Shape, GraphError> {
        let [h, ids, weights, down] = [0, 1, 2, 3].map(|i| self.shapes[i]);
        let rows = h.rank() >= 1 && ids.dims() == &h.dims()[..h.rank() - 1];
        self.need(rows && ids.rank() >= 1 && weights == ids && ids.last() > 0, || {
            "h must be [.., k, F], ids and weights [.., k]".into()
        })?;
        let stack = down.rank() == 3 && down.dims()[0] > 0 && down.last() == h.last();
        self.need(stack, || format!("the stack must be [E, N, {}]", h.last()))?;
        self.make(&with_last(ids, down.dims()[1]))
    }
}

/// Whether `ids [.., k]` has the tokens of `x [.., C]`.
fn of_tokens(ids: Shape, x: Shape) -> bool {
    let tokens = |s: Shape| s.dims()[..s.rank().saturating_sub(1)].to_vec();
    ids.rank() >= 1 && ids.rank() == x.rank() && ids.last() > 0 && tokens(ids) == tokens(x)
}
