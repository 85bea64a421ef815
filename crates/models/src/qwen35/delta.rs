//! The gated delta net of a layer.

use super::mixer::Layer;
use crate::error::ModelError;
use mynah_graph::{Activation, CausalConv1d, GatedDeltaNet, GraphBuilder, Op, ValueId};

/// Added to the squares of queries and keys before the root, as transformers and FLA do whatever the model's own eps is.
const LENGTH_EPS: f32 = 1e-6;

impl Layer<'_> {
    /// `x [B, T, hidden]` → the same.
    pub(super) fn delta_net(&self, g: &mut GraphBuilder, x: ValueId) -> Result<ValueId, ModelError> {
        let (d, hidden) = (self.config.delta, self.config.hidden);
        let &[batch, time, _] = g.shape(x).dims() else { return Ok(x) };
        let (keys, values, channels) = (d.key_channels(), d.value_channels(), d.conv_channels());
        let [conv, state] = self.states;

        let qkv = self.product(g, "attn_qkv", x, [channels, hidden])?;
        let kernel = self.weight(g, "ssm_conv1d.weight", &[channels, 1, d.taps])?;
        let conv =
            CausalConv1d { state: conv, snapshots: self.snapshots, activation: Some(Activation::Silu) };
        let qkv = g.op(Op::CausalConv1d(conv), &[qkv, kernel, self.recurrent]);
        let mut heads = |from: usize, count: usize| {
            let part = g.slice(qkv, 2, from, count * d.width);
            g.reshape(part, &[batch, time, count, d.width])
        };
        let (q, k, v) = (heads(0, d.key_heads), heads(keys, d.key_heads), heads(2 * keys, d.heads));
        let [q, k] = [q, k].map(|x| g.l2_norm(x, LENGTH_EPS));

        let b = self.product(g, "ssm_beta", x, [d.heads, hidden])?;
        let beta = g.unary(Activation::Sigmoid, b);
        let a = self.product(g, "ssm_alpha", x, [d.heads, hidden])?;
        let dt = self.weight(g, "ssm_dt.bias", &[d.heads])?;
        let step = g.add(a, dt);
        let step = g.unary(Activation::Softplus, step);
        // Stored as −exp(A_log).
        let rate = self.weight(g, "ssm_a", &[d.heads])?;
        let decay = g.mul(step, rate);

        // Value heads are in the file in the order in which head h has key head h mod Hk.
        let delta = GatedDeltaNet { state, snapshots: self.snapshots };
        let y = g.op(Op::GatedDeltaNet(delta), &[q, k, v, decay, beta, self.recurrent]);
        let y = self.norm(g, "ssm_norm", y, d.width)?;
        let z = self.product(g, "attn_gate", x, [values, hidden])?;
        let z = g.reshape(z, &[batch, time, d.heads, d.width]);
        let y = g.gated(Activation::Silu, y, z);
        let y = g.reshape(y, &[batch, time, values]);
        self.product(g, "ssm_out", y, [hidden, values])
    }
}
