//! The graph that drafts: a layer behind the model's own predicts the token after the next (multi-token prediction; Gloeckle et al.
//! 2024, DeepSeek-AI 2024).
//!
//! ```text
//! token i + 1 ─► embedding ─► enorm ─┐
//! hidden i ──────────────────► hnorm ┴─► eh_proj ─► attention block ─► shared_head_norm ─► head ─► logits of token i + 2
//! ```
//!
//! It looks at hidden states that the step has normed, and its own, normed, stand in for those of tokens only drafted. Its keys and
//! values lie in the pages of the sequence: entry i is token i + 1 with the hidden state before it.

use super::config::{Mixer, Qwen35Config};
use super::mixer::Layer;
use super::states::{StateLayout, declare};
use super::step::head;
use crate::error::ModelError;
use crate::language::no_drafts;
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{ElemType, Graph, GraphBuilder, Op};

/// The shape a draft is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DraftDims {
    /// Sequences.
    pub batch: usize,
    /// Entries of the longest piece.
    pub tokens: usize,
    /// Pages listed for each sequence.
    pub pages: usize,
    /// Entries whose logits are wanted.
    pub wanted: usize,
}

/// i32 inputs `tokens [B, T]`, f32 `hidden [B, T, H]`, i32 `positions [B, T]`, `cached [B, 2]`, `pages [B, N]` and `wanted [M]`, as for
/// [`super::step_graph`] → `logits [M, V]` and `hidden [B, T, H]`.
///
/// # Errors
/// [`ModelError::Unsupported`] for a file without such a layer; a tensor that is missing or has the wrong shape.
pub fn draft_graph(
    file: &GgufFile,
    config: &Qwen35Config,
    layout: StateLayout,
    dims: &DraftDims,
) -> Result<Graph, ModelError> {
    if !config.drafts {
        return Err(no_drafts());
    }
    let params = Params::new(file);
    let mut g = GraphBuilder::new("draft");
    let (b, t, width) = (dims.batch, dims.tokens, config.hidden);
    let tokens = g.input("tokens", ElemType::I32, [b, t]);
    let hidden = g.input("hidden", ElemType::F32, [b, t, width]);
    let positions = g.input("positions", ElemType::I32, [b, t]);
    let cached = g.input("cached", ElemType::I32, [b, 2]);
    let pages = g.input("pages", ElemType::I32, [b, dims.pages]);
    let wanted = g.input("wanted", ElemType::I32, [dims.wanted]);
    let all = declare(&mut g, config, layout);
    let Some(&states) = all.last() else { return Ok(g.finish()?) };
    let layer = Layer {
        params,
        config,
        name: format!("blk.{}", config.layers.len()),
        states,
        snapshots: layout.snapshots,
        positions,
        // For delta nets, of which a draft has none.
        recurrent: cached,
        cached,
        pages,
    };
    // Weights of its own where the file has them.
    let own = |name: &str, other: &str| match layer.has(name) {
        true => format!("{}.{name}", layer.name),
        false => other.to_owned(),
    };
    let vocabulary = [config.vocabulary, width];
    let table = own("nextn.embed_tokens.weight", "token_embd.weight");
    let table = params.weight(&mut g, &table, vocabulary)?;
    let e = g.gather(table, tokens);
    let e = layer.norm(&mut g, "nextn.enorm", e, width)?;
    let h = layer.norm(&mut g, "nextn.hnorm", hidden, width)?;
    let both = g.op(Op::Concat { axis: 2 }, &[e, h]);
    let x = layer.product(&mut g, "nextn.eh_proj", both, [width, 2 * width])?;
    let x = g.scope(&layer.name, |g| layer.block(g, Mixer::Attention, x))?;
    let gain = own("nextn.shared_head_norm.weight", "output_norm.weight");
    let gain = params.weight(&mut g, &gain, [width])?;
    let x = g.rms_norm(x, gain, config.eps);
    g.output("hidden", x);
    let x = g.reshape(x, &[b * t, width]);
    let x = g.gather(x, wanted);
    let logits = if layer.has("nextn.shared_head_head.weight") {
        layer.product(&mut g, "nextn.shared_head_head", x, vocabulary)?
    } else {
        head(&mut g, &params, config, x)?
    };
    g.output("logits", logits);
    Ok(g.finish()?)
}
