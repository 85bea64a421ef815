//! Placement: which device runs which node.
//!
//! If the chosen device supports every op, the graph stays whole: one arena, no scheduler in the way. Only when an op
//! is missing is the graph cut into segments with explicit copies; `--strict` refuses instead.

use crate::error::PlanError;
use mynah_device::{Device, Unsupported};
use mynah_graph::Graph;
use std::ops::Range;

/// Which nodes run where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Runs of nodes in order; `true` means the fallback device.
    pub segments: Vec<(Range<usize>, bool)>,
    /// Nodes the chosen device can't run, with the reason.
    pub missing: Vec<(String, Unsupported)>,
}

impl Placement {
    /// Whether the graph stays whole on the chosen device.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Places every node on `device`, or where it can't on `fallback`.
///
/// # Errors
/// [`PlanError::Strict`] with `strict`, or without a fallback, at the first node `device` can't run;
/// [`PlanError::Device`] for a node neither can run.
pub fn place(
    graph: &Graph,
    device: &dyn Device,
    fallback: Option<&dyn Device>,
    strict: bool,
) -> Result<Placement, PlanError> {
    let mut placement = Placement { segments: Vec::new(), missing: Vec::new() };
    for (i, node) in graph.nodes().iter().enumerate() {
        let refused = device.supports(graph, node).err();
        if let Some(reason) = &refused {
            let name = &graph.value(node.output).name;
            let Some(fallback) = fallback.filter(|_| !strict) else {
                let (node, device) = (name.clone(), device.name().to_owned());
                return Err(PlanError::Strict { node, device, reason: reason.clone() });
            };
            fallback.supports(graph, node).map_err(mynah_device::DeviceError::from)?;
            placement.missing.push((name.clone(), reason.clone()));
        }
        match placement.segments.last_mut() {
            Some((range, elsewhere)) if *elsewhere == refused.is_some() => range.end = i + 1,
            _ => placement.segments.push((i..i + 1, refused.is_some())),
        }
    }
    Ok(placement)
}
