//! A loaded Qwen3.5: pieces of sequences in, logits out.
//!
//! Who has which row and which pages, what is sampled and when a step is made is the runtime's; this keeps the states and runs steps.

mod draft;

pub use draft::{Continuation, WithHidden};

use super::config::Qwen35Config;
use super::states::{StateKind, StateLayout, reset_graph, state_decls};
use super::step::{StepDims, step_graph};
use crate::error::ModelError;
use crate::language::fingerprint;
use crate::weights::GgufWeights;
use mynah_device::{Data, Device};
use mynah_gguf::GgufFile;
use mynah_plan::{Executor, Options, PlanKey, StateId};
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
    /// Pages for all of them; [`reserve`](crate::language::LanguageModel::reserve) makes more of both.
    pub pages: usize,
}

/// A Qwen3.5 ready to run.
pub struct Qwen35 {
    file: Arc<GgufFile>,
    pub(super) config: Qwen35Config,
    pub(super) layout: StateLayout,
    pub(super) executor: Executor,
    pub(super) states: Vec<(StateId, StateKind)>,
    pub(super) identity: u64,
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
        let layout = StateLayout { cache: executor.cache_elem(), ..options.layout };
        let mut states = Vec::new();
        for (decl, kind) in state_decls(&config, layout) {
            let rows = match kind {
                StateKind::Sequence => options.sequences,
                StateKind::Page => options.pages,
            };
            states.push((executor.create_state(&decl, rows)?, kind));
        }
        let identity = fingerprint(&file, &[layout.page]);
        Ok(Self { file, config, layout, executor, states, identity })
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
        let (inputs, dims) = Inputs::of(pieces);
        let key = PlanKey { graph: "step", dims: [dims.batch, dims.tokens, dims.pages, dims.wanted] };
        let (file, config, layout) = (&self.file, &self.config, self.layout);
        let plan = self.executor.plan(key, || step_graph(file, config, layout, &dims))?;
        let data = inputs.data();
        let states: Vec<StateId> = self.states.iter().map(|s| s.0).collect();
        self.executor.run(plan, &data, &[], &states)?;
        Ok(self.executor.output(plan, "logits")?)
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
    /// What a step of some pieces is given, and the shape it is planned for.
    fn of(pieces: &[Piece<'_>]) -> (Self, StepDims) {
        let tokens = bucket(pieces.iter().map(|p| p.tokens.len()).max().unwrap_or(0));
        let pages = page_bucket(pieces.iter().map(|p| p.pages.len()).max().unwrap_or(0));
        let mut inputs = Self::default();
        for (b, piece) in pieces.iter().enumerate() {
            inputs.push(b, piece, tokens, pages);
        }
        let dims = StepDims { batch: pieces.len(), tokens, pages, wanted: inputs.wanted.len() };
        (inputs, dims)
    }

    /// In the order of the graph's inputs.
    fn data(&self) -> [Data<'_>; 6] {
        let Self { tokens, positions, recurrent, cached, pages, wanted } = self;
        [tokens, positions, recurrent, cached, pages, wanted].map(|numbers| Data::I32(numbers))
    }

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
pub(super) fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Page counts are rounded up to powers of four, 256 tokens and more: each has plans of its own, and a device that has to compile new
/// kernels for them keeps a reader waiting.
pub(super) fn page_bucket(pages: usize) -> usize {
    let mut bucket: usize = 4;
    while bucket < pages {
        bucket = bucket.saturating_mul(4);
    }
    bucket
}

/// Token counts are rounded up, so that few plans serve all prompts.
pub(super) fn bucket(tokens: usize) -> usize {
    let step = match tokens {
        0..=8 => 1,
        9..=64 => 8,
        _ => 64,
    };
    tokens.next_multiple_of(step)
}
