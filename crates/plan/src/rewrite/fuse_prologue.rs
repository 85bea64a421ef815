//! A norm or a gated unit goes into the products that read it, where the device has a kernel for that: one op less that all of them
//! would wait for.
//!
//! Only where every reader is such a product: otherwise it would be computed all the same.

use super::{Context, Outcome, Rewrite};
use crate::error::PlanError;
use mynah_device::Device;
use mynah_graph::{Graph, Node, NodeId, Op, Prologue, ValueId};

/// The rule.
pub(super) struct FusePrologue;

impl Rewrite for FusePrologue {
    fn name(&self) -> &'static str {
        "fuse-prologue"
    }

    fn apply(&self, graph: &mut Graph, context: &Context<'_>) -> Result<Outcome, PlanError> {
        let mut outcome = Outcome::default();
        for index in 0..graph.nodes().len() {
            let node = &graph.nodes()[index];
            let Some((prologue, rest)) = prologue(node) else { continue };
            let value = node.output;
            match fused(graph, context.device, value, prologue, node.inputs[0], &rest) {
                Ok(products) => {
                    for (at, op, inputs) in products {
                        graph.replace(NodeId(at as u32), op, inputs);
                    }
                    outcome.fired += 1;
                }
                Err(reason) => outcome.refused.push((graph.value(value).name.clone(), reason)),
            }
        }
        Ok(outcome)
    }
}

/// What a node is to a product that reads it, with its operands but for the first.
fn prologue(node: &Node) -> Option<(Prologue, Vec<ValueId>)> {
    let prologue = match node.op {
        Op::RmsNorm { eps } => Prologue::RmsNorm { eps },
        Op::LayerNorm { eps } => Prologue::LayerNorm { eps },
        Op::Gated(f) => Prologue::Gated(f),
        _ => return None,
    };
    Some((prologue, node.inputs[1..].to_vec()))
}

/// A product's place, and what stands there then.
type Fused = (usize, Op, Vec<ValueId>);

/// All products that read `value`, with their places and operands once its op is part of them.
fn fused(
    graph: &Graph,
    device: Option<&dyn Device>,
    value: ValueId,
    prologue: Prologue,
    x: ValueId,
    rest: &[ValueId],
) -> Result<Vec<Fused>, &'static str> {
    let device = device.ok_or("the device is not known")?;
    let mut products = Vec::new();
    for (at, node) in graph.nodes().iter().enumerate() {
        let reads = node.inputs.iter().filter(|&&input| input == value).count();
        match (&node.op, node.inputs.as_slice()) {
            _ if reads == 0 => {}
            (Op::MatMul(epilogue), &[first, weight, ref others @ ..]) if reads == 1 && first == value => {
                let op = Op::MatMulAfter(prologue, *epilogue);
                let inputs = [&[x, weight], rest, others].concat();
                let node = Node { op: op.clone(), inputs: inputs.clone(), output: node.output };
                device.supports(graph, &node).map_err(|_| "the device has no kernel for both at once")?;
                products.push((at, op, inputs));
            }
            _ => return Err("something other than a product reads it"),
        }
    }
    if products.is_empty() || graph.outputs().iter().any(|&(_, output)| output == value) {
        return Err("something other than a product reads it");
    }
    Ok(products)
}
