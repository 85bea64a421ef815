//! What every head of a language model's layer does between the layer's projections, as one op.
//!
//! Models don't write these: the rewrite `fuse-heads` puts one in place of the ops it stands for, where the device has a kernel for
//! it. A single token through a layer is little work, and each dispatch of it costs a GPU as much as some of that work.

use crate::decoder::{CausalAttention, CausalConv1d, Rope};
use crate::op::{Activation, GatedDeltaNet};

/// The heads of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Heads {
    /// Of a gated delta net.
    Delta(DeltaHeads),
    /// Of a gated attention.
    Attention(AttentionHeads),
}

/// A gated delta net from what its convolution gives, or takes, to what its output projection takes:
///
/// ```text
/// q, k, v = mixed or causal_conv1d(mixed), cut into heads;   q, k: x / sqrt(Σx² + eps)
/// y = rms_norm(gated_delta_net(q, k, v, steps · rates, beta)) · act(z)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeltaHeads {
    /// The convolution before, where it is part of this; its kernel `[C, 1, K]` is the last operand then.
    pub conv: Option<CausalConv1d>,
    /// The recurrence.
    pub delta: GatedDeltaNet,
    /// Heads of queries and keys.
    pub key_heads: usize,
    /// Added to the squares of queries and keys, under the root.
    pub length_eps: f32,
    /// Of the norm after the recurrence.
    pub norm_eps: f32,
    /// Applied to z.
    pub gate: Activation,
}

/// Gated attention from its projections of queries, keys and values to what its output projection takes:
///
/// ```text
/// q, gate = each head of both, halved;   q, k: rope(rms_norm(x))
/// y = causal_attention(q, k, v) · act(gate)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionHeads {
    /// The attention.
    pub attention: CausalAttention,
    /// The positions of queries and keys.
    pub rope: Rope,
    /// Of the norms of queries and keys.
    pub norm_eps: f32,
    /// Applied to the gates.
    pub gate: Activation,
}
