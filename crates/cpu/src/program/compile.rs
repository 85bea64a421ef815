//! Turns a plan into kernels.

use super::bind::arena_range;
use super::run::{Port, PortPlace};
use super::{Bind, Kernel, Program, Step};
use crate::memory::ScratchNeed;
use crate::simd::SimdLevel;
use crate::weights::Store;
use crate::{
    attention, conv, elementwise, experts, matmul, movement, norm, recurrent, signal, state, transducer,
};
use mynah_device::{DeviceError, Location, Plan, Policy, Unsupported, WeightUse};
use mynah_graph::{ElemType, Graph, Heads, Node, Op, ValueId};
use std::time::Duration;

/// Whether there is a kernel for a node.
///
/// # Errors
/// What is missing.
pub(crate) fn supports(graph: &Graph, node: &Node) -> Result<(), Unsupported> {
    let refuse = |reason: &str| Err(Unsupported { op: node.op.name(), reason: reason.to_owned() });
    let stored = match node.op {
        Op::Conv2d(_) | Op::DepthwiseConv1d { .. } | Op::CausalConv1d(_) => node.inputs.get(1..2),
        Op::Conv1d(_) | Op::ConvTranspose1d(_) => node.inputs.get(1..2),
        Op::ExpertGateUp(_) => node.inputs.get(2..),
        Op::ExpertDown => node.inputs.get(3..),
        _ => None,
    };
    // Steps cost a CPU nothing that one of several would save.
    match node.op {
        Op::Heads(_) => return refuse("heads run as the ops they stand for"),
        Op::MatMulAfter(..) => return refuse("a product and what comes before it run one after the other"),
        _ => {}
    }
    let numbers = node.inputs.first().map_or(0, |&v| graph.shape(v).last());
    if matches!(node.op, Op::InverseStft(_)) && numbers > signal::LARGEST + 2 {
        return refuse("the window is longer than its matrix may be");
    }
    if stored.unwrap_or_default().iter().any(|&v| graph.weight(v).is_none()) {
        return refuse("the kernel must be a weight, not a computed value");
    }
    Ok(())
}

/// Compiles a plan against prepared weights.
///
/// # Errors
/// [`DeviceError::Unsupported`], [`DeviceError::Weight`] for a weight that isn't prepared, and
/// [`DeviceError::Arguments`] for a plan whose places don't fit together.
pub(crate) fn compile(
    plan: &Plan,
    store: &Store,
    policy: &Policy,
    level: SimdLevel,
    threads: usize,
) -> Result<Program, DeviceError> {
    let graph = &plan.graph;
    let wrong = |reason: String| DeviceError::Arguments { graph: graph.name.clone(), reason };
    graph.check().map_err(|e| wrong(e.to_string()))?;
    let mut steps = Vec::with_capacity(plan.steps.len());
    let mut scratch = ScratchNeed::default();
    for id in &plan.steps {
        let node =
            graph.nodes().get(id.0 as usize).ok_or_else(|| wrong(format!("there is no node {}", id.0)))?;
        supports(graph, node)?;
        let mut kernel = kernel(&Bind { plan, node, store, policy, level, threads })?;
        // A kernel never writes over what it leaves the layout of, so behind it the operand is still the same.
        let before = steps.last().and_then(|step: &Step| step.kernel.leaves());
        if before.is_some() && before == kernel.leaves() {
            kernel.reuse();
        }
        let value = graph.value(node.output);
        scratch = scratch.max(kernel.scratch());
        steps.push(Step {
            node: value.name.clone(),
            op: node.op.name(),
            kernel,
            output: arena_range(plan, node.output).map_err(wrong)?,
            elem: value.elem,
            runs: 0,
            time: Duration::ZERO,
        });
    }
    scratch.bytes(threads).ok_or_else(|| wrong("the scratch memory has no size".to_owned()))?;
    let input = |&value: &ValueId| match plan.location(value) {
        Location::Unused => Ok(port(graph, value, PortPlace::Unused)),
        _ => Ok(port(graph, value, PortPlace::Arena(arena_range(plan, value)?))),
    };
    let output = |(name, value): &(String, ValueId)| {
        let folded = graph.weight(*value).and_then(|w| store.elements(&w.name, WeightUse::Elements));
        let place = match folded {
            Some(elements) => PortPlace::Elements(elements),
            None => PortPlace::Arena(arena_range(plan, *value)?),
        };
        Ok(Port { name: name.clone(), ..port(graph, *value, place) })
    };
    Ok(Program {
        graph: graph.name.clone(),
        steps,
        inputs: graph.inputs().iter().map(input).collect::<Result<_, String>>().map_err(wrong)?,
        outputs: graph.outputs().iter().map(output).collect::<Result<_, String>>().map_err(wrong)?,
        slots: graph.slots().len(),
        repeatable: graph.is_repeatable(),
        states: graph.states().to_vec(),
        arena_bytes: plan.arena_bytes,
        scratch,
    })
}

fn port(graph: &Graph, value: ValueId, place: PortPlace) -> Port {
    let v = graph.value(value);
    Port { name: v.name.clone(), elem: v.elem, len: v.shape.numel(), place }
}

/// The kernel of a node.
fn kernel(bind: &Bind<'_>) -> Result<Box<dyn Kernel>, DeviceError> {
    // Kernels read floats where the op says so; the shape rules don't look at element types.
    let is_int = |i: usize| {
        let value = bind.node().inputs.get(i);
        value.is_some_and(|&v| bind.graph().value(v).elem == ElemType::I32)
    };
    let integer_operands: &[usize] = match bind.node().op {
        Op::Gather | Op::MaskRows | Op::TransducerJoin(_) | Op::TransducerAdvance(_) => &[1],
        Op::RelPosAttention(_) => &[6],
        Op::GatedDeltaNet(_) => &[5],
        Op::Attention(_) => &[3],
        Op::LstmStep { .. } => &[1, 2],
        Op::Heads(Heads::Delta(_)) => &[6],
        Op::Heads(Heads::Attention(_)) => &[5, 6, 7],
        Op::Rope(_) => &[1],
        Op::CausalConv1d(_) => &[2],
        Op::CausalAttention(_) => &[3, 4],
        Op::ExpertWeights(_) | Op::ExpertGateUp(_) | Op::ExpertDown => &[1],
        Op::StateGather(_) | Op::StateScatter(_) | Op::StateNumbers { .. } => &[0],
        _ => &[],
    };
    let moves =
        matches!(bind.node().op, Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::Concat { .. });
    if !moves && (0..bind.operands()).any(|i| is_int(i) != integer_operands.contains(&i)) {
        return Err(bind.misplaced("an operand has the wrong element type"));
    }
    match &bind.node().op {
        Op::MatMul(e) => matmul::compile(bind, e),
        Op::Conv2d(c) => conv::compile_2d(bind, c),
        Op::DepthwiseConv1d { pad, epilogue } => conv::compile_depthwise(bind, *pad, epilogue),
        Op::Conv1d(c) => conv::compile_line(bind, c),
        Op::ConvTranspose1d(c) => conv::compile_transpose(bind, c),
        Op::Clamp { min, max } => elementwise::compile_clamp(bind, [*min, *max]),
        Op::Snake => elementwise::compile_snake(bind),
        Op::Attention(a) => attention::compile_full(bind, a),
        Op::RepeatRows { times } => movement::compile_repeat(bind, *times),
        Op::SegmentMean { len } => norm::compile_segments(bind, *len),
        Op::InverseStft(i) => signal::compile_inverse_stft(bind, *i),
        Op::Binary(op) => elementwise::compile_binary(bind, *op),
        Op::Unary(f) => elementwise::compile_unary(bind, *f),
        Op::Scale(factor) => elementwise::compile_scale(bind, *factor),
        Op::Glu => elementwise::compile_glu(bind),
        Op::Gated(f) => elementwise::compile_gated(bind, *f),
        Op::LayerNorm { eps } => norm::compile_layer(bind, *eps),
        Op::RmsNorm { eps } => norm::compile_rms(bind, *eps),
        Op::L2Norm { eps } => norm::compile_l2(bind, *eps),
        Op::BatchNorm { eps } => norm::compile_batch(bind, *eps),
        Op::BatchNormScale { eps } => norm::compile_batch_scale(bind, *eps),
        Op::Softmax => norm::compile_softmax(bind, false),
        Op::LogSoftmax => norm::compile_softmax(bind, true),
        Op::Argmax => norm::compile_argmax(bind),
        Op::Gather => movement::compile_gather(bind),
        Op::MaskRows => elementwise::compile_mask(bind),
        Op::RelPosAttention(a) => attention::compile(bind, a),
        Op::LstmCell => recurrent::compile_lstm(bind),
        Op::GatedDeltaNet(d) => recurrent::compile_delta(bind, *d),
        Op::Rope(r) => attention::compile_rope(bind, *r),
        Op::CausalConv1d(c) => conv::compile_causal(bind, *c),
        Op::CausalAttention(a) => attention::compile_causal(bind, *a),
        Op::ExpertChoice(c) => experts::compile_choice(bind, *c),
        Op::ExpertWeights(w) => experts::compile_weights(bind, *w),
        Op::ExpertGateUp(g) => experts::compile_gate_up(bind, *g),
        Op::ExpertDown => experts::compile_down(bind),
        Op::Reshape(_) => movement::compile_copy(bind),
        Op::Permute(perm) => movement::compile_permute(bind, perm),
        Op::Slice { axis, start, len } => movement::compile_slice(bind, *axis, *start, *len),
        Op::Concat { axis } => movement::compile_concat(bind, *axis),
        Op::StateGather(state) => state::compile_gather(bind, state.0),
        Op::StateScatter(state) => state::compile_scatter(bind, state.0),
        Op::StateAppend { state, at } => state::compile_append(bind, state.0, at.0),
        Op::StateNumbers { state, column } => state::compile_numbers(bind, state.0, *column),
        Op::LstmStep { hidden, cell } => recurrent::compile_lstm_step(bind, [hidden.0, cell.0]),
        Op::TransducerJoin(j) => transducer::compile_join(bind, j),
        Op::TransducerAdvance(a) => transducer::compile_advance(bind, a),
        Op::Heads(_) => Err(bind.misplaced("heads run as the ops they stand for")),
        Op::MatMulAfter(..) => {
            Err(bind.misplaced("a product and what comes before it run one after the other"))
        }
    }
}
