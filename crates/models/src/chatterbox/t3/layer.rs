//! A layer of either backbone, over cached keys and values.

use super::config::{Backbone, LlamaConfig, T3Config};
use super::pages::CacheLayout;
use crate::error::ModelError;
use crate::params::Params;
use mynah_graph::{Activation, CausalAttention, GraphBuilder, Op, StateDecl, StateId, ValueId};

/// What a layer is built from.
pub(super) struct Layer<'a> {
    pub(super) params: Params<'a>,
    pub(super) config: &'a T3Config,
    /// `model/hN`.
    pub(super) name: String,
    /// Keys and values.
    pub(super) states: [StateId; 2],
    pub(super) positions: ValueId,
    pub(super) cached: ValueId,
    pub(super) pages: ValueId,
}

/// What a layer gives: its output, and the queries and keys it attended with, `[B, T, heads, width]`.
pub(super) struct Passed {
    pub(super) x: ValueId,
    pub(super) queries: ValueId,
    pub(super) keys: ValueId,
}

/// The state tensors of every graph, two for each layer: pages of keys and of values, `[key heads, page, width]`.
pub(super) fn state_decls(config: &T3Config, cache: CacheLayout) -> Vec<StateDecl> {
    let row = [config.key_heads, cache.page, config.head_width];
    let of_layer =
        |i: usize| ["keys", "values"].map(|part| StateDecl::cache(format!("h{i}.{part}"), row, cache.elem));
    (0..config.layers).flat_map(of_layer).collect()
}

impl Layer<'_> {
    /// `x [B, T, hidden]` → the same: attention, then the feed-forward module, each added to what it reads.
    pub(super) fn block(&self, g: &mut GraphBuilder, x: ValueId) -> Result<Passed, ModelError> {
        match &self.config.backbone {
            Backbone::Llama(llama) => self.llama(g, x, llama),
            Backbone::Gpt2 { .. } => self.gpt2(g, x),
        }
    }

    fn llama(&self, g: &mut GraphBuilder, x: ValueId, llama: &LlamaConfig) -> Result<Passed, ModelError> {
        let T3Config { hidden, heads, key_heads, head_width: width, feed_forward, .. } = *self.config;
        let h = self.rms_norm(g, "ln_attn", x)?;
        let q = self.product(g, "attn/q", h, [heads * width, hidden])?;
        let [k, v] = [
            self.product(g, "attn/k", h, [key_heads * width, hidden])?,
            self.product(g, "attn/v", h, [key_heads * width, hidden])?,
        ];
        let q = self.split(g, q, heads);
        let [k, v] = [k, v].map(|x| self.split(g, x, key_heads));
        let [q, k] = [q, k].map(|x| g.rope(x, self.positions, llama.rope));
        let h = self.attend(g, [q, k, v]);
        let h = self.product(g, "attn/o", h, [hidden, heads * width])?;
        let x = g.add(h, x);
        let h = self.rms_norm(g, "ln_mlp", x)?;
        let gate = self.product(g, "mlp/gate", h, [feed_forward, hidden])?;
        let up = self.product(g, "mlp/up", h, [feed_forward, hidden])?;
        let h = g.gated(Activation::Silu, up, gate);
        let h = self.product(g, "mlp/down", h, [hidden, feed_forward])?;
        Ok(Passed { x: g.add(h, x), queries: q, keys: k })
    }

    fn gpt2(&self, g: &mut GraphBuilder, x: ValueId) -> Result<Passed, ModelError> {
        let T3Config { hidden, heads, feed_forward, eps, .. } = *self.config;
        let h = layer_norm(g, &self.params, &format!("{}/ln_1", self.name), x, eps)?;
        let qkv = self.linear(g, "attn/c_attn", h, [3 * hidden, hidden])?;
        let [q, k, v] = [0, hidden, 2 * hidden].map(|from| {
            let part = g.slice(qkv, 2, from, hidden);
            self.split(g, part, heads)
        });
        let h = self.attend(g, [q, k, v]);
        let h = self.linear(g, "attn/c_proj", h, [hidden, hidden])?;
        let x = g.add(h, x);
        let h = layer_norm(g, &self.params, &format!("{}/ln_2", self.name), x, eps)?;
        let h = self.linear(g, "mlp/c_fc", h, [feed_forward, hidden])?;
        let h = g.unary(Activation::GeluTanh, h);
        let h = self.linear(g, "mlp/c_proj", h, [hidden, feed_forward])?;
        Ok(Passed { x: g.add(h, x), queries: q, keys: k })
    }

    /// `[B, T, heads · width]` → `[B, T, heads, width]`.
    fn split(&self, g: &mut GraphBuilder, x: ValueId, heads: usize) -> ValueId {
        let &[batch, time, _] = g.shape(x).dims() else { return x };
        g.reshape(x, &[batch, time, heads, self.config.head_width])
    }

    /// Causal attention, its heads side by side.
    fn attend(&self, g: &mut GraphBuilder, [q, k, v]: [ValueId; 3]) -> ValueId {
        let &[batch, time, heads, width] = g.shape(q).dims() else { return q };
        let [keys, values] = self.states;
        let attention = CausalAttention { keys, values, scale: 1.0 / (width as f32).sqrt() };
        let y = g.op(Op::CausalAttention(attention), &[q, k, v, self.cached, self.pages]);
        g.reshape(y, &[batch, time, heads * width])
    }

    fn rms_norm(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        rms_norm(g, &self.params, &format!("{}/{name}", self.name), x, self.config.eps)
    }

    /// `x · wᵀ`.
    fn product(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        x: ValueId,
        shape: [usize; 2],
    ) -> Result<ValueId, ModelError> {
        let w = self.params.weight(g, &format!("{}/{name}/w", self.name), shape)?;
        Ok(g.matmul(x, w))
    }

    /// `x · wᵀ + b`.
    fn linear(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        x: ValueId,
        shape: [usize; 2],
    ) -> Result<ValueId, ModelError> {
        linear(g, &self.params, &format!("{}/{name}", self.name), x, shape)
    }
}

/// `x · wᵀ + b` with `NAME/w [n, k]` and `NAME/b [n]`.
pub(super) fn linear(
    g: &mut GraphBuilder,
    params: &Params<'_>,
    name: &str,
    x: ValueId,
    [n, k]: [usize; 2],
) -> Result<ValueId, ModelError> {
    let w = params.weight(g, &format!("{name}/w"), [n, k])?;
    let b = params.weight(g, &format!("{name}/b"), [n])?;
    Ok(g.linear(x, w, Some(b)))
}

/// Layer norm with `NAME/g` and `NAME/b`.
pub(super) fn layer_norm(
    g: &mut GraphBuilder,
    params: &Params<'_>,
    name: &str,
    x: ValueId,
    eps: f32,
) -> Result<ValueId, ModelError> {
    let width = g.shape(x).last();
    let gain = params.weight(g, &format!("{name}/g"), [width])?;
    let bias = params.weight(g, &format!("{name}/b"), [width])?;
    Ok(g.layer_norm(x, gain, bias, eps))
}

/// Root-mean-square norm with `NAME/g`.
pub(super) fn rms_norm(
    g: &mut GraphBuilder,
    params: &Params<'_>,
    name: &str,
    x: ValueId,
    eps: f32,
) -> Result<ValueId, ModelError> {
    let width = g.shape(x).last();
    let gain = params.weight(g, &format!("{name}/g"), [width])?;
    Ok(g.rms_norm(x, gain, eps))
}
