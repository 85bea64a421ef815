//! What can go wrong on a device.

/// Why a device can't run a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{op}: {reason}")]
pub struct Unsupported {
    /// The op's name.
    pub op: &'static str,
    /// What is missing, with shapes and types.
    pub reason: String,
}

/// A failure of a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Memory for a buffer could not be had.
    #[error("{device}: {what} needs {wanted} bytes, which can't be allocated")]
    OutOfMemory {
        /// The device.
        device: String,
        /// What was to be stored.
        what: String,
        /// Bytes asked for.
        wanted: usize,
    },
    /// A weight is missing or its bytes don't fit its shape.
    #[error("weight '{name}': {reason}")]
    Weight {
        /// The tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A node reached a device that can't run it.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The caller's inputs, slots or states don't fit the plan.
    #[error("run of '{graph}': {reason}")]
    Arguments {
        /// The graph.
        graph: String,
        /// What doesn't fit.
        reason: String,
    },
    /// An id, length, row number or slot is out of range.
    #[error("'{node}': {what} {found} is outside 0..{limit}")]
    OutOfRange {
        /// The node.
        node: String,
        /// What was indexed.
        what: &'static str,
        /// The value found.
        found: i64,
        /// One past the largest legal value.
        limit: usize,
    },
    /// A kernel failed; this is a defect of the device, not of what it was given.
    #[error("'{node}': {reason}")]
    Kernel {
        /// The node.
        node: String,
        /// What happened.
        reason: String,
    },
    /// The device stopped answering, was taken away, or refused a command; what ran on it is lost.
    #[error("{device} is lost: {reason}")]
    Lost {
        /// The device.
        device: String,
        /// What its driver says.
        reason: String,
    },
    /// A file could not be read while preparing weights.
    #[error("reading weight '{name}'")]
    Io {
        /// The tensor.
        name: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
