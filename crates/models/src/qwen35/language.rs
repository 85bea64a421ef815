//! What the runtime asks of a Qwen3.5: its numbers, and its states by row and page.

use super::config::Qwen35Config;
use super::model::{Piece, Qwen35, bucket, number};
use super::states::{StateKind, StateLayout, copy_graph, read_graph, state_decls, write_graph};
use super::step::{StepDims, step_graph};
use crate::error::ModelError;
use crate::language::{LanguageModel, MemoryEstimate, StateBytes, Workload};
use mynah_device::{Data, Device};
use mynah_gguf::{GgufFile, TensorInfo};
use mynah_graph::{Graph, StateDecl};
use mynah_plan::{Executor, PlanId, PlanKey, StateId, plan_memory};

impl Qwen35 {
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
        let pages = super::model::page_bucket(workload.context.div_ceil(layout.page));
        let arena = |batch: usize, tokens: usize| {
            let dims = StepDims { batch, tokens, pages, wanted: batch };
            Ok::<_, ModelError>(plan_memory(&step_graph(file, &config, layout, &dims)?, device).arena_bytes)
        };
        let prompt = arena(1, bucket(workload.chunk.min(workload.context).max(1)))?;
        let answers = arena(workload.sequences.max(1), 1)?;
        // A table that is also the head is laid out for each of the two.
        let held = |t: &TensorInfo| {
            let both = config.tied && t.name == "token_embd.weight";
            t.nbytes as u64 * (1 + u64::from(both))
        };
        let of = |kind| (4 * elements(&config, layout, kind)) as u64;
        Ok(MemoryEstimate {
            weights: file.tensors().iter().map(&held).sum(),
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
