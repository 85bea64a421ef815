//! What a device offers, and what one model keeps on it.

use crate::error::{DeviceError, Unsupported};
use crate::plan::Plan;
use crate::policy::{Policy, Route};
use crate::weights::{WeightBytes, WeightUse};
use mynah_graph::{Graph, Node, StateDecl};
use std::time::Duration;

/// What a device is and has.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// For people: processor or adapter name.
    pub description: String,
    /// Instruction sets or features in use.
    pub features: Vec<String>,
    /// Threads or compute units.
    pub parallelism: usize,
    /// Bytes of memory the device can still give, if known.
    pub memory: Option<u64>,
}

/// A machine that runs plans.
pub trait Device: Send + Sync {
    /// Short name, as `--device` takes it.
    fn name(&self) -> &str;

    /// What it is and has.
    fn report(&self) -> DeviceReport;

    /// The fast routes it knows.
    fn routes(&self) -> &[Route];

    /// Bytes up to which one tensor may grow when work is given whole, or `None` where long work should come in tiles that
    /// stay within a processor's cache. A device whose launches cost more than its memory traffic rather takes as much at
    /// once as fits.
    fn whole_tensors(&self) -> Option<usize> {
        None
    }

    /// Whether a run that the host waits for costs more than some dozens of small steps. Loops whose rounds depend on each
    /// other's results then stay on the device and run ahead of the host.
    fn dear_round_trips(&self) -> bool {
        false
    }

    /// Whether it can run a node.
    ///
    /// # Errors
    /// What is missing.
    fn supports(&self, graph: &Graph, node: &Node) -> Result<(), Unsupported>;

    /// The operand whose memory the node's output may overwrite, if the kernel allows one.
    fn in_place(&self, graph: &Graph, node: &Node) -> Option<usize>;

    /// A place for one model: weights, arena, states and compiled programs.
    ///
    /// # Errors
    /// When the device can't be opened.
    fn open(&self, policy: &Policy) -> Result<Box<dyn Session>, DeviceError>;
}

/// A compiled plan of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgramId(pub u32);

/// A state tensor of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateHandle(pub u32);

/// Values given to a run, in the element type the graph declares.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// Floats.
    F32(&'a [f32]),
    /// Ids, lengths, row numbers.
    I32(&'a [i32]),
}

/// Everything that changes between two replays of a program.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunArgs<'a> {
    /// In the order of [`Graph::inputs`].
    pub inputs: &'a [Data<'a>],
    /// In the order of [`Graph::slots`].
    pub slots: &'a [i64],
    /// In the order of [`Graph::states`].
    pub states: &'a [StateHandle],
    /// How often all steps run again after the first time, with the same inputs; what one time leaves to the next is in the
    /// states. Only for a graph that is repeatable: in others a step may overwrite an input.
    pub repeats: usize,
}

impl RunArgs<'_> {
    /// How often the steps of a graph are to run.
    ///
    /// # Errors
    /// [`DeviceError::Arguments`] for repeats of a graph that is not `repeatable`.
    pub fn times(&self, graph: &str, repeatable: bool) -> Result<usize, DeviceError> {
        if self.repeats > 0 && !repeatable {
            let reason = format!("{} repeats of a graph that is not repeatable", self.repeats);
            return Err(DeviceError::Arguments { graph: graph.to_owned(), reason });
        }
        Ok(self.repeats.saturating_add(1))
    }
}

/// Time one step took, summed over runs since profiling began.
#[derive(Clone, Debug)]
pub struct StepTime {
    /// Name of the step's output value.
    pub node: String,
    /// The op.
    pub op: &'static str,
    /// The kernel and route taken, for example `gemm-f32/avx512`.
    pub kernel: String,
    /// Number of runs.
    pub runs: u64,
    /// Time spent.
    pub time: Duration,
}

/// One model on one device.
pub trait Session: Send {
    /// Another session on the same prepared weights, with its own arena and states.
    ///
    /// # Errors
    /// When the device can't give it.
    fn fork(&self) -> Result<Box<dyn Session>, DeviceError>;

    /// Brings a weight into the layout `use_` needs, once. Returns whether it was new; the caller may then release the
    /// file's pages.
    ///
    /// # Errors
    /// [`DeviceError::Weight`] for bytes that don't fit, [`DeviceError::OutOfMemory`].
    fn prepare(&mut self, weight: &WeightBytes<'_>, use_: WeightUse) -> Result<bool, DeviceError>;

    /// Whether [`Session::prepare`] was called for this weight and use.
    fn is_prepared(&self, name: &str, use_: WeightUse) -> bool;

    /// Turns a plan into launches. Every weight must be prepared.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`], [`DeviceError::Weight`] or [`DeviceError::OutOfMemory`].
    fn compile(&mut self, plan: &Plan) -> Result<ProgramId, DeviceError>;

    /// Forgets a program.
    fn forget(&mut self, program: ProgramId);

    /// Replays a program, as often as `args` says.
    ///
    /// # Errors
    /// [`DeviceError::Arguments`] or [`DeviceError::OutOfRange`]; state tensors may then hold a part of the run.
    fn run(&mut self, program: ProgramId, args: &RunArgs<'_>) -> Result<(), DeviceError>;

    /// Output number `index` of the last run of `program`; valid until the next run.
    ///
    /// # Errors
    /// [`DeviceError::Arguments`] when there is no such output or it holds other elements.
    fn output_f32(&mut self, program: ProgramId, index: usize) -> Result<&[f32], DeviceError>;

    /// Like [`Session::output_f32`] for integers.
    ///
    /// # Errors
    /// As [`Session::output_f32`].
    fn output_i32(&mut self, program: ProgramId, index: usize) -> Result<&[i32], DeviceError>;

    /// A state tensor of `rows` zero rows, stored as its declaration says.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`].
    fn create_state(&mut self, decl: &StateDecl, rows: usize) -> Result<StateHandle, DeviceError>;

    /// Makes a state tensor `rows` rows long, the new ones zero and the others kept; one that is as long already stays.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`], the tensor being as it was; [`DeviceError::Arguments`] for an unknown handle.
    fn grow_state(&mut self, state: StateHandle, rows: usize) -> Result<(), DeviceError>;

    /// Gives a state tensor's memory back.
    fn drop_state(&mut self, state: StateHandle);

    /// Copies a state tensor out, `[rows, row shape]`, as floats however it is stored.
    ///
    /// # Errors
    /// [`DeviceError::Arguments`] for an unknown handle.
    fn snapshot(&mut self, state: StateHandle) -> Result<Vec<f32>, DeviceError>;

    /// Copies a snapshot back, rounded to what the tensor is stored as: nothing changes where it came from one stored alike.
    ///
    /// # Errors
    /// [`DeviceError::Arguments`] for an unknown handle or another size.
    fn restore(&mut self, state: StateHandle, contents: &[f32]) -> Result<(), DeviceError>;

    /// Starts or stops timing each step, and measuring checksums where asked.
    fn profile(&mut self, on: bool);

    /// The times since profiling began.
    fn step_times(&self) -> Vec<StepTime>;

    /// Bytes held: weights, arena and states.
    fn memory(&self) -> usize;
}
