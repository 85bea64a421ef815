//! Runs a model's graphs: plans each shape once, keeps the plans, replays them.
//!
//! A model builds its graph only when the cache has no plan for the shape at hand; everything that changes between
//! two replays is an input, a slot or a state.

mod cache;
mod state;
mod values;

pub use cache::{PlanId, PlanKey};
pub use state::StateId;

use crate::error::PlanError;
use crate::memory::plan_memory;
use crate::place::{Placement, place};
use crate::rewrite::{self, Context, Outcome};
use crate::segment::{Segment, extract};
use crate::source::FoldedWeights;
use cache::{Cache, Entry, Part};
use mynah_device::{
    Data, Device, DeviceError, Plan, Policy, RunArgs, Session, StateHandle, StepTime, WeightBytes,
    WeightSource, weight_use,
};
use mynah_graph::{Graph, StateElem};
use state::States;
use std::sync::Arc;
use values::Values;

/// How an executor plans.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which routes devices may take.
    pub policy: Policy,
    /// Refuse a graph the chosen device can't run whole.
    pub strict: bool,
    /// Plans kept; the least recently used one goes first.
    pub max_plans: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { policy: Policy::default(), strict: false, max_plans: 32 }
    }
}

/// What planning did with a graph.
#[derive(Clone, Debug)]
pub struct PlanReport {
    /// Nodes before and after the rewrites.
    pub nodes: [usize; 2],
    /// Steps launched per run.
    pub steps: usize,
    /// Arena bytes.
    pub arena_bytes: usize,
    /// Each rewrite with what it found.
    pub rewrites: Vec<(&'static str, Outcome)>,
    /// Where the nodes run.
    pub placement: Placement,
}

/// One model's graphs on a device, with a fallback for what the device lacks.
pub struct Executor {
    device: Arc<dyn Device>,
    fallback: Option<Arc<dyn Device>>,
    /// The chosen device's session, then the fallback's once it is needed.
    sessions: Vec<Box<dyn Session>>,
    weights: Arc<dyn WeightSource>,
    folded: FoldedWeights,
    options: Options,
    cache: Cache,
    states: States,
}

impl Executor {
    /// An executor for the model behind `weights`.
    ///
    /// # Errors
    /// When the device can't be opened.
    pub fn new(
        device: Arc<dyn Device>,
        fallback: Option<Arc<dyn Device>>,
        weights: Arc<dyn WeightSource>,
        options: Options,
    ) -> Result<Self, PlanError> {
        let sessions = vec![device.open(&options.policy)?];
        let cache = Cache::new(options.max_plans);
        let folded = FoldedWeights::default();
        Ok(Self { device, fallback, sessions, weights, folded, options, cache, states: States::default() })
    }

    /// Another executor on the same prepared weights, with its own plans and states: one per concurrent user.
    ///
    /// # Errors
    /// When the device can't give it.
    pub fn fork(&self) -> Result<Self, PlanError> {
        let sessions = self.sessions.iter().map(|s| s.fork()).collect::<Result<_, _>>()?;
        Ok(Self {
            device: Arc::clone(&self.device),
            fallback: self.fallback.clone(),
            sessions,
            weights: Arc::clone(&self.weights),
            folded: self.folded.clone(),
            options: self.options.clone(),
            cache: Cache::new(self.options.max_plans),
            states: States::default(),
        })
    }

    /// The device chosen for this executor.
    pub fn device(&self) -> &dyn Device {
        self.device.as_ref()
    }

    /// How caches of keys and values are to be stored: as the policy has it, where all devices know how.
    pub fn cache_elem(&self) -> StateElem {
        let devices = std::iter::once(&self.device).chain(&self.fallback);
        let all_halves =
            devices.into_iter().all(|d| self.options.policy.cache_elem(d.routes()) == StateElem::F16);
        if all_halves { StateElem::F16 } else { StateElem::F32 }
    }

    /// The plan for a key; `build` is called only when there is none.
    ///
    /// # Errors
    /// What building, rewriting, placing, preparing weights or compiling reports.
    pub fn plan<E: From<PlanError>>(
        &mut self,
        key: PlanKey,
        build: impl FnOnce() -> Result<Graph, E>,
    ) -> Result<PlanId, E> {
        if let Some(id) = self.cache.find(&key) {
            return Ok(id);
        }
        let entry = self.make(key, build()?)?;
        let (id, evicted) = self.cache.insert(key, entry);
        for part in evicted.into_iter().flat_map(|e| e.parts) {
            self.sessions[part.session].forget(part.program);
        }
        Ok(id)
    }

    /// Rewrites, places and compiles.
    fn make(&mut self, key: PlanKey, mut graph: Graph) -> Result<Entry, PlanError> {
        let before = graph.nodes().len();
        let context = Context {
            weights: self.weights.as_ref(),
            folded: &self.folded,
            device: Some(self.device.as_ref()),
        };
        let rewrites = rewrite::run(&mut graph, &context)?;
        let placement = place(&graph, self.device.as_ref(), self.fallback.as_deref(), self.options.strict)?;
        let mut report = PlanReport {
            nodes: [before, graph.nodes().len()],
            steps: 0,
            arena_bytes: 0,
            rewrites,
            placement: placement.clone(),
        };
        let mut parts = Vec::new();
        if placement.is_whole() {
            let all = graph.inputs().to_vec();
            let outputs = graph.outputs().iter().map(|(_, v)| *v).collect();
            parts.push(self.compile(
                Segment { graph: graph.clone(), inputs: all, outputs },
                0,
                &mut report,
            )?);
        } else {
            state::check_split(&graph, &placement)?;
            self.open_fallback()?;
            for (range, elsewhere) in placement.segments {
                let segment = extract(&graph, range)?;
                parts.push(self.compile(segment, usize::from(elsewhere), &mut report)?);
            }
        }
        tracing::debug!(graph = graph.name, shape = ?key.dims, nodes = ?report.nodes, steps = report.steps, arena = report.arena_bytes, "planned");
        for (name, outcome) in &report.rewrites {
            tracing::trace!(rewrite = name, fired = outcome.fired, refused = outcome.refused.len());
        }
        Ok(Entry { graph, parts, report, values: None })
    }

    fn open_fallback(&mut self) -> Result<(), PlanError> {
        if let (1, Some(fallback)) = (self.sessions.len(), &self.fallback) {
            self.sessions.push(fallback.open(&self.options.policy)?);
        }
        Ok(())
    }

    fn compile(
        &mut self,
        segment: Segment,
        session: usize,
        report: &mut PlanReport,
    ) -> Result<Part, PlanError> {
        let device = if session == 0 { Some(&self.device) } else { self.fallback.as_ref() };
        let plan = plan_memory(&segment.graph, device.unwrap_or(&self.device).as_ref());
        self.prepare(&plan, session)?;
        report.steps += plan.steps.len();
        report.arena_bytes = report.arena_bytes.max(plan.arena_bytes);
        let program = self.sessions[session].compile(&plan)?;
        Ok(Part { session, program, plan, inputs: segment.inputs, outputs: segment.outputs })
    }

    /// Brings every weight of a plan to its device, and gives the file's pages back where the device made a copy.
    fn prepare(&mut self, plan: &Plan, session: usize) -> Result<(), PlanError> {
        let session = &mut self.sessions[session];
        for node in plan.graph.nodes() {
            for (operand, value) in node.inputs.iter().enumerate() {
                let Some(spec) = plan.graph.weight(*value) else { continue };
                let use_ = weight_use(node, operand);
                if session.is_prepared(&spec.name, use_) {
                    continue;
                }
                if let Some(t) = self.folded.get(&spec.name) {
                    let (dtype, bytes) = (t.dtype(), t.data());
                    session
                        .prepare(&WeightBytes { name: &spec.name, dtype, shape: spec.shape, bytes }, use_)?;
                    continue;
                }
                let stored = self.weights.read(&spec.name)?;
                if stored.shape.numel() != spec.shape.numel() {
                    let reason = format!("has shape {:?}, the graph wants {:?}", stored.shape, spec.shape);
                    return Err(DeviceError::Weight { name: spec.name.clone(), reason }.into());
                }
                // A graph may view a `[N, K, 1]` kernel as the matrix `[N, K]`.
                if session.prepare(&WeightBytes { shape: spec.shape, ..stored }, use_)? {
                    self.weights.release(&spec.name);
                }
            }
        }
        Ok(())
    }

    /// Replays a plan.
    ///
    /// # Errors
    /// [`PlanError::Arguments`] or the device's complaint; state tensors may then hold a part of the run.
    pub fn run(
        &mut self,
        plan: PlanId,
        inputs: &[Data<'_>],
        slots: &[i64],
        states: &[StateId],
    ) -> Result<(), PlanError> {
        self.run_repeatedly(plan, inputs, slots, states, 0)
    }

    /// Replays a plan of a repeatable graph once and then `repeats` times more, as one run: outputs are those of the last time.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_repeatedly(
        &mut self,
        plan: PlanId,
        inputs: &[Data<'_>],
        slots: &[i64],
        states: &[StateId],
        repeats: usize,
    ) -> Result<(), PlanError> {
        let entry = self.cache.entry_mut(plan)?;
        let handles = |session: usize| self.states.handles(states, session, &entry.graph.name);
        if let [part] = entry.parts.as_slice() {
            let states: Vec<StateHandle> = handles(part.session)?;
            let args = RunArgs { inputs, slots, states: &states, repeats };
            return Ok(self.sessions[part.session].run(part.program, &args)?);
        }
        // Values that cross between devices pass through the host each time anyway.
        let times = RunArgs { repeats, ..RunArgs::default() }
            .times(&entry.graph.name, entry.graph.is_repeatable())?;
        let mut values = Values::new(&entry.graph, inputs)?;
        for part in (0..times).flat_map(|_| &entry.parts) {
            let states: Vec<StateHandle> = handles(part.session)?;
            let inputs = values.borrow(&part.inputs, &entry.graph)?;
            let session = &mut self.sessions[part.session];
            session.run(part.program, &RunArgs { inputs: &inputs, slots, states: &states, repeats: 0 })?;
            drop(inputs);
            for (index, value) in part.outputs.iter().enumerate() {
                values.take(&entry.graph, *value, session.as_mut(), part.program, index)?;
            }
        }
        entry.values = Some(values);
        Ok(())
    }

    /// A float output of the last run of `plan`; valid until the next run of any plan.
    ///
    /// # Errors
    /// [`PlanError::NoOutput`], or the device's complaint.
    pub fn output(&mut self, plan: PlanId, name: &str) -> Result<&[f32], PlanError> {
        let entry = self.cache.entry_mut(plan)?;
        let (index, value) = entry.output(name)?;
        match entry.parts.as_slice() {
            [part] => Ok(self.sessions[part.session].output_f32(part.program, index)?),
            _ => values::f32_of(entry, value),
        }
    }

    /// An integer output of the last run of `plan`.
    ///
    /// # Errors
    /// As [`Executor::output`].
    pub fn output_i32(&mut self, plan: PlanId, name: &str) -> Result<&[i32], PlanError> {
        let entry = self.cache.entry_mut(plan)?;
        let (index, value) = entry.output(name)?;
        match entry.parts.as_slice() {
            [part] => Ok(self.sessions[part.session].output_i32(part.program, index)?),
            _ => values::i32_of(entry, value),
        }
    }

    /// What planning did.
    ///
    /// # Errors
    /// [`PlanError::NoPlan`].
    pub fn report(&mut self, plan: PlanId) -> Result<&PlanReport, PlanError> {
        Ok(&self.cache.entry_mut(plan)?.report)
    }

    /// The planned parts, for dumps: one for a graph that stays whole.
    ///
    /// # Errors
    /// [`PlanError::NoPlan`].
    pub fn plans(&mut self, plan: PlanId) -> Result<Vec<&Plan>, PlanError> {
        Ok(self.cache.entry_mut(plan)?.parts.iter().map(|p| &p.plan).collect())
    }

    /// A state tensor of `rows` zero rows for the state that graphs call `name`.
    ///
    /// # Errors
    /// When a device has no memory for it.
    pub fn create_state(&mut self, decl: &mynah_graph::StateDecl, rows: usize) -> Result<StateId, PlanError> {
        self.states.create(&mut self.sessions, decl, rows)
    }

    /// Makes a state tensor `rows` rows long, the new ones zero and the others kept; one that is as long already stays.
    ///
    /// # Errors
    /// When a device has no memory for it, the tensor being as it was where it is used; for an unknown state.
    pub fn grow_state(&mut self, state: StateId, rows: usize) -> Result<(), PlanError> {
        self.states.grow(&mut self.sessions, state, rows)
    }

    /// Gives a state tensor's memory back.
    pub fn drop_state(&mut self, state: StateId) {
        self.states.remove(&mut self.sessions, state);
    }

    /// Copies a state tensor out, `[rows, row shape]`.
    ///
    /// # Errors
    /// [`PlanError::Device`] for an unknown state.
    pub fn snapshot(&mut self, state: StateId) -> Result<Vec<f32>, PlanError> {
        self.states.snapshot(&mut self.sessions, state)
    }

    /// Copies a snapshot back.
    ///
    /// # Errors
    /// [`PlanError::Device`] for an unknown state or another size.
    pub fn restore(&mut self, state: StateId, contents: &[f32]) -> Result<(), PlanError> {
        self.states.restore(&mut self.sessions, state, contents)
    }

    /// Starts or stops timing each step.
    pub fn profile(&mut self, on: bool) {
        for s in &mut self.sessions {
            s.profile(on);
        }
    }

    /// Step times since profiling began.
    pub fn step_times(&self) -> Vec<StepTime> {
        self.sessions.iter().flat_map(|s| s.step_times()).collect()
    }

    /// Bytes held on all devices: weights, arenas and states.
    pub fn memory(&self) -> usize {
        self.sessions.iter().map(|s| s.memory()).sum()
    }
}
