//! Which values of a plan are kept as halves: those that only products and attention on matrix units read, which would make halves
//! of them first. The kernel that computes such a value stores it so at once, an input is brought to the device so; a dispatch and
//! most of its memory traffic are saved.
//!
//! The halves lie in the first half of the value's place in the arena.

use super::Bind;
use crate::caps::Capabilities;
use crate::kernels;
use half::f16;
use half::slice::HalfFloatSliceExt;
use mynah_device::{Location, Plan, Policy};
use mynah_graph::{Graph, Node, NodeId, Op, ValueId};
use std::collections::{HashMap, HashSet};

/// The values of a plan that are kept as halves, and those that a reshape names anew.
pub(super) fn of(plan: &Plan, caps: &Capabilities, policy: &Policy) -> HashSet<ValueId> {
    let graph = &plan.graph;
    let launched: HashSet<NodeId> = plan.steps.iter().copied().collect();
    let source = |value: ValueId| source(graph, &launched, value);
    // How often a value is read, and how often by a kernel that takes halves.
    let mut reads: HashMap<ValueId, [usize; 2]> = HashMap::new();
    for (number, node) in graph.nodes().iter().enumerate() {
        let launches = launched.contains(&NodeId(number as u32));
        if !launches && matches!(node.op, Op::Reshape(_)) {
            continue;
        }
        for (operand, &value) in node.inputs.iter().enumerate() {
            // Who reads a part that only has another name wants numbers.
            let takes = launches && kernels::takes_halves(&Bind::new(plan, node, caps, policy), operand);
            let [all, halves] = reads.entry(source(value)).or_default();
            *all += 1;
            *halves += usize::from(takes);
        }
    }
    let given = |value: ValueId| graph.outputs().iter().any(|&(_, output)| source(output) == value);
    let wanted = |value: ValueId| reads.get(&value).is_some_and(|[all, halves]| all == halves);
    let nodes = plan.steps.iter().map(|id| &graph.nodes()[id.0 as usize]);
    let keeps = |node: &&Node| gives_halves(&node.op) && wanted(node.output) && !given(node.output);
    let computed = nodes.filter(keeps).filter(|node| !in_place(plan, node)).map(|node| node.output);
    let inputs = graph.inputs().iter().copied().filter(|&input| wanted(input) && !given(input));
    let kept: HashSet<ValueId> = computed.chain(inputs).collect();
    (0..graph.values().len() as u32).map(ValueId).filter(|&value| kept.contains(&source(value))).collect()
}

/// The value that lies where this one does, before reshapes that launch nothing.
fn source(graph: &Graph, launched: &HashSet<NodeId>, mut value: ValueId) -> ValueId {
    while let Some(id) = graph.producer(value).filter(|id| !launched.contains(id)) {
        let Node { op, inputs, .. } = &graph.nodes()[id.0 as usize];
        match (op, inputs.first()) {
            (Op::Reshape(_), Some(&inner)) => value = inner,
            _ => break,
        }
    }
    value
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
            | Op::Attention(_)
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
    use mynah_graph::{Attention, ElemType, Graph, GraphBuilder, Op, ValueId, WeightSpec};
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

    /// Three products of a norm, heads of theirs, attention over them and a product of it; `read` may add readers of the queries.
    fn attention(read: impl FnOnce(&mut GraphBuilder, ValueId)) -> Graph {
        let mut b = GraphBuilder::new("attention");
        let x = b.input("x", ElemType::F32, [20, 64]);
        let lengths = b.input("lengths", ElemType::I32, [1]);
        let shape = Shape::new(&[64, 64]).unwrap();
        let weight = |b: &mut GraphBuilder, name: &str| {
            b.weight(&WeightSpec { name: name.into(), dtype: DType::F16, shape })
        };
        let [q, k, v] = ["q", "k", "v"].map(|name| {
            let w = weight(&mut b, name);
            let y = b.matmul(x, w);
            b.op(Op::Reshape(vec![1, 20, 2, 32]), &[y])
        });
        let y = b.op(Op::Attention(Attention { scale: 0.125 }), &[q, k, v, lengths]);
        let y = b.op(Op::Reshape(vec![20, 64]), &[y]);
        let w = weight(&mut b, "o");
        let y = b.matmul(y, w);
        b.output("y", y);
        read(&mut b, q);
        b.finish().unwrap()
    }

    #[test]
    fn what_attention_on_units_reads_is_kept_as_halves_under_each_of_its_names() {
        let fast = Policy::default();
        let plain = attention(|_, _| {});
        // The input; queries, keys, values and the result, each under two names.
        assert_eq!(count(&plain, true, &fast), 1 + 4 * 2);
        assert_eq!(count(&plain, false, &fast), 0);
        let mut products = Policy::default();
        products.switches.insert("f16-attention".into(), false);
        assert_eq!(count(&plain, true, &products), 1 + 2, "the input and the result");
        let read = attention(|b, q| {
            let other = b.relu(q);
            b.output("other", other);
        });
        assert_eq!(count(&read, true, &fast), 1 + 3 * 2, "another reader of the queries wants numbers");
        let given = attention(|b, q| b.output("q", q));
        assert_eq!(count(&given, true, &fast), 1 + 3 * 2, "an output is what it is");
    }
}
