//! Which dispatches of a plan go out together: products that follow each other and need not wait for each other, as the projections of a
//! layer.

use super::together::together;
use super::{Dispatch, Joins, Place, Step};
use crate::backend::IMMEDIATE_BYTES;
use crate::caps::Capabilities;
use mynah_device::{Location, Plan};
use mynah_graph::{Node, Op};
use std::ops::Range;

/// Products that are taken together at most; so many bindings are rarely to be had for more.
const MOST: usize = 4;

/// Joins dispatches of steps that need not wait for each other. The first step of those joined has the dispatch, and so the time.
pub(super) fn join(
    plan: &Plan,
    caps: &Capabilities,
    steps: &mut [Step],
    mut made: Vec<Vec<Dispatch>>,
) -> Vec<Vec<Dispatch>> {
    let nodes: Vec<&Node> = plan.steps.iter().map(|id| &plan.graph.nodes()[id.0 as usize]).collect();
    let mut at = 0;
    while at < made.len() {
        let mut end = at + 1;
        while end < made.len().min(at + MOST) && alike(plan, &nodes[at..=end], &made[at..=end]) {
            end += 1;
        }
        let fits = |d: &Dispatch| {
            d.operands.len() <= caps.max_bindings as usize && d.shader.immediate_bytes <= IMMEDIATE_BYTES
        };
        // Fewer where the adapter has too few bindings for all.
        let joined = (at + 2..=end).rev().find_map(|end| {
            let parts: Vec<&Dispatch> = made[at..end].iter().flatten().collect();
            Some((end, together(&parts, caps.max_groups).filter(fits)?))
        });
        let Some((end, whole)) = joined else {
            at += 1;
            continue;
        };
        for (step, dispatches) in steps[at..end].iter_mut().zip(&mut made[at..end]) {
            step.dispatches = 0;
            dispatches.clear();
        }
        (steps[at].dispatches, steps[at].kernel) = (1, whole.shader.name.clone());
        made[at].push(whole);
        at = end;
    }
    made
}

/// Whether the last of some products can go with those before it.
fn alike(plan: &Plan, nodes: &[&Node], made: &[Vec<Dispatch>]) -> bool {
    let ([.., node], [.., dispatches]) = (nodes, made) else { return false };
    let product = |node: &Node| matches!(node.op, Op::MatMul(_) | Op::MatMulAfter(..));
    let ([one], true) = (dispatches.as_slice(), product(node)) else { return false };
    nodes.iter().zip(made).rev().skip(1).all(|(other, theirs)| {
        let ([theirs], true) = (theirs.as_slice(), product(other)) else { return false };
        let kinds = match (one.joins, theirs.joins) {
            (Joins::Any, Joins::Any) => theirs.shader.workgroup == one.shader.workgroup,
            (Joins::Same, Joins::Same) => theirs.shader.wgsl == one.shader.wgsl,
            _ => false,
        };
        kinds && apart(plan, node, theirs) && apart(plan, other, one)
    })
}

/// Whether a dispatch of another node leaves a node's result alone, and doesn't read it.
fn apart(plan: &Plan, node: &Node, other: &Dispatch) -> bool {
    let Location::Arena { offset, bytes } = plan.location(node.output) else { return false };
    let own = offset as u64..(offset + bytes) as u64;
    let overlaps = |range: Range<u64>| range.start < own.end && own.start < range.end;
    other.operands.iter().all(|(place, bytes)| match place {
        Place::Arena(start) => !overlaps(*start..start + bytes),
        Place::Weight { .. } => true,
        Place::Scratch(_) | Place::State(_) | Place::Faults => false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

    use super::*;
    use crate::kernels;
    use crate::program::{Bind, halves};
    use mynah_device::Policy;
    use mynah_graph::{ElemType, Graph, GraphBuilder, WeightSpec};
    use mynah_lab::naive_plan;
    use mynah_tensor::{DType, Shape};

    /// Names of the dispatches of a layer's projections of so many frames, and of their positions'.
    fn projections(frames: usize, dtype: DType) -> Vec<String> {
        let mut b = GraphBuilder::new("projections");
        let weight = |b: &mut GraphBuilder, name: &str, dtype, dims: &[usize]| {
            b.weight(&WeightSpec { name: name.into(), dtype, shape: Shape::new(dims).unwrap() })
        };
        let x = b.input("x", ElemType::F32, [frames, 1024]);
        let positions = b.input("positions", ElemType::F32, [2 * frames - 1, 1024]);
        let gain = weight(&mut b, "gain", DType::F32, &[1024]);
        let normed = b.op(Op::RmsNorm { eps: 1e-6 }, &[x, gain]);
        for (name, of) in [("q", normed), ("k", normed), ("v", normed), ("p", positions)] {
            let w = weight(&mut b, name, dtype, &[1024, 1024]);
            let y = b.matmul(of, w);
            b.output(name, y);
        }
        names(&b.finish().unwrap())
    }

    fn names(graph: &Graph) -> Vec<String> {
        let (plan, caps, policy) = (naive_plan(graph), Capabilities::large(), Policy::default());
        let halves = halves::of(&plan, &caps, &policy);
        let (mut steps, mut made) = (Vec::new(), Vec::new());
        for id in &plan.steps {
            let node = &graph.nodes()[id.0 as usize];
            let bind = Bind::new(&plan, node, &caps, &policy).with_halves(&halves);
            let compiled = kernels::compile(&bind).unwrap();
            steps.push(Step {
                node: String::new(),
                op: node.op.name(),
                kernel: compiled.name,
                dispatches: compiled.dispatches.len(),
                runs: 0,
                time: std::time::Duration::ZERO,
            });
            made.push(compiled.dispatches);
        }
        let all = join(&plan, &caps, &mut steps, made).into_iter().flatten();
        all.map(|d| d.shader.name.clone()).collect()
    }

    #[test]
    fn projections_of_a_layer_are_one_dispatch() {
        let kernels = projections(138, DType::F16);
        // Positions have twice the rows, and tiles of their own.
        let tiles = ["matmul f16 units16 32x32x128/1", "matmul f16 units16 48x96x128/2", "matmul sum"];
        assert_eq!(kernels[1..], tiles, "{kernels:?}");
        // Eight bindings are enough for two products with one operand.
        assert_eq!(projections(1, DType::Q8_0).len(), 3, "a norm and four products");
    }
}
