//! Compiles a plan's steps and replays them.

use super::dispatch::Word;
use super::{Bind, Compiled, Dispatch, Place, Results, siblings};
use crate::backend::{Backend, Command, Slice, Usage};
use crate::check::Check;
use crate::kernels;
use crate::pages::PageCheck;
use crate::state::State;
use crate::weights::Store;
use mynah_device::{Data, DeviceError, Location, Plan, Policy, RunArgs, weight_use};
use mynah_graph::{ElemType, StateDecl, ValueId};
use std::time::Duration;

/// A value that the caller gives or takes.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) elem: ElemType,
    pub(crate) bytes: u64,
    /// Whether the device keeps it as halves.
    half: bool,
    place: Option<Place>,
}

/// A node's dispatches and the time they took.
pub(crate) struct Step {
    pub(crate) node: String,
    pub(crate) op: &'static str,
    pub(crate) kernel: String,
    pub(crate) dispatches: usize,
    pub(crate) runs: u64,
    pub(crate) time: Duration,
}

/// A dispatch with its kernel compiled.
struct Launch<B: Backend> {
    dispatch: Dispatch,
    pipeline: B::Pipeline,
}

/// Operands of every launch bound for one arena and one choice of state tensors.
struct Bound<B: Backend> {
    states: Vec<u32>,
    groups: Vec<B::Bound>,
}

/// Memory the programs of a session share; only one runs at a time.
pub(crate) struct Memory<B: Backend> {
    pub(crate) arena: B::Buffer,
    pub(crate) scratch: B::Buffer,
    pub(crate) faults: B::Buffer,
    pub(crate) arena_bytes: u64,
    pub(crate) scratch_bytes: u64,
    /// Changes whenever a buffer is replaced.
    pub(crate) generation: u64,
}

impl<B: Backend> Memory<B> {
    pub(crate) fn new(backend: &B) -> Result<Self, DeviceError> {
        Ok(Self {
            arena: backend.buffer(256, Usage::Storage, "arena")?,
            scratch: backend.buffer(256, Usage::Storage, "scratch memory")?,
            faults: backend.buffer(256, Usage::Storage, "faults")?,
            arena_bytes: 256,
            scratch_bytes: 256,
            generation: 0,
        })
    }

    pub(crate) fn grow(&mut self, backend: &B, arena: u64, scratch: u64) -> Result<(), DeviceError> {
        if arena > self.arena_bytes {
            self.arena = backend.buffer(arena, Usage::Storage, "the arena of activations")?;
            (self.arena_bytes, self.generation) = (arena, self.generation + 1);
        }
        if scratch > self.scratch_bytes {
            self.scratch = backend.buffer(scratch, Usage::Storage, "scratch memory")?;
            (self.scratch_bytes, self.generation) = (scratch, self.generation + 1);
        }
        Ok(())
    }
}

/// A compiled plan.
pub(crate) struct Program<B: Backend> {
    pub(crate) graph: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) slots: usize,
    pub(crate) repeatable: bool,
    /// Name and row length of each state tensor.
    pub(crate) states: Vec<StateDecl>,
    pub(crate) arena_bytes: u64,
    pub(crate) scratch_bytes: u64,
    launches: Vec<Launch<B>>,
    checks: Vec<Check>,
    pages: Vec<PageCheck>,
    guarded: bool,
    bound: Vec<Bound<B>>,
    generation: u64,
    readback: Option<B::Buffer>,
    /// Bindings, repetitions and immediates of the run before.
    before: Option<(usize, usize, Vec<Vec<u8>>)>,
    /// The next run, if it is as those before.
    ahead: Option<B::Ahead>,
    /// What the last run left, all outputs one after the other.
    pub(crate) results: Option<Results<B::View>>,
}

/// Choices of state tensors whose bindings are kept.
const BOUND: usize = 16;
/// The faults that guards report: a step's number plus one, and the value it found.
const FAULT_BYTES: u64 = 8;

impl<B: Backend> Program<B> {
    /// Compiles every step.
    pub(crate) fn compile(
        plan: &Plan,
        backend: &B,
        store: &Store<B>,
        policy: &Policy,
    ) -> Result<Self, DeviceError> {
        let graph = &plan.graph;
        let halves = super::halves::of(plan, backend.capabilities(), policy);
        let (mut steps, mut made, mut scratch) = (Vec::new(), Vec::new(), 0);
        let (mut checks, mut pages) = (Vec::new(), Vec::new());
        for (number, id) in plan.steps.iter().enumerate() {
            let node = &graph.nodes()[id.0 as usize];
            for (operand, value) in node.inputs.iter().enumerate() {
                let Some(spec) = graph.weight(*value) else { continue };
                if store.get(&spec.name, weight_use(node, operand)).is_none() {
                    let reason = "it is used but was not prepared".to_owned();
                    return Err(DeviceError::Weight { name: spec.name.clone(), reason });
                }
            }
            let bind = Bind::new(plan, node, backend.capabilities(), policy).with_halves(&halves);
            let Compiled { name, dispatches, scratch: needed, checks: found, pages: paged } =
                kernels::compile(&bind)?;
            scratch = scratch.max(needed);
            checks.extend(found);
            pages.extend(paged);
            let value = graph.value(node.output).name.clone();
            steps.push(Step {
                node: value.clone(),
                op: node.op.name(),
                kernel: name,
                dispatches: dispatches.len(),
                runs: 0,
                time: Duration::ZERO,
            });
            let mut dispatches = dispatches;
            dispatches.iter_mut().for_each(|dispatch| kernels::guard::number(dispatch, number));
            made.push(dispatches);
        }
        let made = siblings::join(plan, backend.capabilities(), &mut steps, made);
        let all: Vec<(Dispatch, String)> = made
            .into_iter()
            .zip(&steps)
            .flat_map(|(dispatches, step)| dispatches.into_iter().map(|d| (d, step.node.clone())))
            .collect();
        backend.prepare(&all.iter().map(|(dispatch, _)| &dispatch.shader).collect::<Vec<_>>());
        let mut launches = Vec::with_capacity(all.len());
        for (dispatch, value) in all {
            let pipeline = backend.pipeline(&dispatch.shader).map_err(|e| blame(e, &value))?;
            launches.push(Launch { dispatch, pipeline });
        }
        let guarded = launches.iter().any(|l| l.dispatch.operands.iter().any(|(p, _)| *p == Place::Faults));
        let port = |name: &str, value: ValueId| Port {
            name: name.to_owned(),
            elem: graph.value(value).elem,
            bytes: 4 * graph.shape(value).numel() as u64,
            half: halves.contains(&value),
            place: match (plan.location(value), graph.weight(value)) {
                (Location::Arena { offset, .. }, _) => Some(Place::Arena(offset as u64)),
                (_, Some(spec)) => Some(Place::Weight {
                    name: spec.name.clone(),
                    use_: mynah_device::WeightUse::Elements,
                    plane: 0,
                    offset: 0,
                }),
                _ => None,
            },
        };
        Ok(Self {
            graph: graph.name.clone(),
            inputs: graph.inputs().iter().map(|&v| port(&graph.value(v).name, v)).collect(),
            outputs: graph.outputs().iter().map(|(name, v)| port(name, *v)).collect(),
            slots: graph.slots().len(),
            repeatable: graph.is_repeatable(),
            states: graph.states().to_vec(),
            arena_bytes: (plan.arena_bytes as u64).next_multiple_of(Plan::ALIGN as u64),
            scratch_bytes: scratch,
            steps,
            launches,
            checks,
            pages,
            guarded,
            bound: Vec::new(),
            generation: u64::MAX,
            readback: None,
            before: None,
            ahead: None,
            results: None,
        })
    }

    /// Dispatches of a run.
    pub(crate) fn dispatches(&self) -> usize {
        self.launches.len()
    }

    /// Uploads the inputs and submits every step, as often as `args` says; results are read later. `timed` takes the time of each
    /// dispatch.
    pub(crate) fn run(
        &mut self,
        backend: &B,
        store: &Store<B>,
        memory: &Memory<B>,
        args: &RunArgs<'_>,
        states: &[(u32, &State<B>)],
        timed: bool,
    ) -> Result<(), DeviceError> {
        let times = args.times(&self.graph, self.repeatable)?;
        let (inputs, slots) = (args.inputs, args.slots);
        // Its memory is where this run leaves its own.
        self.results = None;
        self.take_inputs(backend, memory, inputs)?;
        let rows: Vec<usize> = states.iter().map(|(_, s)| s.rows).collect();
        for check in &self.checks {
            check.run(&self.graph, inputs, slots, &rows)?;
        }
        for check in &self.pages {
            check.run(&self.graph, inputs, &rows)?;
        }
        let at = self.bind(backend, store, memory, states)?;
        if self.guarded {
            backend.write(&memory.faults, 0, &[0; FAULT_BYTES as usize])?;
        }
        let words: Vec<Vec<u8>> = self
            .launches
            .iter()
            .map(|l| {
                l.dispatch.immediates.iter().flat_map(|w| word(*w, slots, &rows).to_le_bytes()).collect()
            })
            .collect();
        let launches = self.launches.iter().zip(&self.bound[at].groups).zip(&words);
        let mut commands: Vec<Command<'_, B>> = (0..times)
            .flat_map(|_| launches.clone())
            .map(|((launch, bound), immediates)| Command::Dispatch {
                pipeline: &launch.pipeline,
                bound,
                immediates,
                groups: launch.dispatch.groups,
            })
            .collect();
        let total = self.outputs.iter().map(|port| port.bytes).sum::<u64>() + FAULT_BYTES;
        if self.readback.is_none() {
            self.readback = Some(backend.buffer(total, Usage::Readback, "results")?);
        }
        let held: Vec<Option<(B::Buffer, u64)>> = self
            .outputs
            .iter()
            .map(|port| match &port.place {
                Some(Place::Arena(offset)) => Some((memory.arena.clone(), *offset)),
                Some(Place::Weight { name, use_, plane, offset }) => {
                    let weight = store.get(name, *use_)?;
                    weight.planes.get(*plane).map(|(buffer, _)| (buffer.clone(), *offset))
                }
                _ => None,
            })
            .collect();
        let mut to_offset = 0;
        if let Some(to) = &self.readback {
            for (port, held) in self.outputs.iter().zip(&held) {
                if let (Some((from, from_offset)), true) = (held, port.bytes > 0) {
                    let (from_offset, bytes) = (*from_offset, port.bytes);
                    commands.push(Command::Copy { from, from_offset, to, to_offset, bytes });
                }
                to_offset += port.bytes;
            }
            if self.guarded {
                let from = &memory.faults;
                commands.push(Command::Copy { from, from_offset: 0, to, to_offset, bytes: FAULT_BYTES });
            }
        }
        if timed {
            let taken = backend.submit_timed(&commands)?;
            let mut taken = taken.into_iter();
            for _ in 0..times {
                for step in &mut self.steps {
                    step.runs += 1;
                    step.time += taken.by_ref().take(step.dispatches).sum::<Duration>();
                }
            }
        } else {
            match self.ahead.take() {
                Some(ahead) => backend.submit_ahead(&commands, ahead)?,
                None => backend.submit(&commands)?,
            }
            // A second run alike will most likely be followed by a third: a token after a token, a clip after a clip.
            if self.before.as_ref().is_some_and(|(a, t, w)| (*a, *t, w) == (at, times, &words)) {
                self.ahead = backend.record_ahead(&commands);
            }
        }
        self.before = Some((at, times, words));
        Ok(())
    }

    /// Waits for the last run and lends what it left, until the next run.
    pub(crate) fn collect(&mut self, backend: &B) -> Result<(), DeviceError> {
        let Some(readback) = &self.readback else { return Ok(()) };
        let outputs: u64 = self.outputs.iter().map(|port| port.bytes).sum();
        let wanted = outputs + if self.guarded { FAULT_BYTES } else { 0 };
        let results = Results::new(backend.view(readback, wanted)?);
        if self.guarded
            && let Some(&[number, value]) = results.words().get((outputs / 4) as usize..)
            && number > 0
        {
            let node = self.steps.get(number as usize - 1).map(|s| s.node.clone()).unwrap_or_default();
            let (what, limit) = ("index", 0);
            return Err(DeviceError::OutOfRange { node, what, found: i64::from(value as i32), limit });
        }
        self.results = Some(results);
        Ok(())
    }

    fn take_inputs(&self, backend: &B, memory: &Memory<B>, inputs: &[Data<'_>]) -> Result<(), DeviceError> {
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
            if elem != port.elem || bytes.len() as u64 != port.bytes {
                let (name, wanted, found) = (&port.name, port.bytes / 4, bytes.len() / 4);
                let kinds = format!("{wanted} elements of {:?}, not {found} of {elem:?}", port.elem);
                return Err(wrong(format!("input '{name}' has {kinds}")));
            }
            let Some(Place::Arena(offset)) = port.place else { continue };
            match data {
                Data::F32(data) if port.half => {
                    backend.write(
                        &memory.arena,
                        offset,
                        bytemuck::cast_slice(&super::halves::brought(data)),
                    )?;
                }
                _ => backend.write(&memory.arena, offset, bytes)?,
            }
        }
        Ok(())
    }

    /// The bindings for these states, made if there are none.
    fn bind(
        &mut self,
        backend: &B,
        store: &Store<B>,
        memory: &Memory<B>,
        states: &[(u32, &State<B>)],
    ) -> Result<usize, DeviceError> {
        if self.generation != memory.generation {
            self.bound.clear();
            self.ahead = None;
            self.generation = memory.generation;
        }
        let ids: Vec<u32> = states.iter().map(|(id, _)| *id).collect();
        if let Some(at) = self.bound.iter().position(|b| b.states == ids) {
            return Ok(at);
        }
        if self.bound.len() >= BOUND {
            self.bound.remove(0);
        }
        let mut groups = Vec::with_capacity(self.launches.len());
        for Launch { dispatch, pipeline } in &self.launches {
            let mut slices = Vec::with_capacity(dispatch.operands.len());
            for (place, bytes) in &dispatch.operands {
                let missing = || DeviceError::Kernel {
                    node: dispatch.shader.name.clone(),
                    reason: format!("{place:?} is not there"),
                };
                slices.push(match place {
                    Place::Arena(offset) => {
                        Slice { buffer: memory.arena.clone(), offset: *offset, bytes: *bytes }
                    }
                    Place::Scratch(offset) => {
                        Slice { buffer: memory.scratch.clone(), offset: *offset, bytes: *bytes }
                    }
                    Place::Faults => Slice { buffer: memory.faults.clone(), offset: 0, bytes: FAULT_BYTES },
                    Place::State(index) => {
                        let (_, state) = states.get(*index as usize).ok_or_else(missing)?;
                        let bytes = state.bytes().max(4).next_multiple_of(16);
                        Slice { buffer: state.buffer.clone(), offset: 0, bytes }
                    }
                    Place::Weight { name, use_, plane, offset } => {
                        let weight = store.get(name, *use_).ok_or_else(missing)?;
                        let (buffer, _) = weight.planes.get(*plane).ok_or_else(missing)?;
                        Slice { buffer: buffer.clone(), offset: *offset, bytes: *bytes }
                    }
                });
            }
            groups.push(backend.bind(pipeline, &slices)?);
        }
        self.bound.push(Bound { states: ids, groups });
        Ok(self.bound.len() - 1)
    }

    /// Forgets bindings that name a state tensor.
    pub(crate) fn forget_state(&mut self, id: u32) {
        self.bound.retain(|b| !b.states.contains(&id));
        self.ahead = None;
    }
}

fn word(word: Word, slots: &[i64], rows: &[usize]) -> u32 {
    match word {
        Word::Fixed(value) => value,
        // Slots that kernels use were checked against limits that fit.
        Word::Slot(slot) => slots.get(slot as usize).map_or(0, |&v| v as u32),
        Word::Rows(state) => rows.get(state as usize).map_or(0, |&n| n as u32),
    }
}

/// A kernel that does not compile, with the node it was for.
fn blame(error: DeviceError, node: &str) -> DeviceError {
    match error {
        DeviceError::Kernel { node: kernel, reason } => {
            DeviceError::Kernel { node: node.to_owned(), reason: format!("kernel {kernel}: {reason}") }
        }
        other => other,
    }
}
