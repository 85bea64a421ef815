//! Text forms of a plan, for `--dump plan|steps` and for snapshots.

use mynah_device::{Location, Plan};
use std::fmt::Write as _;

/// Which stage `--dump` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpKind {
    /// The graph as the model wrote it.
    Graph,
    /// The graph after rewrites with the place of every value.
    Plan,
    /// The launches in order.
    Steps,
}

/// The planned graph: each value with its arena range.
pub fn dump_plan(plan: &Plan) -> String {
    let mut out =
        format!("plan {}: {} steps, arena {} bytes\n", plan.graph.name, plan.steps.len(), plan.arena_bytes);
    for (value, location) in plan.graph.values().iter().zip(&plan.locations) {
        if let Location::Arena { offset, bytes } = location {
            // Writing to a String can't fail.
            let _ = writeln!(out, "  {offset:>10} +{bytes:<9} {} {:?}", value.name, value.shape);
        }
    }
    out.push_str(&plan.graph.to_string());
    out
}

/// The launches, one a line: number, op, output and shape.
pub fn dump_steps(plan: &Plan) -> String {
    let mut out = String::new();
    for (number, step) in plan.steps.iter().enumerate() {
        let node = &plan.graph.nodes()[step.0 as usize];
        let value = plan.graph.value(node.output);
        let _ = writeln!(out, "{number:>4} {:<18} {:?} {}", node.op.name(), value.shape, value.name);
    }
    out
}
