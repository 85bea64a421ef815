//! The device: threads and an instruction set.

use crate::host::{available_memory, default_threads, processor_name};
use crate::pool::Pool;
use crate::program;
use crate::session::CpuSession;
use crate::simd::{LevelError, SimdLevel};
use crate::weights::Store;
use mynah_device::{Device, DeviceError, DeviceReport, Policy, Route, Session, Unsupported};
use mynah_graph::{Graph, Node, Op};
use std::sync::Arc;

/// More threads than any machine has; a larger wish is cut to it.
const MAX_THREADS: usize = 1024;

/// How to open the CPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuOptions {
    /// Threads that compute, the caller's among them; `None` takes one for each physical core the process may use.
    pub threads: Option<usize>,
    /// Instruction set; `None` takes what the environment variable `MYNAH_CPU` names (`portable`, `avx2`, `avx512`,
    /// `neon`), or else the best there is.
    pub simd: Option<SimdLevel>,
}

/// The CPU.
pub struct CpuDevice {
    shared: Arc<Shared>,
}

/// What the sessions of a device share.
pub(crate) struct Shared {
    pub(crate) pool: Pool,
    pub(crate) level: SimdLevel,
    /// Whether each step's output is summed up in the log (`MYNAH_DEBUG=5`).
    pub(crate) checksums: bool,
}

impl CpuDevice {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`LevelError`] when the instruction set asked for isn't one of this machine.
    pub fn new(options: CpuOptions) -> Result<Self, LevelError> {
        let level = match (options.simd, std::env::var("MYNAH_CPU")) {
            (Some(level), _) => level.check()?,
            (None, Ok(name)) if !name.is_empty() => SimdLevel::from_name(&name)?,
            (None, _) => SimdLevel::detect(),
        };
        let threads = options.threads.unwrap_or_else(default_threads).clamp(1, MAX_THREADS);
        let debug = std::env::var("MYNAH_DEBUG").ok().and_then(|level| level.parse::<u32>().ok());
        let checksums = debug.is_some_and(|level| level >= 5);
        Ok(Self { shared: Arc::new(Shared { pool: Pool::new(threads), level, checksums }) })
    }

    /// The instruction set in use.
    pub fn simd(&self) -> SimdLevel {
        self.shared.level
    }

    /// Threads that compute.
    pub fn threads(&self) -> usize {
        self.shared.pool.threads()
    }
}

impl Device for CpuDevice {
    fn name(&self) -> &str {
        "cpu"
    }

    fn report(&self) -> DeviceReport {
        DeviceReport {
            description: processor_name(),
            features: self.shared.level.features(),
            parallelism: self.threads(),
            memory: available_memory(),
        }
    }

    fn routes(&self) -> &[Route] {
        crate::ROUTES
    }

    fn supports(&self, graph: &Graph, node: &Node) -> Result<(), Unsupported> {
        program::supports(graph, node)
    }

    fn in_place(&self, _graph: &Graph, node: &Node) -> Option<usize> {
        match &node.op {
            Op::Unary(_) | Op::Scale(_) | Op::Binary(_) | Op::MaskRows | Op::Softmax | Op::LogSoftmax => {
                Some(0)
            }
            Op::LayerNorm { .. } | Op::RmsNorm { .. } | Op::L2Norm { .. } | Op::BatchNorm { .. } => Some(0),
            Op::Gated(_) | Op::Clamp { .. } | Op::Snake => Some(0),
            Op::StateScatter(_) => Some(1),
            Op::StateAppend { .. } => Some(0),
            // The residual is the last operand; each of its elements is read just before its place is written.
            op => op.epilogue().filter(|e| e.residual).and_then(|_| node.inputs.len().checked_sub(1)),
        }
    }

    fn open(&self, policy: &Policy) -> Result<Box<dyn Session>, DeviceError> {
        let session = CpuSession::new(Arc::clone(&self.shared), policy.clone(), Arc::new(Store::default()))?;
        Ok(Box::new(session))
    }
}
