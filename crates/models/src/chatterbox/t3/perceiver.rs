//! The graph that makes rows for the backbone of a voice.
//!
//! ```text
//! speaker ─► cond_spkr ───────────────────────────────────────────────────────────┐
//! prompt tokens ─► embedding (+ position) ─► attention block ─► attention block ──┴─► rows
//!                              queries ─────────────▲  └─── the same weights ─▲
//! ```
//!
//! The blocks are the Llama's alone (a perceiver; Jaegle et al. 2021). One block norms both of what it reads, and adds what it attended
//! to onto the side of the queries as it was before the norm. GPT-2 reads the prompt's embeddings as they are.

use super::config::T3Config;
use super::layer::{layer_norm, linear};
use crate::error::ModelError;
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{Attention, ElemType, Graph, GraphBuilder, Op, ValueId};

/// `nn.LayerNorm`'s own, whatever the backbone has.
const EPS: f32 = 1e-5;

/// f32 `speaker [1, S]`, i32 `prompt [n]` and `positions [n]`, for the Llama i32 `lengths [2, 1]` (n, then the rows of the perceiver) →
/// `rows [R, H]`. A prompt of no tokens leaves its inputs and rows out.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub(super) fn voice_graph(file: &GgufFile, config: &T3Config, prompt: usize) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("voice");
    let hidden = config.hidden;
    let speaker = g.input("speaker", ElemType::F32, [1, config.speaker]);
    let speaker = linear(&mut g, &params, "chatterbox/cond_spkr", speaker, [hidden, config.speaker])?;
    if prompt == 0 {
        g.output("rows", speaker);
        return Ok(g.finish()?);
    }
    let tokens = g.input("prompt", ElemType::I32, [prompt]);
    let table = params.weight(&mut g, "chatterbox/speech_emb", [config.speech_vocabulary, hidden])?;
    let mut rows = g.gather(table, tokens);
    if let Some(llama) = config.llama() {
        let positions = g.input("positions", ElemType::I32, [prompt]);
        let lengths = ["length", "queries"].map(|name| g.input(name, ElemType::I32, [1]));
        let table = [llama.speech_positions, hidden];
        let table = params.weight(&mut g, "chatterbox/speech_pos_emb", table)?;
        let positions = g.gather(table, positions);
        rows = g.add(rows, positions);
        let name = "chatterbox/perceiver/pre_attention_query";
        let queries = params.weight(&mut g, name, [llama.queries, hidden])?;
        let block = |g: &mut GraphBuilder, queries, rows, length| {
            block(g, &params, [queries, rows], length, llama.perceiver_heads)
        };
        let attended = g.scope("first", |g| block(g, queries, rows, lengths[0]))?;
        rows = g.scope("second", |g| block(g, attended, attended, lengths[1]))?;
    }
    let rows = g.op(Op::Concat { axis: 0 }, &[speaker, rows]);
    g.output("rows", rows);
    Ok(g.finish()?)
}

/// `queries [Q, H]`, `rows [N, H]` → `[Q, H]`.
fn block(
    g: &mut GraphBuilder,
    params: &Params<'_>,
    [queries, rows]: [ValueId; 2],
    length: ValueId,
    heads: usize,
) -> Result<ValueId, ModelError> {
    let hidden = g.shape(queries).last();
    let width = hidden / heads.max(1);
    let part = |name: &str| format!("chatterbox/perceiver/attn/{name}");
    let query = layer_norm(g, params, &part("norm"), queries, EPS)?;
    let rows = if rows == queries { query } else { layer_norm(g, params, &part("norm"), rows, EPS)? };
    let mut project = |name: &str, x: ValueId| {
        let y = linear(g, params, &part(name), x, [hidden, hidden])?;
        let count = g.shape(x).dims()[0];
        Ok::<_, ModelError>(g.reshape(y, &[1, count, heads, width]))
    };
    let (q, k, v) = (project("to_q", query)?, project("to_k", rows)?, project("to_v", rows)?);
    let attention = Attention { scale: 1.0 / (width as f32).sqrt() };
    let y = g.op(Op::Attention(attention), &[q, k, v, length]);
    let count = g.shape(queries).dims()[0];
    let y = g.reshape(y, &[count, hidden]);
    let y = linear(g, params, &part("proj_out"), y, [hidden, hidden])?;
    Ok(g.add(y, queries))
}
