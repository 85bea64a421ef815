//! A batch norm with stored statistics after a depthwise convolution becomes part of its kernel and bias.
//!
//! `s = gain / sqrt(variance + eps)`, `kernel' = kernel · s`, `bias' = beta + (bias − mean) · s`. The new operands are
//! written as graph nodes over weights; `fold-constants` evaluates them once, in f64, when the plan is made.

use super::{Context, Outcome, Rewrite};
use crate::error::PlanError;
use mynah_graph::{BinaryOp, Graph, Node, NodeId, Op, ValueId};

/// The rule.
pub(super) struct FoldBatchNorm;

impl Rewrite for FoldBatchNorm {
    fn name(&self) -> &'static str {
        "fold-batch-norm"
    }

    fn apply(&self, graph: &mut Graph, _: &Context<'_>) -> Result<Outcome, PlanError> {
        let mut outcome = Outcome::default();
        let mut index = 0;
        while index < graph.nodes().len() {
            match find(graph, index) {
                Ok(Some(found)) => {
                    index += fold(graph, index, &found)?;
                    outcome.fired += 1;
                }
                Ok(None) => {}
                Err(reason) => {
                    let name = graph.value(graph.nodes()[index].output).name.clone();
                    outcome.refused.push((name, reason));
                }
            }
            index += 1;
        }
        Ok(outcome)
    }
}

/// A batch norm and the convolution before it.
struct Found {
    eps: f32,
    /// gain, beta, mean, variance
    parameters: [ValueId; 4],
    convolution: Node,
}

fn find(graph: &Graph, index: usize) -> Result<Option<Found>, &'static str> {
    let node = &graph.nodes()[index];
    let (Op::BatchNorm { eps }, &[x, gain, beta, mean, variance]) = (&node.op, node.inputs.as_slice()) else {
        return Ok(None);
    };
    let Some(NodeId(producer)) = graph.producer(x) else { return Ok(None) };
    let convolution = graph.nodes()[producer as usize].clone();
    let Op::DepthwiseConv1d { epilogue, .. } = &convolution.op else {
        return Err("the layer before is no depthwise convolution");
    };
    if graph.use_counts()[x.0 as usize] > 1 {
        return Err("the convolution has other users");
    }
    if epilogue.activation.is_some() || epilogue.scale != 1.0 || epilogue.residual {
        return Err("the convolution's epilogue goes beyond a bias");
    }
    let parameters = [gain, beta, mean, variance];
    if parameters.iter().chain(&convolution.inputs[1..]).any(|v| graph.weight(*v).is_none()) {
        return Err("its parameters are not all weights");
    }
    Ok(Some(Found { eps: *eps, parameters, convolution }))
}

/// Writes the folding nodes before the batch norm at `index` and turns it into the convolution. Returns how many
/// nodes were inserted.
fn fold(graph: &mut Graph, index: usize, found: &Found) -> Result<usize, PlanError> {
    let [gain, beta, mean, variance] = found.parameters;
    let (x, kernel) = (found.convolution.inputs[0], found.convolution.inputs[1]);
    let name = graph.value(graph.nodes()[index].output).name.clone();
    let mut inserted = 0;
    let mut insert = |graph: &mut Graph, part: &str, op: Op, inputs: &[ValueId]| {
        let at = NodeId((index + inserted) as u32);
        inserted += 1;
        graph.insert_before(at, &format!("{name}/{part}"), op, inputs.to_vec())
    };
    let scale = insert(graph, "scale", Op::BatchNormScale { eps: found.eps }, &[gain, variance])?;
    let column = insert(graph, "column", Op::Reshape(vec![graph.shape(gain).last(), 1, 1]), &[scale])?;
    let new_kernel = insert(graph, "kernel", Op::Binary(BinaryOp::Mul), &[kernel, column])?;
    let centred = match found.convolution.inputs.get(2) {
        Some(&bias) => {
            let shifted = insert(graph, "shift", Op::Binary(BinaryOp::Sub), &[bias, mean])?;
            insert(graph, "product", Op::Binary(BinaryOp::Mul), &[shifted, scale])?
        }
        None => {
            let product = insert(graph, "product", Op::Binary(BinaryOp::Mul), &[mean, scale])?;
            insert(graph, "minus", Op::Scale(-1.0), &[product])?
        }
    };
    let new_bias = insert(graph, "bias", Op::Binary(BinaryOp::Add), &[beta, centred])?;
    let mut op = found.convolution.op.clone();
    if let Some(epilogue) = op.epilogue_mut() {
        epilogue.bias = true;
    }
    graph.replace(NodeId((index + inserted) as u32), op, vec![x, new_kernel, new_bias]);
    Ok(inserted)
}
