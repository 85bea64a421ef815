//! The transducer's two small graphs: the prediction network, run once per emitted token, and the joint, run once per
//! frame looked at.
//!
//! The prediction output is kept by the host loop over blanks, so the LSTM runs only when a token was emitted.

use crate::error::ModelError;
use crate::parakeet::config::{ParakeetConfig, TransducerConfig};
use crate::parakeet::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{ElemType, Graph, GraphBuilder, Op, StateDecl};

/// The state tensors of the prediction network, a row per clip: hidden and cell state of each LSTM layer.
pub(crate) fn predictor_states(t: &TransducerConfig) -> Vec<StateDecl> {
    let kinds = ["hidden", "cell"];
    let names = (0..t.layers).flat_map(|l| kinds.map(|k| format!("predictor.{k}.{l}")));
    names.map(|name| StateDecl { name, row: [t.hidden].into() }).collect()
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
    let states: Vec<_> = predictor_states(t).iter().map(|s| g.state(&s.name, s.row)).collect();
    let embed = params.weight(&mut g, "decoder.prediction.embed.weight", [config.vocabulary + 1, h])?;
    let mut x = g.gather(embed, tokens);
    for layer in 0..t.layers {
        let (hidden_state, cell_state) = (states[2 * layer], states[2 * layer + 1]);
        let hidden = g.op(Op::StateGather(hidden_state), &[rows]);
        let cell = g.op(Op::StateGather(cell_state), &[rows]);
        let lstm = |part: &str| format!("decoder.prediction.dec_rnn.lstm.{part}_l{layer}");
        let w_input = params.weight(&mut g, &lstm("weight_ih"), [4 * h, h])?;
        let w_hidden = params.weight(&mut g, &lstm("weight_hh"), [4 * h, h])?;
        let b_input = params.optional(&mut g, &lstm("bias_ih"), [4 * h])?;
        let b_hidden = params.optional(&mut g, &lstm("bias_hh"), [4 * h])?;
        let from_input = g.linear(x, w_input, b_input);
        let from_hidden = g.linear(hidden, w_hidden, b_hidden);
        let gates = g.add(from_input, from_hidden);
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
