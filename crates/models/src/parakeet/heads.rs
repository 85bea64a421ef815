//! The transducer's small graphs: the prediction network, run once per emitted token, the joint, run once per frame looked
//! at, and a whole round of both for devices that loop by themselves.
//!
//! The prediction output is kept by the host loop over blanks, so the LSTM runs only when a token was emitted.

use crate::error::ModelError;
use crate::parakeet::config::{ParakeetConfig, TransducerConfig};
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::transducer::cursor;
use mynah_graph::{ElemType, Graph, GraphBuilder, Op, StateDecl, TransducerAdvance, TransducerJoin, ValueId};

/// The state tensors of the prediction network, a row per clip: hidden and cell state of each LSTM layer.
pub(crate) fn predictor_states(t: &TransducerConfig) -> Vec<StateDecl> {
    let kinds = ["hidden", "cell"];
    let names = (0..t.layers).flat_map(|l| kinds.map(|k| format!("predictor.{k}.{l}")));
    names.map(|name| StateDecl::new(name, [t.hidden])).collect()
}

/// `tokens [B]`, `rows [B]` (the clips' state rows) → `predicted [B, joint]`; advances the LSTM states of those rows.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn predictor_graph(
    file: &GgufFile,
    config: &ParakeetConfig,
    t: &TransducerConfig,
    batch: usize,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("predictor");
    let h = t.hidden;
    let tokens = g.input("tokens", ElemType::I32, [batch]);
    let rows = g.input("rows", ElemType::I32, [batch]);
    let states: Vec<_> = predictor_states(t).iter().map(|s| g.declare(s)).collect();
    let embed = params.weight(&mut g, "decoder.prediction.embed.weight", [config.vocabulary + 1, h])?;
    let mut x = g.gather(embed, tokens);
    for layer in 0..t.layers {
        let (hidden_state, cell_state) = (states[2 * layer], states[2 * layer + 1]);
        let hidden = g.op(Op::StateGather(hidden_state), &[rows]);
        let cell = g.op(Op::StateGather(cell_state), &[rows]);
        let gates = gates(&params, &mut g, h, layer, [x, hidden])?;
        let next = g.op(Op::LstmCell, &[gates, cell]);
        let hidden = g.slice(next, 1, 0, h);
        let cell = g.slice(next, 1, h, h);
        x = g.op(Op::StateScatter(hidden_state), &[rows, hidden]);
        g.op(Op::StateScatter(cell_state), &[rows, cell]);
    }
    let predicted = params.linear(&mut g, "joint.pred", x, [t.joint, h])?;
    g.output("predicted", predicted);
    Ok(g.finish()?)
}

/// The gates `[B, 4·hidden]` of an LSTM layer from its input and its hidden state.
fn gates(
    params: &Params<'_>,
    g: &mut GraphBuilder,
    h: usize,
    layer: usize,
    [x, hidden]: [ValueId; 2],
) -> Result<ValueId, ModelError> {
    let lstm = |part: &str| format!("decoder.prediction.dec_rnn.lstm.{part}_l{layer}");
    let w_input = params.weight(g, &lstm("weight_ih"), [4 * h, h])?;
    let w_hidden = params.weight(g, &lstm("weight_hh"), [4 * h, h])?;
    let b_input = params.optional(g, &lstm("bias_ih"), [4 * h])?;
    let b_hidden = params.optional(g, &lstm("bias_hh"), [4 * h])?;
    let from_input = g.linear(x, w_input, b_input);
    let from_hidden = g.linear(hidden, w_hidden, b_hidden);
    Ok(g.add(from_input, from_hidden))
}

/// `projected [B, joint]` (frames through `joint.enc`), `predicted [B, joint]` → `logits [B, V+1+D]`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn joint_graph(
    file: &GgufFile,
    config: &ParakeetConfig,
    t: &TransducerConfig,
    batch: usize,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("joint");
    let projected = g.input("projected", ElemType::F32, [batch, t.joint]);
    let predicted = g.input("predicted", ElemType::F32, [batch, t.joint]);
    let sum = g.add(projected, predicted);
    let hidden = g.relu(sum);
    let outputs = config.vocabulary + 1 + t.durations.len();
    let logits = params.linear(&mut g, "joint.joint_net.2", hidden, [outputs, t.joint])?;
    g.output("logits", logits);
    Ok(g.finish()?)
}

/// Extents of [`transducer_graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundDims {
    /// Clips decoded together.
    pub clips: usize,
    /// Frames of each that the joint looks at.
    pub ahead: usize,
    /// Tokens that each clip's log holds.
    pub entries: usize,
}

/// The state tensors of [`transducer_graph`] in its order: those of the prediction network, a row per clip; the projected frames
/// of all clips; the cursors with their logs, a row per clip.
pub(crate) fn transducer_states(t: &TransducerConfig, entries: usize) -> Vec<StateDecl> {
    let frames = StateDecl::new("transducer.frames", [t.joint]);
    let cursors = StateDecl::new("transducer.cursors", [TransducerAdvance::row(entries)]);
    predictor_states(t).into_iter().chain([frames, cursors]).collect()
}

/// `rows [B]` (the clips' state rows) → `cursors [B, ..]`: a round of greedy decoding, to be repeated. The prediction network reads
/// the tokens emitted in the round before, the joint looks at the next frames, and each clip moves on to its next token.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn transducer_graph(
    file: &GgufFile,
    config: &ParakeetConfig,
    t: &TransducerConfig,
    dims: RoundDims,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("transducer");
    g.repeatable();
    let h = t.hidden;
    let rows = g.input("rows", ElemType::I32, [dims.clips]);
    let states: Vec<_> = transducer_states(t, dims.entries).iter().map(|s| g.declare(s)).collect();
    let (frames, cursors) = (states[2 * t.layers], states[2 * t.layers + 1]);
    let number = |column| Op::StateNumbers { state: cursors, column };
    let tokens = g.op(number(cursor::TOKEN), &[rows]);
    let pending = g.op(number(cursor::PENDING), &[rows]);
    let embed = params.weight(&mut g, "decoder.prediction.embed.weight", [config.vocabulary + 1, h])?;
    let mut x = g.gather(embed, tokens);
    for layer in 0..t.layers {
        let (hidden, cell) = (states[2 * layer], states[2 * layer + 1]);
        let before = g.op(Op::StateGather(hidden), &[rows]);
        let gates = gates(&params, &mut g, h, layer, [x, before])?;
        x = g.op(Op::LstmStep { hidden, cell }, &[gates, rows, pending]);
    }
    let predicted = params.linear(&mut g, "joint.pred", x, [t.joint, h])?;
    let join = TransducerJoin { frames, cursors, ahead: dims.ahead };
    let hidden = g.op(Op::TransducerJoin(join), &[predicted, rows]);
    let outputs = config.vocabulary + 1 + t.durations.len();
    let logits = params.linear(&mut g, "joint.joint_net.2", hidden, [outputs, t.joint])?;
    let advance = TransducerAdvance {
        cursors,
        blank: config.blank(),
        durations: t.durations.clone(),
        max_symbols: t.max_symbols,
    };
    let moved = g.op(Op::TransducerAdvance(advance), &[logits, rows]);
    g.output("cursors", moved);
    Ok(g.finish()?)
}
