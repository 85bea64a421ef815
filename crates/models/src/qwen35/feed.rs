//! The feed-forward module of a layer: a gated unit, or routed experts beside one that all tokens share.

use super::config::{ExpertsConfig, FeedForward};
use super::mixer::Layer;
use crate::error::ModelError;
use mynah_graph::{
    Activation, ExpertChoice, ExpertGateUp, ExpertWeights, GraphBuilder, Op, RouterScore, ValueId,
};

impl Layer<'_> {
    /// `x [B, T, hidden]` → the same.
    pub(super) fn feed_forward(&self, g: &mut GraphBuilder, x: ValueId) -> Result<ValueId, ModelError> {
        match self.config.feed_forward {
            FeedForward::Dense(width) => self.gated_unit(g, x, ["ffn_gate", "ffn_up", "ffn_down"], width),
            FeedForward::Routed(experts) => {
                let routed = self.experts(g, x, experts)?;
                let names = ["ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"];
                let shared = self.gated_unit(g, x, names, experts.shared)?;
                // One number a token lets the shared expert through.
                let gate = self.product(g, "ffn_gate_inp_shexp", x, [1, self.config.hidden])?;
                let gate = g.unary(Activation::Sigmoid, gate);
                let shared = g.mul(shared, gate);
                Ok(g.add(routed, shared))
            }
        }
    }

    /// SwiGLU (Shazeer 2020) with the tensors gate, up and down.
    fn gated_unit(
        &self,
        g: &mut GraphBuilder,
        x: ValueId,
        [gate, up, down]: [&str; 3],
        width: usize,
    ) -> Result<ValueId, ModelError> {
        let hidden = self.config.hidden;
        let gate = self.product(g, gate, x, [width, hidden])?;
        let up = self.product(g, up, x, [width, hidden])?;
        let h = g.gated(Activation::Silu, up, gate);
        self.product(g, down, h, [hidden, width])
    }

    /// The experts a token's router picks, weighted by the softmax over these.
    fn experts(&self, g: &mut GraphBuilder, x: ValueId, e: ExpertsConfig) -> Result<ValueId, ModelError> {
        let hidden = self.config.hidden;
        let logits = self.product(g, "ffn_gate_inp", x, [e.count, hidden])?;
        let score = RouterScore::Softmax;
        let choice = ExpertChoice { used: e.used, score, bias: false };
        let ids = g.op(Op::ExpertChoice(choice), &[logits]);
        let weights = ExpertWeights { score, normalise: Some(0.0), scale: e.scale };
        let weights = g.op(Op::ExpertWeights(weights), &[logits, ids]);
        let fused = self.has("ffn_gate_up_exps.weight");
        let mut operands = vec![x, ids];
        if fused {
            operands.push(self.weight(g, "ffn_gate_up_exps.weight", &[e.count, 2 * e.width, hidden])?);
        } else {
            operands.push(self.weight(g, "ffn_gate_exps.weight", &[e.count, e.width, hidden])?);
            operands.push(self.weight(g, "ffn_up_exps.weight", &[e.count, e.width, hidden])?);
        }
        let unit = ExpertGateUp { activation: Activation::Silu, limit: None, fused };
        let h = g.op(Op::ExpertGateUp(unit), &operands);
        let down = self.weight(g, "ffn_down_exps.weight", &[e.count, hidden, e.width])?;
        Ok(g.op(Op::ExpertDown, &[h, ids, weights, down]))
    }
}
