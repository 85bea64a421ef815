//! What can stop a graph from becoming a plan, or a plan from running.

use mynah_device::{DeviceError, Unsupported};
use mynah_graph::GraphError;

/// A failure of planning or running.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The graph breaks a rule of the IR.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A device refused or failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// With `--strict`, a node the chosen device can't run.
    #[error("'{node}' can't run on {device}: {reason}")]
    Strict {
        /// The node.
        node: String,
        /// The device asked for.
        device: String,
        /// What is missing.
        reason: Unsupported,
    },
    /// A plan id of another executor, or of a plan that was evicted.
    #[error("there is no plan {id}")]
    NoPlan {
        /// The id.
        id: u64,
    },
    /// The graph has no output of that name.
    #[error("'{graph}' has no output '{name}'")]
    NoOutput {
        /// The graph.
        graph: String,
        /// The name asked for.
        name: String,
    },
    /// The caller's inputs don't fit.
    #[error("run of '{graph}': {reason}")]
    Arguments {
        /// The graph.
        graph: String,
        /// What doesn't fit.
        reason: String,
    },
}
