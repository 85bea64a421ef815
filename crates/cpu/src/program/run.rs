//! Replays a compiled program.

use super::{Fault, Kernel, Launch, StateView};
use crate::memory::{Buffer, Input, Output, Scratch, ScratchNeed};
use crate::pool::Pool;
use crate::weights::Elements;
use mynah_device::{Data, DeviceError, RunArgs};
use mynah_graph::{ElemType, StateDecl};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A value that the caller gives or takes.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) elem: ElemType,
    /// Elements.
    pub(crate) len: usize,
    pub(crate) place: PortPlace,
}

/// Where a port's elements are.
#[derive(Clone, Debug)]
pub(crate) enum PortPlace {
    /// Nowhere: an input that nobody reads.
    Unused,
    /// These bytes of the arena.
    Arena(Range<usize>),
    /// Among the weights: an output that folding made constant.
    Elements(Arc<Elements>),
}

/// One launch.
pub(crate) struct Step {
    pub(crate) node: String,
    pub(crate) op: &'static str,
    pub(crate) kernel: Box<dyn Kernel>,
    /// The output's bytes in the arena, for checksums.
    pub(crate) output: Range<usize>,
    pub(crate) elem: ElemType,
    pub(crate) runs: u64,
    pub(crate) time: Duration,
}

/// A compiled plan.
pub(crate) struct Program {
    pub(crate) graph: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) slots: usize,
    pub(crate) repeatable: bool,
    pub(crate) states: Vec<StateDecl>,
    pub(crate) arena_bytes: usize,
    pub(crate) scratch: ScratchNeed,
}

/// Memory the programs of a session share; only one runs at a time.
pub(crate) struct RunMemory {
    arena: Buffer,
    scratch: Buffer,
}

impl RunMemory {
    pub(crate) fn new() -> Result<Self, DeviceError> {
        Ok(Self { arena: Buffer::zeroed(0, "arena")?, scratch: Buffer::zeroed(0, "scratch")? })
    }

    /// Makes room for a program.
    pub(crate) fn grow(
        &mut self,
        arena: usize,
        scratch: ScratchNeed,
        threads: usize,
    ) -> Result<(), DeviceError> {
        // The old buffer holds nothing of value between runs, so it goes first and the peak is the larger of the two.
        if arena > self.arena.bytes() {
            self.arena = Buffer::zeroed(0, "arena")?;
            self.arena = Buffer::zeroed(arena, "the arena of activations")?;
        }
        let scratch = scratch.bytes(threads).unwrap_or(usize::MAX);
        if scratch > self.scratch.bytes() {
            self.scratch = Buffer::zeroed(0, "scratch")?;
            self.scratch = Buffer::zeroed(scratch, "scratch memory")?;
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.arena.bytes() + self.scratch.bytes()
    }

    /// The elements of a port after a run.
    pub(crate) fn output<'a>(&'a self, port: &'a Port) -> &'a [f32] {
        match &port.place {
            PortPlace::Unused => &[],
            PortPlace::Arena(range) => {
                bytemuck::cast_slice(self.arena.as_bytes().get(range.clone()).unwrap_or(&[]))
            }
            PortPlace::Elements(elements) => elements.as_f32(),
        }
    }
}

impl Program {
    /// Runs every step. `timed` adds to the steps' times, `checked` writes a checksum of each output to the log.
    pub(crate) fn run(
        &mut self,
        memory: &mut RunMemory,
        pool: &Pool,
        args: &RunArgs<'_>,
        states: &[StateView<'_>],
        timed: bool,
        checked: bool,
    ) -> Result<(), DeviceError> {
        let times = args.times(&self.graph, self.repeatable)?;
        memory.grow(self.arena_bytes, self.scratch, pool.threads())?;
        self.take_inputs(memory, args.inputs)?;
        let (bytes, scratch) = (memory.arena.bytes(), memory.scratch.ptr_mut());
        // SAFETY: both buffers are borrowed for the run and were grown to what the program needs.
        let (arena, scratch) = unsafe {
            (Output::new(memory.arena.ptr_mut(), bytes), Scratch::new(scratch, self.scratch, pool.threads()))
        };
        let _running = pool.enter();
        let launch = Launch { arena, scratch, pool, slots: args.slots, states };
        for _ in 0..times {
            for step in &mut self.steps {
                let start = timed.then(Instant::now);
                step.kernel.run(&launch).map_err(|fault| blame(&self.graph, &step.node, fault))?;
                if let Some(start) = start {
                    step.runs += 1;
                    step.time += start.elapsed();
                }
                if checked {
                    // SAFETY: the step is over, nobody writes.
                    report(step, unsafe { arena.slice(step.output.clone()) });
                }
            }
        }
        Ok(())
    }

    fn take_inputs(&self, memory: &mut RunMemory, inputs: &[Data<'_>]) -> Result<(), DeviceError> {
        let wrong = |reason: String| DeviceError::Arguments { graph: self.graph.clone(), reason };
        if inputs.len() != self.inputs.len() {
            return Err(wrong(format!(
                "{} inputs are wanted, {} were given",
                self.inputs.len(),
                inputs.len()
            )));
        }
        for (port, data) in self.inputs.iter().zip(inputs) {
            let (elem, bytes): (_, &[u8]) = match data {
                Data::F32(data) => (ElemType::F32, bytemuck::cast_slice(data)),
                Data::I32(data) => (ElemType::I32, bytemuck::cast_slice(data)),
            };
            if elem != port.elem || bytes.len() != 4 * port.len {
                let (name, wanted, found) = (&port.name, port.len, bytes.len() / 4);
                let kinds = format!("{wanted} elements of {:?}, not {found} of {elem:?}", port.elem);
                return Err(wrong(format!("input '{name}' has {kinds}")));
            }
            if let PortPlace::Arena(range) = &port.place
                && let Some(place) = memory.arena.as_bytes_mut().get_mut(range.clone())
            {
                place.copy_from_slice(bytes);
            }
        }
        Ok(())
    }
}

fn blame(graph: &str, node: &str, fault: Fault) -> DeviceError {
    let node = node.to_owned();
    match fault {
        Fault::Twice { what, found } => DeviceError::Arguments {
            graph: graph.to_owned(),
            reason: format!("'{node}': {what} {found} is named twice"),
        },
        Fault::OutOfRange { what, found, limit } => DeviceError::OutOfRange { node, what, found, limit },
        Fault::Panicked(panicked) => DeviceError::Kernel { node, reason: panicked.to_string() },
    }
}

/// Logs what tells two runs apart: a checksum of the bytes, and for floats the mean and the largest magnitude.
fn report(step: &Step, bytes: &[u8]) {
    // FNV-1a: short, and any changed bit changes it.
    let sum =
        bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let (node, op, kernel) = (step.node.as_str(), step.op, step.kernel.name());
    if step.elem == ElemType::I32 {
        tracing::info!(target: "mynah::checksum", node, op, kernel, "{sum:016x}");
        return;
    }
    // SAFETY: the slice is as long as its own elements; the arena is aligned for floats.
    let floats =
        unsafe { Input::<f32>::new(bytes.as_ptr().cast(), bytes.len() / 4).slice(0..bytes.len() / 4) };
    let mean = floats.iter().map(|&x| f64::from(x)).sum::<f64>() / floats.len().max(1) as f64;
    let largest = floats.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    tracing::info!(target: "mynah::checksum", node, op, kernel, mean, largest, "{sum:016x}");
}
