//! A layer's surroundings, and gated attention.

use super::config::{Mixer, Qwen35Config};
use crate::error::ModelError;
use crate::params::Params;
use mynah_graph::{Activation, CausalAttention, GraphBuilder, Op, Rope, StateId, ValueId};

/// What a layer is built from.
pub(super) struct Layer<'a> {
    pub(super) params: Params<'a>,
    pub(super) config: &'a Qwen35Config,
    /// `blk.N`.
    pub(super) name: String,
    /// Convolution and delta state, or keys and values.
    pub(super) states: [StateId; 2],
    pub(super) snapshots: usize,
    pub(super) positions: ValueId,
    pub(super) recurrent: ValueId,
    pub(super) cached: ValueId,
    pub(super) pages: ValueId,
}

impl Layer<'_> {
    /// `x [B, T, hidden]` → the same: the mixer, then the feed-forward module, each added to what it reads.
    pub(super) fn block(
        &self,
        g: &mut GraphBuilder,
        mixer: Mixer,
        x: ValueId,
    ) -> Result<ValueId, ModelError> {
        let hidden = self.config.hidden;
        let h = self.norm(g, "attn_norm", x, hidden)?;
        let h = match mixer {
            Mixer::Delta => self.delta_net(g, h)?,
            Mixer::Attention => self.attention(g, h)?,
        };
        let x = g.add(h, x);
        let h = self.norm(g, "post_attention_norm", x, hidden)?;
        let h = self.feed_forward(g, h)?;
        Ok(g.add(h, x))
    }

    /// Whether the file has a tensor of the layer.
    pub(super) fn has(&self, name: &str) -> bool {
        self.params.has(&format!("{}.{name}", self.name))
    }

    /// A weight of the layer.
    pub(super) fn weight(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        shape: &[usize],
    ) -> Result<ValueId, ModelError> {
        let shape = mynah_tensor::Shape::new(shape).map_err(|e| ModelError::Unsupported {
            what: format!("tensor '{}.{name}' of this size ({e})", self.name),
        })?;
        self.params.weight(g, &format!("{}.{name}", self.name), shape)
    }

    /// `x · wᵀ`.
    pub(super) fn product(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        x: ValueId,
        shape: [usize; 2],
    ) -> Result<ValueId, ModelError> {
        let w = self.weight(g, &format!("{name}.weight"), &shape)?;
        Ok(g.matmul(x, w))
    }

    /// Root-mean-square norm over the last dimension. The files' gains are whole: what transformers adds to them is in.
    pub(super) fn norm(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        x: ValueId,
        width: usize,
    ) -> Result<ValueId, ModelError> {
        let gain = self.weight(g, &format!("{name}.weight"), &[width])?;
        Ok(g.rms_norm(x, gain, self.config.eps))
    }

    /// `x [B, T, hidden]` → the same: attention whose output each head's gate lets through (Qiu et al. 2025).
    pub(super) fn attention(&self, g: &mut GraphBuilder, x: ValueId) -> Result<ValueId, ModelError> {
        let (a, hidden) = (self.config.attention, self.config.hidden);
        let &[batch, time, _] = g.shape(x).dims() else { return Ok(x) };
        let (queries, keys) = (2 * a.heads * a.width, a.key_heads * a.width);
        let [both, k, v] = if self.has("attn_qkv.weight") {
            let all = self.product(g, "attn_qkv", x, [queries + 2 * keys, hidden])?;
            [(0, queries), (queries, keys), (queries + keys, keys)].map(|(from, n)| g.slice(all, 2, from, n))
        } else {
            [
                self.product(g, "attn_q", x, [queries, hidden])?,
                self.product(g, "attn_k", x, [keys, hidden])?,
                self.product(g, "attn_v", x, [keys, hidden])?,
            ]
        };
        // Query and gate of a head lie side by side.
        let both = g.reshape(both, &[batch, time, a.heads, 2 * a.width]);
        let [q, gate] = [0, a.width].map(|from| g.slice(both, 3, from, a.width));
        let [k, v] = [k, v].map(|x| g.reshape(x, &[batch, time, a.key_heads, a.width]));
        let rope = Rope::new(a.rotary, a.theta);
        let q = self.norm(g, "attn_q_norm", q, a.width)?;
        let q = g.rope(q, self.positions, rope);
        let k = self.norm(g, "attn_k_norm", k, a.width)?;
        let k = g.rope(k, self.positions, rope);
        let [keys, values] = self.states;
        let scale = 1.0 / (a.width as f32).sqrt();
        let op = Op::CausalAttention(CausalAttention { keys, values, scale });
        let y = g.op(op, &[q, k, v, self.cached, self.pages]);
        let y = g.gated(Activation::Sigmoid, y, gate);
        let y = g.reshape(y, &[batch, time, a.heads * a.width]);
        self.product(g, "attn_output", y, [hidden, a.heads * a.width])
    }
}
