//! A loaded Qwen3.5: pieces of sequences in, logits out.
//!
//! Who has which row and which pages, what is sampled and when a step is made is the runtime's; this keeps the states and runs steps.

use super::config::Qwen35Config;
use super::states::{StateKind, StateLayout, copy_graph, read_graph, reset_graph, state_decls, write_graph};
use super::step::{StepDims, step_graph};
use crate::error::ModelError;
use crate::language::{LanguageModel, MemoryEstimate, StateBytes, Workload, fingerprint};
use crate::weights::GgufWeights;
use mynah_device::{Data, Device};
use mynah_gguf::GgufFile;
use mynah_graph::{Graph, StateDecl};
use mynah_plan::{Executor, Options, PlanId, PlanKey, StateId, plan_memory};
use std::sync::Arc;

pub use crate::language::{Piece, Wanted};

/// How a model is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Precision, routes and plan cache.
    pub executor: Options,
    /// Pages and snapshots.
    pub layout: StateLayout,
    /// Sequences for which there is room from the beginning.
    pub sequences: usize,
    /// Pages for all of them; [`LanguageModel::reserve`] makes more of both.
    pub pages: usize,
}

/// A Qwen3.5 ready to run.
pub struct Qwen35 {
    file: Arc<GgufFile>,
    config: Qwen35Config,
    layout: StateLayout,
    executor: Executor,
    states: Vec<(StateId, StateKind)>,
    identity: u64,
}

impl Qwen35 {
    /// Loads a model; weights go to the device when a graph first needs them.
    ///
    /// # Errors
    /// What is wrong with the file, by key or tensor, or that the device can't be opened or has no memory for the states.
    pub fn load(
        file: Arc<GgufFile>,
        device: Arc<dyn Device>,
        fallback: Option<Arc<dyn Device>>,
        options: LoadOptions,
    ) -> Result<Self, ModelError> {
        let config = Qwen35Config::read(&file)?;
        let weights = Arc::new(GgufWeights::new(Arc::clone(&file)));
        let mut executor = Executor::new(device, fallback, weights, options.executor)?;
        let mut states = Vec::new();
        for (decl, kind) in state_decls(&config, options.layout) {
            let rows = match kind {
                StateKind::Sequence => options.sequences,
                StateKind::Page => options.pages,
            };
            states.push((executor.create_state(&decl, rows)?, kind));
        }
        let identity = fingerprint(&file, &[options.layout.page, options.layout.snapshots]);
        Ok(Self { file, config, layout: options.layout, executor, states, identity })
    }

    /// The model's dimensions.
    pub fn config(&self) -> &Qwen35Config {
        &self.config
    }

    /// Pages and snapshots.
    pub fn layout(&self) -> StateLayout {
        self.layout
    }

    /// The executor, for reports and profiles.
    pub fn executor(&mut self) -> &mut Executor {
        &mut self.executor
    }

    /// The state tensors in the order of [`state_decls`].
    pub fn states(&self) -> &[(StateId, StateKind)] {
        &self.states
    }

    /// The memory a file's model will need on a device.
    ///
    /// # Errors
    /// What is wrong with the file, by key or tensor.
    pub fn estimate(
        file: &GgufFile,
        device: &dyn Device,
        layout: StateLayout,
        workload: &Workload,
    ) -> Result<MemoryEstimate, ModelError> {
        let config = Qwen35Config::read(file)?;
        let pages = workload.context.div_ceil(layout.page).next_power_of_two();
        let arena = |batch: usize, tokens: usize| {
            let dims = StepDims { batch, tokens, pages, wanted: batch };
            Ok::<_, ModelError>(plan_memory(&step_graph(file, &config, layout, &dims)?, device).arena_bytes)
        };
        let prompt = arena(1, bucket(workload.chunk.min(workload.context).max(1)))?;
        let answers = arena(workload.sequences.max(1), 1)?;
        let of = |kind| (4 * elements(&config, layout, kind)) as u64;
        Ok(MemoryEstimate {
            weights: file.tensors().iter().map(|t| t.nbytes as u64).sum(),
            sequence: of(StateKind::Sequence),
            token: of(StateKind::Page).div_ceil(layout.page.max(1) as u64),
            page: layout.page,
            activations: prompt.max(answers) as u64,
        })
    }

    fn run_states(
        &mut self,
        key: PlanKey,
        build: StateGraph,
        kind: StateKind,
        inputs: &[Data<'_>],
    ) -> Result<PlanId, ModelError> {
        let (config, layout) = (&self.config, self.layout);
        let plan = self.executor.plan(key, || build(config, layout, kind))?;
        let states: Vec<StateId> = self.states.iter().map(|s| s.0).collect();
        self.executor.run(plan, inputs, &[], &states)?;
        Ok(plan)
    }

    fn copy(&mut self, kind: StateKind, from: usize, to: usize) -> Result<(), ModelError> {
        let (from, to) = ([number(from)], [number(to)]);
        let inputs = [Data::I32(&from), Data::I32(&to)];
        self.run_states(state_key("copy", kind), copy_graph, kind, &inputs)?;
        Ok(())
    }

    fn read(&mut self, kind: StateKind, row: usize) -> Result<Vec<f32>, ModelError> {
        let plan =
            self.run_states(state_key("read", kind), read_graph, kind, &[Data::I32(&[number(row)])])?;
        let mut contents = Vec::with_capacity(elements(&self.config, self.layout, kind));
        for decl in decls(&self.config, self.layout, kind) {
            contents.extend_from_slice(self.executor.output(plan, &decl.name)?);
        }
        Ok(contents)
    }

    fn write(&mut self, kind: StateKind, row: usize, contents: &[f32]) -> Result<(), ModelError> {
        let wanted = elements(&self.config, self.layout, kind);
        if contents.len() != wanted {
            let what = format!("a state of {} elements where {wanted} are wanted", contents.len());
            return Err(ModelError::Unsupported { what });
        }
        let (row, mut rest) = ([number(row)], contents);
        let mut inputs = vec![Data::I32(&row)];
        for decl in decls(&self.config, self.layout, kind) {
            let (own, others) = rest.split_at(decl.row.numel());
            inputs.push(Data::F32(own));
            rest = others;
        }
        self.run_states(state_key("write", kind), write_graph, kind, &inputs)?;
        Ok(())
    }

    /// Empties the recurrent states of a row for a sequence that begins.
    ///
    /// # Errors
    /// A row that isn't there, or what running the graph reports.
    pub fn reset(&mut self, row: usize) -> Result<(), ModelError> {
        let (config, layout) = (&self.config, self.layout);
        let key = PlanKey { graph: "reset", dims: [1, 0, 0, 0] };
        let plan = self.executor.plan(key, || reset_graph(config, layout, 1))?;
        let d = &config.delta;
        let conv = vec![0.0; (d.taps - 2 + layout.snapshots) * d.conv_channels()];
        let delta = vec![0.0; layout.snapshots * d.heads * d.width * d.width];
        let inputs = [Data::I32(&[number(row)]), Data::F32(&conv), Data::F32(&delta)];
        let states: Vec<StateId> = self.states.iter().map(|s| s.0).collect();
        Ok(self.executor.run(plan, &inputs, &[], &states)?)
    }

    /// Takes a step and gives the logits wanted, `[n, vocabulary]`, those of the first piece first. Pieces are padded to the longest,
    /// so a long prompt and single tokens are better two steps.
    ///
    /// # Errors
    /// A token, row or page that isn't there, a page that two sequences write, too few pages, or what running the graph reports.
    pub fn step(&mut self, pieces: &[Piece<'_>]) -> Result<&[f32], ModelError> {
        let longest = pieces.iter().map(|p| p.tokens.len()).max().unwrap_or(0);
        let listed = pieces.iter().map(|p| p.pages.len()).max().unwrap_or(0);
        let time = bucket(longest);
        let mut inputs = Inputs::default();
        for (b, piece) in pieces.iter().enumerate() {
            inputs.push(b, piece, time, listed.next_power_of_two());
        }
        let dims = StepDims {
            batch: pieces.len(),
            tokens: time,
            pages: listed.next_power_of_two(),
            wanted: inputs.wanted.len(),
        };
        let key = PlanKey { graph: "step", dims: [dims.batch, dims.tokens, dims.pages, dims.wanted] };
        let (file, config, layout) = (&self.file, &self.config, self.layout);
        let plan = self.executor.plan(key, || step_graph(file, config, layout, &dims))?;
        let data = [
            Data::I32(&inputs.tokens),
            Data::I32(&inputs.positions),
            Data::I32(&inputs.recurrent),
            Data::I32(&inputs.cached),
            Data::I32(&inputs.pages),
            Data::I32(&inputs.wanted),
        ];
        let states: Vec<StateId> = self.states.iter().map(|s| s.0).collect();
        self.executor.run(plan, &data, &[], &states)?;
        Ok(self.executor.output(plan, "logits")?)
    }
}

/// A graph that moves states of one kind.
type StateGraph = fn(&Qwen35Config, StateLayout, StateKind) -> Result<Graph, ModelError>;

fn state_key(graph: &'static str, kind: StateKind) -> PlanKey {
    PlanKey { graph, dims: [kind as usize, 0, 0, 0] }
}

/// The states of one kind, in the graphs' order.
fn decls(config: &Qwen35Config, layout: StateLayout, wanted: StateKind) -> impl Iterator<Item = StateDecl> {
    state_decls(config, layout).into_iter().filter(move |(_, kind)| *kind == wanted).map(|(decl, _)| decl)
}

/// Elements of a row of every state of one kind.
fn elements(config: &Qwen35Config, layout: StateLayout, kind: StateKind) -> usize {
    decls(config, layout, kind).fold(0, |sum, decl| sum.saturating_add(decl.row.numel()))
}

impl LanguageModel for Qwen35 {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    fn context(&self) -> usize {
        self.config.context
    }

    fn page(&self) -> usize {
        self.layout.page
    }

    fn state_bytes(&self) -> StateBytes {
        let of = |kind| elements(&self.config, self.layout, kind).saturating_mul(4);
        StateBytes { row: of(StateKind::Sequence), page: of(StateKind::Page) }
    }

    fn identity(&self) -> u64 {
        self.identity
    }

    fn memory(&self) -> usize {
        self.executor.memory()
    }

    fn reserve(&mut self, rows: usize, pages: usize) -> Result<(), ModelError> {
        for &(state, kind) in &self.states {
            let wanted = if kind == StateKind::Sequence { rows } else { pages };
            self.executor.grow_state(state, wanted)?;
        }
        Ok(())
    }

    fn reset(&mut self, row: usize) -> Result<(), ModelError> {
        Self::reset(self, row)
    }

    fn copy_row(&mut self, from: usize, to: usize) -> Result<(), ModelError> {
        self.copy(StateKind::Sequence, from, to)
    }

    fn copy_page(&mut self, from: u32, to: u32) -> Result<(), ModelError> {
        self.copy(StateKind::Page, from as usize, to as usize)
    }

    fn read_row(&mut self, row: usize) -> Result<Vec<f32>, ModelError> {
        self.read(StateKind::Sequence, row)
    }

    fn write_row(&mut self, row: usize, contents: &[f32]) -> Result<(), ModelError> {
        self.write(StateKind::Sequence, row, contents)
    }

    fn read_page(&mut self, page: u32) -> Result<Vec<f32>, ModelError> {
        self.read(StateKind::Page, page as usize)
    }

    fn write_page(&mut self, page: u32, contents: &[f32]) -> Result<(), ModelError> {
        self.write(StateKind::Page, page as usize, contents)
    }

    fn step(&mut self, pieces: &[Piece<'_>]) -> Result<&[f32], ModelError> {
        Self::step(self, pieces)
    }

    fn executor(&mut self) -> Option<&mut Executor> {
        Some(&mut self.executor)
    }
}

/// What a step's graph is given.
#[derive(Default)]
struct Inputs {
    tokens: Vec<i32>,
    positions: Vec<i32>,
    recurrent: Vec<i32>,
    cached: Vec<i32>,
    pages: Vec<i32>,
    wanted: Vec<i32>,
}

impl Inputs {
    fn push(&mut self, b: usize, piece: &Piece<'_>, time: usize, listed: usize) {
        let length = piece.tokens.len();
        self.tokens.extend(piece.tokens.iter().map(|&t| number(t as usize)));
        self.tokens.resize((b + 1) * time, 0);
        self.positions.extend((0..length).map(|t| number(piece.past.saturating_add(t))));
        self.positions.resize((b + 1) * time, 0);
        self.recurrent.extend([piece.row, length, piece.snapshot].map(number));
        self.cached.extend([piece.past, length].map(number));
        self.pages.extend(piece.pages.iter().map(|&p| number(p as usize)));
        self.pages.resize((b + 1) * listed, -1);
        let from = match piece.wanted {
            Wanted::None => length,
            Wanted::Last => length.saturating_sub(1),
            Wanted::All => 0,
        };
        self.wanted.extend((from..length).map(|t| number(b * time + t)));
    }
}

/// A number for a device; one too large for it is out of every range, and refused as such.
fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Token counts are rounded up, so that few plans serve all prompts.
fn bucket(tokens: usize) -> usize {
    let step = match tokens {
        0..=8 => 1,
        9..=64 => 8,
        _ => 64,
    };
    tokens.next_multiple_of(step)
}
