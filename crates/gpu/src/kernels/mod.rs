//! The kernels, one folder per op family: host code that declares operands and sizes, the shader beside it.

mod attention;
mod causal;
mod common;
mod conv;
mod delta;
mod elementwise;
mod experts;
pub(crate) mod guard;
mod matmul;
mod movement;
mod norm;
mod recurrent;
mod rotary;
mod signal;
mod state;
#[cfg(test)]
mod testing;
mod transducer;

use crate::program::{Bind, Compiled};
use mynah_device::{DeviceError, F16_CACHE, Route};
use mynah_graph::{Heads, Op};

/// The fast routes of the device.
pub const ROUTES: &[Route] = &[matmul::F16_MATRIX, attention::F16_ATTENTION, F16_CACHE];

/// Whether a node reads this operand as halves, for matrix units, and so would rather find it so.
pub(crate) fn takes_halves(bind: &Bind<'_>, operand: usize) -> bool {
    match &bind.node().op {
        _ if bind.out_shape().numel() == 0 => false,
        Op::MatMul(e) => operand == 0 && matmul::takes_halves(bind, e),
        Op::Attention(a) => attention::full_takes_halves(bind, a, operand),
        Op::RelPosAttention(a) => attention::takes_halves(bind, a, operand),
        _ => false,
    }
}

/// A node's dispatches. Placement asks the very same function, so what is supported is what runs.
///
/// # Errors
/// [`DeviceError::Unsupported`] with what the adapter lacks.
pub(crate) fn compile(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    if bind.out_shape().numel() == 0 {
        // Nothing to compute; a dispatch of no workgroups is legal, a binding of no bytes is not.
        return Ok(Compiled { name: "nothing".into(), ..Compiled::default() });
    }
    match &bind.node().op {
        Op::MatMul(e) => matmul::compile(bind, e),
        Op::MatMulAfter(prologue, e) => matmul::compile_after(bind, prologue, e),
        Op::Conv2d(c) => conv::compile_2d(bind, c),
        Op::DepthwiseConv1d { pad, epilogue } => conv::compile_depthwise(bind, *pad, epilogue),
        Op::Binary(op) => elementwise::compile_binary(bind, *op),
        Op::Unary(f) => elementwise::compile_unary(bind, *f),
        Op::Scale(factor) => elementwise::compile_scale(bind, *factor),
        Op::Glu => elementwise::compile_glu(bind),
        Op::LayerNorm { eps } => norm::compile_layer(bind, *eps),
        Op::RmsNorm { eps } => norm::compile_rms(bind, *eps),
        Op::BatchNorm { eps } => norm::compile_batch(bind, *eps),
        Op::BatchNormScale { eps } => norm::compile_batch_scale(bind, *eps),
        Op::Softmax => norm::compile_softmax(bind, false),
        Op::LogSoftmax => norm::compile_softmax(bind, true),
        Op::Argmax => norm::compile_argmax(bind),
        Op::Gather => movement::compile_gather(bind),
        Op::MaskRows => elementwise::compile_mask(bind),
        Op::RelPosAttention(a) => attention::compile(bind, a),
        Op::LstmCell => recurrent::compile_lstm(bind),
        Op::GatedDeltaNet(d) => delta::compile(bind, *d),
        Op::Reshape(_) => movement::compile_copy(bind),
        Op::Permute(perm) => movement::compile_permute(bind, perm),
        Op::Slice { axis, start, len } => movement::compile_slice(bind, *axis, *start, *len),
        Op::Concat { axis } => movement::compile_concat(bind, *axis),
        Op::StateGather(state) => state::compile_gather(bind, state.0),
        Op::StateScatter(state) => state::compile_scatter(bind, state.0),
        Op::StateAppend { state, at } => state::compile_append(bind, state.0, at.0),
        Op::StateNumbers { state, column } => state::compile_numbers(bind, state.0, *column),
        Op::LstmStep { hidden, cell } => recurrent::compile_lstm_step(bind, hidden.0, cell.0),
        Op::TransducerJoin(j) => transducer::compile_join(bind, j),
        Op::TransducerAdvance(a) => transducer::compile_advance(bind, a),
        Op::Gated(act) => elementwise::compile_gated(bind, *act),
        Op::L2Norm { eps } => norm::compile_l2(bind, *eps),
        Op::Rope(rope) => rotary::compile(bind, rope),
        Op::CausalConv1d(c) => causal::compile_conv(bind, c),
        Op::CausalAttention(a) => causal::compile_attention(bind, a),
        Op::Heads(Heads::Delta(h)) => delta::compile_heads(bind, h),
        Op::Heads(Heads::Attention(h)) => causal::compile_heads(bind, h),
        Op::ExpertChoice(c) => experts::compile_choice(bind, *c),
        Op::ExpertWeights(w) => experts::compile_weights(bind, *w),
        Op::ExpertGateUp(g) => experts::compile_gate_up(bind, g),
        Op::ExpertDown => experts::compile_down(bind),
        Op::Conv1d(c) => conv::compile_over_time(bind, c),
        Op::ConvTranspose1d(c) => conv::compile_transposed(bind, c),
        Op::Snake => elementwise::compile_snake(bind),
        Op::Clamp { min, max } => elementwise::compile_clamp(bind, *min, *max),
        Op::Attention(a) => attention::compile_full(bind, a),
        Op::RepeatRows { times } => movement::compile_repeat(bind, *times),
        Op::SegmentMean { len } => norm::compile_segments(bind, *len),
        Op::InverseStft(i) => signal::compile(bind, i),
    }
}
