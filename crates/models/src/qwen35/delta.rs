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

        let (qkv, z) = self.queries_and_gate(g, x)?;
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

        let [q, k] = [q, k].map(|x| self.repeated(g, x));
        let [b, a] = self.strength_and_step(g, x)?;
        let beta = g.unary(Activation::Sigmoid, b);
        let dt = self.weight(g, "ssm_dt.bias", &[d.heads])?;
        let step = g.add(a, dt);
        let step = g.unary(Activation::Softplus, step);
        // Stored as −exp(A_log).
        let rate = self.weight(g, "ssm_a", &[d.heads])?;
        let decay = g.mul(step, rate);

        let delta = GatedDeltaNet { state, snapshots: self.snapshots };
        let y = g.op(Op::GatedDeltaNet(delta), &[q, k, v, decay, beta, self.recurrent]);
        let y = self.norm(g, "ssm_norm", y, d.width)?;
        let z = g.reshape(z, &[batch, time, d.heads, d.width]);
        let y = g.gated(Activation::Silu, y, z);
        let y = g.reshape(y, &[batch, time, values]);
        self.product(g, "ssm_out", y, [hidden, values])
    }

    /// `x [B, T, hidden]` → queries, keys and values `[B, T, channels]` before their convolution, and z `[B, T, values]`.
    fn queries_and_gate(&self, g: &mut GraphBuilder, x: ValueId) -> Result<(ValueId, ValueId), ModelError> {
        let (d, hidden) = (self.config.delta, self.config.hidden);
        let values = d.value_channels();
        if !d.grouped || self.has("attn_qkv.weight") {
            let qkv = self.product(g, "attn_qkv", x, [d.conv_channels(), hidden])?;
            return Ok((qkv, self.product(g, "attn_gate", x, [values, hidden])?));
        }
        // Older files have the parts of each key head side by side, as the checkpoints do.
        let own = values / d.key_heads;
        let all = self.product(g, "ssm_in", x, [d.conv_channels() + values, hidden])?;
        let &[batch, time, _] = g.shape(x).dims() else { return Ok((all, all)) };
        let all = g.reshape(all, &[batch, time, d.key_heads, 2 * (d.width + own)]);
        let mut part = |from: usize, n: usize| {
            let part = g.slice(all, 3, from, n);
            g.reshape(part, &[batch, time, n * d.key_heads])
        };
        let [q, k] = [0, d.width].map(|from| part(from, d.width));
        let [v, z] = [0, own].map(|from| part(2 * d.width + from, own));
        Ok((g.op(Op::Concat { axis: 2 }, &[q, k, v]), z))
    }

    /// `x [B, T, hidden]` → b and a, one for each value head: how strongly it writes and how far it steps.
    fn strength_and_step(&self, g: &mut GraphBuilder, x: ValueId) -> Result<[ValueId; 2], ModelError> {
        let (d, hidden) = (self.config.delta, self.config.hidden);
        if !d.grouped {
            let b = self.product(g, "ssm_beta", x, [d.heads, hidden])?;
            return Ok([b, self.product(g, "ssm_alpha", x, [d.heads, hidden])?]);
        }
        // Those of one key head lie side by side.
        let both = self.product(g, "ssm_ba", x, [2 * d.heads, hidden])?;
        let &[batch, time, _] = g.shape(x).dims() else { return Ok([both; 2]) };
        let own = d.heads / d.key_heads;
        let both = g.reshape(both, &[batch, time, d.key_heads, 2 * own]);
        Ok([0, own].map(|from| {
            let part = g.slice(both, 3, from, own);
            g.reshape(part, &[batch, time, d.heads])
        }))
    }

    /// Queries or keys `[B, T, Hk, S]` for an op in which value head h has key head h mod Hk: as they are where the file's value heads
    /// stand in that order, each as often as its value heads are many where those are neighbours.
    fn repeated(&self, g: &mut GraphBuilder, x: ValueId) -> ValueId {
        let d = self.config.delta;
        let (own, &[batch, time, heads, width]) = (d.heads / d.key_heads, g.shape(x).dims()) else {
            return x;
        };
        if !d.grouped || own == 1 {
            return x;
        }
        let x = g.reshape(x, &[batch * time, heads, width]);
        let x = g.op(Op::Concat { axis: 2 }, &vec![x; own]);
        g.reshape(x, &[batch, time, d.heads, width])
    }
}
