//! Which values of a plan are kept as halves: those that only products on matrix units read, which would write them down as halves
//! first. The kernel that computes such a value stores it so at once, an input is brought to the device so; a dispatch and most of its
//! memory traffic are saved.
//!
//! The halves lie in the first half of the value's place in the arena.

use super::Bind;
use crate::caps::Capabilities;
use crate::kernels;
use half::f16;
use half::slice::HalfFloatSliceExt;
use mynah_device::{Location, Plan, Policy};
use mynah_graph::{Node, Op, ValueId};
use std::collections::{HashMap, HashSet};

/// The values of a plan that are kept as halves.
pub(super) fn of(plan: &Plan, caps: &Capabilities, policy: &Policy) -> HashSet<ValueId> {
    let graph = &plan.graph;
    let nodes: Vec<&Node> = plan.steps.iter().map(|id| &graph.nodes()[id.0 as usize]).collect();
    // How often a value is read, and how often by a product that takes halves.
    let mut reads: HashMap<ValueId, [usize; 2]> = HashMap::new();
    for node in &nodes {
        for (operand, &value) in node.inputs.iter().enumerate() {
            let takes = operand == 0 && kernels::takes_halves(&Bind::new(plan, node, caps, policy));
            let [all, halves] = reads.entry(value).or_default();
            *all += 1;
            *halves += usize::from(takes);
        }
    }
    let given = |value: ValueId| graph.outputs().iter().any(|&(_, output)| output == value);
    let wanted = |value: ValueId| reads.get(&value).is_some_and(|[all, halves]| all == halves);
    let keeps = |node: &&&Node| gives_halves(&node.op) && wanted(node.output) && !given(node.output);
    let computed = nodes.iter().filter(keeps).filter(|node| !in_place(plan, node)).map(|node| node.output);
    let inputs = graph.inputs().iter().copied().filter(|&input| wanted(input) && !given(input));
    computed.chain(inputs).collect()
}

/// An input as halves, an even count of them, brought into their range as kernels do it.
pub(super) fn brought(data: &[f32]) -> Vec<f16> {
    const MOST: f32 = 65504.0;
    let near: Vec<f32> = data.iter().map(|v| v.clamp(-MOST, MOST)).collect();
    let mut halves = vec![f16::ZERO; data.len().next_multiple_of(2)];
    halves[..data.len()].convert_from_f32_slice(&near);
    halves
}

/// Whether the op's kernels can store halves.
fn gives_halves(op: &Op) -> bool {
    matches!(
        op,
        Op::MatMul(_)
            | Op::LayerNorm { .. }
            | Op::RmsNorm { .. }
            | Op::RelPosAttention(_)
            | Op::DepthwiseConv1d { .. }
    )
}

/// Whether the result shares memory with an operand: halves would be written over what others still have to read.
fn in_place(plan: &Plan, node: &Node) -> bool {
    let range = |value: ValueId| match plan.location(value) {
        Location::Arena { offset, bytes } => Some(offset..offset + bytes),
        _ => None,
    };
    let Some(own) = range(node.output) else { return true };
    node.inputs.iter().filter_map(|&value| range(value)).any(|r| r.start < own.end && own.start < r.end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

    use super::of;
    use crate::caps::Capabilities;
    use mynah_device::Policy;
    use mynah_graph::{ElemType, Graph, GraphBuilder, Op, ValueId, WeightSpec};
    use mynah_lab::naive_plan;
    use mynah_tensor::{DType, Shape};

    fn adapter(units: bool) -> Capabilities {
        let large = Capabilities::large();
        if units { large } else { Capabilities { matrix: Vec::new(), ..large } }
    }

    /// A norm of some rows and two products of it, one of them into a third; `edit` may add readers of the norm.
    fn chain(rows: usize, edit: impl FnOnce(&mut GraphBuilder, ValueId)) -> Graph {
        let mut b = GraphBuilder::new("chain");
        let weight = |b: &mut GraphBuilder, name: &str, dtype, dims: &[usize]| {
            b.weight(&WeightSpec { name: name.into(), dtype, shape: Shape::new(dims).unwrap() })
        };
        let x = b.input("x", ElemType::F32, [rows, 64]);
        let gain = weight(&mut b, "gain", DType::F32, &[64]);
        let w1 = weight(&mut b, "w1", DType::F16, &[128, 64]);
        let w2 = weight(&mut b, "w2", DType::Q8_0, &[64, 128]);
        let normed = b.op(Op::RmsNorm { eps: 1e-6 }, &[x, gain]);
        let wide = b.matmul(normed, w1);
        let narrow = b.matmul(wide, w2);
        b.output("y", narrow);
        edit(&mut b, normed);
        b.finish().unwrap()
    }

    fn count(graph: &Graph, units: bool, policy: &Policy) -> usize {
        of(&naive_plan(graph), &adapter(units), policy).len()
    }

    #[test]
    fn what_only_products_on_units_read_is_kept_as_halves() {
        let fast = Policy::default();
        let plain = chain(20, |_, _| {});
        assert_eq!(count(&plain, true, &fast), 2, "the norm and the wide product");
        assert_eq!(count(&plain, false, &fast), 0, "without units nobody reads halves");
        assert_eq!(count(&plain, true, &Policy::exact()), 0, "exact arithmetic has no halves");
        assert_eq!(count(&chain(4, |_, _| {}), true, &fast), 0, "few rows are multiplied elsewhere");
        let given = chain(20, |b, normed| b.output("normed", normed));
        assert_eq!(count(&given, true, &fast), 1, "an output is what it is");
        let read = chain(20, |b, normed| {
            let other = b.relu(normed);
            b.output("other", other);
        });
        assert_eq!(count(&read, true, &fast), 1, "other readers want numbers");
    }
}
