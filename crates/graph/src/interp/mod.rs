//! The reference interpreter: the plain f64 meaning of every op.
//!
//! Each op family has one file of plain loops that reads like the comment of the op in [`crate::Op`]. Nothing here is
//! meant to be fast: devices are measured against it by `mynah-lab`, the planner folds constants with [`eval_op`], and
//! [`run_with_trace`] shows where two computations part. Element types are f64 throughout; ids and lengths are whole
//! numbers in f64.

mod attention;
mod causal_attention;
mod causal_conv;
mod delta;
mod elementwise;
mod env;
mod experts;
mod heads;
mod layout;
mod norm;
mod product;
mod rope;
mod sequence;
mod special;
mod state;
mod tensor;
#[cfg(test)]
mod testing;
mod transducer;
mod vocoder;

pub use env::{Env, Trace};
pub use tensor::Tensor64;

use crate::error::GraphError;
use crate::heads::Heads;
use crate::ir::{Graph, Node};
use crate::op::{Op, Start};
use crate::prologue::Prologue;
use crate::shape;
use env::Memory;

/// Runs a graph and returns its outputs in the order of [`Graph::outputs`]; writes `env.states`.
///
/// # Errors
/// What [`Graph::check`] finds, [`GraphError::Missing`] and [`GraphError::Argument`] when `env` doesn't fit the graph,
/// [`GraphError::OutOfRange`] and [`GraphError::DuplicateRow`] for run-time values. States may then hold a part of
/// the run.
pub fn run(graph: &Graph, env: &mut Env<'_>) -> Result<Vec<Tensor64>, GraphError> {
    env::execute(graph, env, None)
}

/// Runs a graph and keeps every computed value by name.
///
/// # Errors
/// As [`run`].
pub fn run_with_trace(graph: &Graph, env: &mut Env<'_>) -> Result<Trace, GraphError> {
    let mut values = Vec::new();
    let outputs = env::execute(graph, env, Some(&mut values))?;
    Ok(Trace { outputs, values })
}

/// Computes one node that needs neither states nor slots from the values of its operands.
///
/// # Errors
/// The shape rule's complaint, [`GraphError::Argument`] for an operand of another shape than the graph says,
/// [`GraphError::Missing`] when the node reads a state or a slot, [`GraphError::OutOfRange`] for a bad id or length.
pub fn eval_op(graph: &Graph, node: &Node, operands: &[&Tensor64]) -> Result<Tensor64, GraphError> {
    apply(graph, node, operands, &mut Memory { slots: &[], states: &mut [] })
}

/// Computes one node, with the slots and states it may need.
///
/// # Errors
/// As [`eval_op`], and what a bad row number or slot gives.
pub fn eval_node(
    graph: &Graph,
    node: &Node,
    operands: &[&Tensor64],
    slots: &[i64],
    states: &mut [Tensor64],
) -> Result<Tensor64, GraphError> {
    apply(graph, node, operands, &mut Memory { slots, states })
}

/// Computes one node. The kernels called from here index freely: the checks are made here.
fn apply(
    graph: &Graph,
    node: &Node,
    operands: &[&Tensor64],
    memory: &mut Memory<'_>,
) -> Result<Tensor64, GraphError> {
    let (shape, _) = shape::infer(graph, &node.op, &node.inputs)?;
    if operands.len() != node.inputs.len() {
        return Err(GraphError::Operands {
            op: node.op.name(),
            wanted: node.inputs.len(),
            found: operands.len(),
        });
    }
    for (&id, operand) in node.inputs.iter().zip(operands) {
        operand.expect_shape("operand", &graph.value(id).name, graph.shape(id))?;
    }
    let name = &graph.value(node.output).name;
    let x = operands[0];
    let data = match &node.op {
        Op::MatMul(e) => product::matmul(e, operands, shape),
        Op::MatMulAfter(prologue, e) => {
            let first = match (*prologue, &operands[2..]) {
                (Prologue::RmsNorm { eps }, more) => norm::rms_norm(f64::from(eps), &[x, more[0]]),
                (Prologue::LayerNorm { eps }, more) => {
                    norm::layer_norm(f64::from(eps), &[x, more[0], more[1]])
                }
                (Prologue::Gated(f), more) => elementwise::gated(f, x, more[0]),
            };
            let first = Tensor64::new(x.shape, first)?;
            let others = &operands[2 + prologue.extra_inputs()..];
            product::matmul(e, &[&[&first, operands[1]], others].concat(), shape)
        }
        Op::Conv2d(c) => product::conv2d(c, operands, shape),
        Op::DepthwiseConv1d { pad, epilogue } => product::depthwise_conv1d(*pad, epilogue, operands, shape),
        Op::Conv1d(c) => product::conv1d(c, operands, shape),
        Op::ConvTranspose1d(c) => product::conv_transpose1d(c, operands, shape),
        Op::Clamp { min, max } => elementwise::clamp([*min, *max].map(f64::from), x),
        Op::Snake => elementwise::snake(x, operands[1]),
        Op::Attention(a) => attention::full_attention(name, a, operands)?,
        Op::RepeatRows { times } => vocoder::repeat_rows(*times, x),
        Op::SegmentMean { len } => vocoder::segment_mean(*len, x),
        Op::InverseStft(i) => vocoder::inverse_stft(i, x),
        Op::Binary(f) => elementwise::binary(*f, x, operands[1]),
        Op::Unary(f) => elementwise::unary(*f, x),
        Op::Scale(factor) => x.data.iter().map(|v| f64::from(*factor) * v).collect(),
        Op::Glu => elementwise::glu(x),
        Op::Gated(f) => elementwise::gated(*f, x, operands[1]),
        Op::LayerNorm { eps } => norm::layer_norm(f64::from(*eps), operands),
        Op::RmsNorm { eps } => norm::rms_norm(f64::from(*eps), operands),
        Op::L2Norm { eps } => norm::l2_norm(f64::from(*eps), x),
        Op::BatchNorm { eps } => norm::batch_norm(f64::from(*eps), operands),
        Op::BatchNormScale { eps } => norm::batch_norm_scale(f64::from(*eps), x, operands[1]),
        Op::Softmax => norm::softmax(x),
        Op::LogSoftmax => norm::log_softmax(x),
        Op::Argmax => norm::argmax(x),
        Op::Gather => layout::gather(name, x, operands[1])?,
        Op::MaskRows => sequence::mask_rows(name, x, operands[1])?,
        Op::RelPosAttention(a) => attention::rel_pos_attention(name, a, operands)?,
        Op::LstmCell => sequence::lstm_cell(x, operands[1]),
        Op::GatedDeltaNet(d) => delta::gated_delta_net(name, d, operands, memory.state(graph, d.state)?)?,
        Op::Rope(r) => rope::rope(name, r, x, operands[1])?,
        Op::CausalConv1d(c) => causal_conv::causal_conv1d(name, c, operands, memory.state(graph, c.state)?)?,
        Op::CausalAttention(a) => {
            let states = memory.cache(graph, [a.keys, a.values])?;
            causal_attention::causal_attention(name, a, operands, states)?
        }
        Op::ExpertChoice(c) => experts::choice(c, operands),
        Op::ExpertWeights(w) => experts::weights(name, w, x, operands[1])?,
        Op::ExpertGateUp(g) => experts::gate_up(name, g, operands)?,
        Op::ExpertDown => experts::down(name, operands)?,
        Op::Heads(Heads::Delta(h)) => heads::delta_heads(name, h, operands, graph, memory)?,
        Op::Heads(Heads::Attention(h)) => {
            let states = memory.cache(graph, [h.attention.keys, h.attention.values])?;
            heads::attention_heads(name, h, operands, states)?
        }
        Op::Reshape(_) => x.data.clone(),
        Op::Permute(perm) => layout::permute(perm, x, shape),
        Op::Slice { axis, start, len } => {
            let first = match start {
                Start::Fixed(n) => *n as f64,
                Start::Slot(slot) => memory.slot(graph, *slot)? as f64,
            };
            layout::slice(name, *axis, first, *len, x)?
        }
        Op::Concat { axis } => layout::concat(*axis, operands),
        Op::StateGather(s) => state::gather(name, memory.state(graph, *s)?, x)?,
        Op::StateScatter(s) => state::scatter(name, memory.stored(graph, *s)?, x, operands[1])?,
        Op::StateAppend { state, at } => {
            let first = memory.slot(graph, *at)?;
            state::append(name, memory.stored(graph, *state)?, first, x)?
        }
        Op::StateNumbers { state, column } => state::numbers(name, memory.state(graph, *state)?, x, *column)?,
        Op::LstmStep { hidden, cell } => {
            let [hidden, cell] = memory.two_states(graph, [*hidden, *cell])?;
            sequence::lstm_step(name, operands, hidden, cell)?
        }
        Op::TransducerJoin(j) => {
            let [frames, cursors] = memory.two_states(graph, [j.frames, j.cursors])?;
            transducer::join(name, j, operands, frames, cursors)?
        }
        Op::TransducerAdvance(a) => transducer::advance(name, a, operands, memory.state(graph, a.cursors)?)?,
    };
    Tensor64::new(shape, data)
}

/// A run-time index as a `usize` below `limit`.
fn index(node: &str, what: &str, found: f64, limit: usize) -> Result<usize, GraphError> {
    if found >= 0.0 && found < limit as f64 && found.fract() == 0.0 {
        return Ok(found as usize);
    }
    Err(GraphError::OutOfRange { what: format!("'{node}': {what}"), found: found as i64, limit })
}
