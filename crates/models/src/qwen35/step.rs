//! The graph of a step: some tokens of some sequences in, logits of the tokens asked for out.

use super::config::Qwen35Config;
use super::mixer::Layer;
use super::states::{StateLayout, declare};
use crate::error::ModelError;
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{ElemType, Graph, GraphBuilder, ValueId};

/// The shape a step is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepDims {
    /// Sequences.
    pub batch: usize,
    /// Tokens of the longest piece.
    pub tokens: usize,
    /// Pages listed for each sequence.
    pub pages: usize,
    /// Tokens whose logits are wanted.
    pub wanted: usize,
}

/// i32 inputs `tokens [B, T]`, `positions [B, T]`, `recurrent [B, 3]` (row, length and snapshot of each sequence), `cached [B, 2]`
/// (tokens before, length), `pages [B, N]` and `wanted [M]`, each a token of the rectangle counted row by row → `logits [M, V]`.
/// What each sequence has beyond its length is not looked at.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn step_graph(
    file: &GgufFile,
    config: &Qwen35Config,
    layout: StateLayout,
    dims: &StepDims,
) -> Result<Graph, ModelError> {
    build(file, config, layout, dims, Kept::Logits)
}

/// The same with a second output, the normed hidden states of the whole rectangle, `hidden [B, T, H]`, from which further tokens are
/// drafted.
///
/// # Errors
/// As [`step_graph`].
pub fn hidden_step_graph(
    file: &GgufFile,
    config: &Qwen35Config,
    layout: StateLayout,
    dims: &StepDims,
) -> Result<Graph, ModelError> {
    build(file, config, layout, dims, Kept::Hidden)
}

/// What a step gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Logits alone, and only those wanted are normed.
    Logits,
    /// The hidden states of every token as well.
    Hidden,
}

fn build(
    file: &GgufFile,
    config: &Qwen35Config,
    layout: StateLayout,
    dims: &StepDims,
    kept: Kept,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("step");
    let (b, t, hidden) = (dims.batch, dims.tokens, config.hidden);
    let tokens = g.input("tokens", ElemType::I32, [b, t]);
    let positions = g.input("positions", ElemType::I32, [b, t]);
    let recurrent = g.input("recurrent", ElemType::I32, [b, 3]);
    let cached = g.input("cached", ElemType::I32, [b, 2]);
    let pages = g.input("pages", ElemType::I32, [b, dims.pages]);
    let wanted = g.input("wanted", ElemType::I32, [dims.wanted]);
    let states = declare(&mut g, config, layout);

    let table = params.weight(&mut g, "token_embd.weight", [config.vocabulary, hidden])?;
    let mut x = g.gather(table, tokens);
    for (i, (mixer, states)) in config.layers.iter().zip(states).enumerate() {
        let layer = Layer {
            params,
            config,
            name: format!("blk.{i}"),
            states,
            snapshots: layout.snapshots,
            positions,
            recurrent,
            cached,
            pages,
        };
        x = g.scope(format!("blk.{i}"), |g| layer.block(g, *mixer, x))?;
    }
    let gain = params.weight(&mut g, "output_norm.weight", [hidden])?;
    let x = match kept {
        Kept::Logits => x,
        Kept::Hidden => {
            let x = g.rms_norm(x, gain, config.eps);
            g.output("hidden", x);
            x
        }
    };
    let x = g.reshape(x, &[b * t, hidden]);
    let x = g.gather(x, wanted);
    let x = if kept == Kept::Hidden { x } else { g.rms_norm(x, gain, config.eps) };
    let logits = head(&mut g, &params, config, x)?;
    g.output("logits", logits);
    Ok(g.finish()?)
}

/// Logits of normed hidden states.
pub(super) fn head(
    g: &mut GraphBuilder,
    params: &Params<'_>,
    config: &Qwen35Config,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let head = if config.tied { "token_embd.weight" } else { "output.weight" };
    let head = params.weight(g, head, [config.vocabulary, config.hidden])?;
    Ok(g.matmul(x, head))
}
