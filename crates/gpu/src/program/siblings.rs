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
