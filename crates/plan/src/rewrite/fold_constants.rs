//! A node whose operands are all weights is computed once, in f64, by the reference interpreter.
//!
//! The result becomes a weight named after the op and its operands, so that plans of other shapes and graphs find it
//! again, and one that computes something else does not.

use super::{Context, Outcome, Rewrite};
use crate::error::PlanError;
use mynah_device::DeviceError;
use mynah_graph::interp::{self, Tensor64};
use mynah_graph::{ElemType, Graph, Node, NodeId, Op, Start, WeightSpec};
use mynah_tensor::{DType, HostTensor};

/// The rule.
pub(super) struct FoldConstants;

impl Rewrite for FoldConstants {
    fn name(&self) -> &'static str {
        "fold-constants"
    }

    fn apply(&self, graph: &mut Graph, context: &Context<'_>) -> Result<Outcome, PlanError> {
        let mut outcome = Outcome::default();
        let mut index = 0;
        while index < graph.nodes().len() {
            let node = graph.nodes()[index].clone();
            if !is_constant(graph, &node) {
                index += 1;
                continue;
            }
            let operands: Vec<&str> = node.inputs.iter().map(|v| graph.value(*v).name.as_str()).collect();
            let spec = WeightSpec {
                name: format!("fold/{:?}({})", node.op, operands.join(", ")),
                shape: graph.shape(node.output),
                dtype: DType::F32,
            };
            if context.folded.get(&spec.name).is_none() {
                let operands = node.inputs.iter().filter_map(|v| graph.weight(*v));
                let operands =
                    operands.map(|w| decode(context, w)).collect::<Result<Vec<Tensor64>, PlanError>>()?;
                let value = interp::eval_op(graph, &node, &operands.iter().collect::<Vec<_>>())?;
                let elements: Vec<f32> = value.data.iter().map(|&x| x as f32).collect();
                let tensor = HostTensor::from_f32(spec.shape, &elements)
                    .map_err(|e| PlanError::Arguments { graph: graph.name.clone(), reason: e.to_string() })?;
                context.folded.insert(&spec.name, tensor);
            }
            graph.make_weight(NodeId(index as u32), spec);
            outcome.fired += 1;
        }
        Ok(outcome)
    }
}

/// Whether a node's result is the same in every run, and a float weight may stand for it. An output must stay where the
/// caller can read it.
fn is_constant(graph: &Graph, node: &Node) -> bool {
    let per_run = matches!(node.op, Op::Slice { start: Start::Slot(_), .. }) || node.op.uses_state();
    let operands_known = !node.inputs.is_empty() && node.inputs.iter().all(|v| graph.weight(*v).is_some());
    let is_output = graph.outputs().iter().any(|(_, v)| *v == node.output);
    operands_known && !per_run && !is_output && graph.value(node.output).elem == ElemType::F32
}

/// A weight's elements, from the folded ones or the model's.
fn decode(context: &Context<'_>, spec: &WeightSpec) -> Result<Tensor64, PlanError> {
    let mut elements = vec![0.0f32; spec.shape.numel()];
    let decoded = match context.folded.get(&spec.name) {
        Some(tensor) => mynah_tensor::decode_row(tensor.dtype(), tensor.data(), &mut elements),
        None => {
            let stored = context.weights.read(&spec.name)?;
            mynah_tensor::decode_row(stored.dtype, stored.bytes, &mut elements)
        }
    };
    decoded.map_err(|e| DeviceError::Weight { name: spec.name.clone(), reason: e.to_string() })?;
    Ok(Tensor64 { shape: spec.shape, data: elements.into_iter().map(f64::from).collect() })
}
