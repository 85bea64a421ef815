//! The device: a backend and the kernels that run on it.

use crate::backend::{Backend, WgpuBackend};
use crate::choice::{GpuChoice, GpuError};
use crate::kernels;
use crate::program::Bind;
use crate::session::GpuSession;
use crate::weights::Store;
use mynah_device::{Device, DeviceError, DeviceReport, Policy, Route, Session, Unsupported};
use mynah_graph::{Graph, Node, Op};
use std::sync::Arc;

/// A GPU.
pub struct GpuDevice<B: Backend> {
    backend: Arc<B>,
}

/// Opens an adapter through wgpu.
///
/// # Errors
/// As [`WgpuBackend::open`].
pub fn open(choice: GpuChoice) -> Result<GpuDevice<WgpuBackend>, GpuError> {
    Ok(GpuDevice::new(WgpuBackend::open(choice)?))
}

impl<B: Backend> GpuDevice<B> {
    /// A device on a backend.
    pub fn new(backend: B) -> Self {
        Self { backend: Arc::new(backend) }
    }

    /// What runs the kernels.
    pub fn backend(&self) -> &B {
        &self.backend
    }
}

impl<B: Backend> Device for GpuDevice<B> {
    fn name(&self) -> &str {
        self.backend.name()
    }

    fn report(&self) -> DeviceReport {
        self.backend.report()
    }

    fn routes(&self) -> &[Route] {
        kernels::ROUTES
    }

    fn whole_tensors(&self) -> Option<usize> {
        /// More clips at once than this fills make no GPU faster.
        const ENOUGH: u64 = 1 << 30;
        usize::try_from(self.backend.capabilities().max_binding.min(ENOUGH)).ok()
    }

    /// Waiting for a run takes as long as some twenty dispatches.
    fn dear_round_trips(&self) -> bool {
        true
    }

    /// A node is supported if its kernel compiles against the adapter's limits under either precision: the very code that
    /// makes the dispatches decides.
    fn supports(&self, graph: &Graph, node: &Node) -> Result<(), Unsupported> {
        for policy in [Policy::exact(), Policy::default()] {
            let bind = Bind::trial(graph, node, self.backend.capabilities(), &policy);
            if let Err(e) = kernels::compile(&bind) {
                return Err(match e {
                    DeviceError::Unsupported(u) => u,
                    other => Unsupported { op: node.op.name(), reason: other.to_string() },
                });
            }
        }
        Ok(())
    }

    fn in_place(&self, _graph: &Graph, node: &Node) -> Option<usize> {
        match &node.op {
            Op::Unary(_) | Op::Scale(_) | Op::Binary(_) | Op::MaskRows | Op::Softmax | Op::LogSoftmax => {
                Some(0)
            }
            Op::LayerNorm { .. } | Op::RmsNorm { .. } | Op::BatchNorm { .. } => Some(0),
            Op::StateScatter(_) => Some(1),
            Op::StateAppend { .. } => Some(0),
            // The residual is the last operand; each of its elements is read just before its place is written.
            op => op.epilogue().filter(|e| e.residual).and_then(|_| node.inputs.len().checked_sub(1)),
        }
    }

    fn open(&self, policy: &Policy) -> Result<Box<dyn Session>, DeviceError> {
        let store: Arc<Store<B>> = Arc::new(Store::default());
        Ok(Box::new(GpuSession::new(Arc::clone(&self.backend), policy.clone(), store)?))
    }
}
