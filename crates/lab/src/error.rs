//! What can go wrong in the lab.

use mynah_device::DeviceError;
use mynah_graph::GraphError;
use mynah_plan::PlanError;
use mynah_tensor::TensorError;

/// A case that can't be built or a measurement that can't be made; never a case that merely fails.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A graph is not legal, or its reference can't be computed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A weight can't be encoded.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A device can't prepare or run a graph.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A kernel wrote outside the values it was given.
    #[error("a kernel wrote outside its output: {place} holds {found:#010x}")]
    Overwritten {
        /// Where, relative to the nearest value.
        place: String,
        /// The word found there.
        found: u32,
    },
    /// A plan can't be made or run.
    #[error(transparent)]
    Plan(#[from] PlanError),
}
