//! Cuts a range of nodes out of a graph, as a graph of its own, for placement on more than one device.
//!
//! Values that cross the cut become inputs and outputs; the executor copies them through host memory.

use crate::error::PlanError;
use mynah_graph::{Graph, GraphBuilder, ValueId, ValueSource};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// A part of a graph.
pub(crate) struct Segment {
    /// The part; every state and slot of the whole is declared, so run arguments fit both.
    pub(crate) graph: Graph,
    /// The whole graph's values behind this part's inputs, in order.
    pub(crate) inputs: Vec<ValueId>,
    /// The whole graph's values behind this part's outputs, in order.
    pub(crate) outputs: Vec<ValueId>,
}

/// The nodes of `range` as a graph.
///
/// # Errors
/// [`PlanError::Graph`] if the whole was not legal.
pub(crate) fn extract(whole: &Graph, range: Range<usize>) -> Result<Segment, PlanError> {
    let mut builder = GraphBuilder::new(format!("{}[{}..{}]", whole.name, range.start, range.end));
    for state in whole.states() {
        builder.declare(state);
    }
    for slot in whole.slots() {
        builder.slot(slot);
    }
    let needed_later = needed_after(whole, range.end);
    let mut inside: HashMap<ValueId, ValueId> = HashMap::new();
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for node in &whole.nodes()[range] {
        let operands = node.inputs.iter().map(|&v| {
            *inside.entry(v).or_insert_with(|| {
                let value = whole.value(v);
                if let ValueSource::Weight(spec) = &value.source {
                    return builder.weight(spec);
                }
                inputs.push(v);
                builder.input(&value.name, value.elem, value.shape)
            })
        });
        let operands: Vec<ValueId> = operands.collect();
        let output = builder.op(node.op.clone(), &operands);
        inside.insert(node.output, output);
        if needed_later.contains(&node.output) {
            builder.output(&whole.value(node.output).name, output);
            outputs.push(node.output);
        }
    }
    Ok(Segment { graph: builder.finish()?, inputs, outputs })
}

/// Values that nodes from `end` on, or the graph's outputs, read.
fn needed_after(whole: &Graph, end: usize) -> BTreeSet<ValueId> {
    let later = whole.nodes()[end..].iter().flat_map(|n| n.inputs.iter().copied());
    later.chain(whole.outputs().iter().map(|(_, v)| *v)).collect()
}
