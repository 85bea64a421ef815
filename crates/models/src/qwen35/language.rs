//! What the runtime asks of a Qwen3.5: its numbers, and its states by row and page.

use super::config::Qwen35Config;
use super::model::{Continuation, Piece, Qwen35, WithHidden, bucket, number};
use super::states::{
    StateKind, StateLayout, all_snapshots, copy_graph, one_snapshot, read_graph, state_decls, write_graph,
};
use super::step::{StepDims, step_graph};
use crate::error::ModelError;
use crate::language::{LanguageModel, MemoryEstimate, StateBytes, Workload, no_drafts};
use mynah_device::{Data, Device, Policy};
use mynah_gguf::{GgufFile, TensorInfo};
use mynah_graph::{Graph, StateDecl};
use mynah_plan::{Executor, PlanId, PlanKey, StateId, plan_memory};

impl Qwen35 {
    /// The memory a file's model will need on a device under a policy, which says how keys and values are stored.
    ///
    /// # Errors
    /// What is wrong with the file, by key or tensor.
    pub fn estimate(
        file: &GgufFile,
        device: &dyn Device,
        policy: &Policy,
        layout: StateLayout,
        workload: &Workload,
    ) -> Result<MemoryEstimate, ModelError> {
        let layout = StateLayout { cache: policy.cache_elem(device.routes()), ..layout };
        let config = Qwen35Config::read(file)?;
        if workload.drafts > 0 && !config.drafts {
            return Err(no_drafts());
        }
        let pages = super::model::page_bucket(workload.context.div_ceil(layout.page));
        let arena = |batch: usize, tokens: usize, wanted: usize| {
            let dims = StepDims { batch, tokens, pages, wanted };
            Ok::<_, ModelError>(plan_memory(&step_graph(file, &config, layout, &dims)?, device).arena_bytes)
        };
        let prompt = arena(1, bucket(workload.chunk.min(workload.context).max(1)), 1)?;
        // Drafted tokens come with the one before them, and the logits of all are wanted.
        let (sequences, tokens) = (workload.sequences.max(1), bucket(1 + workload.drafts));
        let answers = arena(sequences, tokens, sequences.saturating_mul(1 + workload.drafts))?;
        // A table that is also the head is laid out for each of the two.
        let held = |t: &TensorInfo| {
            let both = config.tied && t.name == "token_embd.weight";
            t.nbytes as u64 * (1 + u64::from(both))
        };
        let of = |kind| bytes(&config, layout, kind) as u64;
        Ok(MemoryEstimate {
            weights: file.tensors().iter().map(&held).sum(),
            sequence: of(StateKind::Sequence),
            token: of(StateKind::Page).div_ceil(layout.page.max(1) as u64),
            page: layout.page,
            activations: prompt.max(answers) as u64,
        })
    }

    /// The layout with one snapshot, in which states are read and written.
    fn one(&self) -> StateLayout {
        StateLayout { snapshots: 1, ..self.layout }
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
        check(contents, elements(&self.config, self.layout, kind))?;
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
        let saved = |layout, kind| elements(&self.config, layout, kind).saturating_mul(4);
        StateBytes {
            row: bytes(&self.config, self.layout, StateKind::Sequence),
            saved_row: saved(self.one(), StateKind::Sequence),
            page: bytes(&self.config, self.layout, StateKind::Page),
            saved_page: saved(self.layout, StateKind::Page),
        }
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

    fn read_row(&mut self, row: usize, snapshot: usize) -> Result<Vec<f32>, ModelError> {
        let kept = self.layout.snapshots;
        if snapshot >= kept {
            let what = format!("going back {snapshot} tokens with {kept} snapshots");
            return Err(ModelError::Unsupported { what });
        }
        let all = self.read(StateKind::Sequence, row)?;
        Ok(one_snapshot(&self.config, self.layout, &all, snapshot))
    }

    fn write_row(&mut self, row: usize, contents: &[f32]) -> Result<(), ModelError> {
        check(contents, elements(&self.config, self.one(), StateKind::Sequence))?;
        let all = all_snapshots(&self.config, self.layout, contents);
        self.write(StateKind::Sequence, row, &all)
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

    fn drafts(&self) -> usize {
        if self.can_draft() { self.layout.snapshots.saturating_sub(1) } else { 0 }
    }

    fn hidden(&self) -> usize {
        self.config.hidden
    }

    fn step_with_hidden(&mut self, pieces: &[Piece<'_>]) -> Result<WithHidden, ModelError> {
        Self::step_with_hidden(self, pieces)
    }

    fn draft(&mut self, pieces: &[Continuation<'_>]) -> Result<WithHidden, ModelError> {
        Self::draft(self, pieces)
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

/// Whether contents have the elements of a state.
fn check(contents: &[f32], wanted: usize) -> Result<(), ModelError> {
    if contents.len() == wanted {
        return Ok(());
    }
    let what = format!("a state of {} elements where {wanted} are wanted", contents.len());
    Err(ModelError::Unsupported { what })
}

/// The states of one kind, in the graphs' order.
fn decls(config: &Qwen35Config, layout: StateLayout, wanted: StateKind) -> impl Iterator<Item = StateDecl> {
    state_decls(config, layout).into_iter().filter(move |(_, kind)| *kind == wanted).map(|(decl, _)| decl)
}

/// Bytes of a row of every state of one kind on the device.
fn bytes(config: &Qwen35Config, layout: StateLayout, kind: StateKind) -> usize {
    decls(config, layout, kind).fold(0, |sum, decl| sum.saturating_add(decl.row_bytes()))
}

/// Elements of a row of every state of one kind.
fn elements(config: &Qwen35Config, layout: StateLayout, kind: StateKind) -> usize {
    decls(config, layout, kind).fold(0, |sum, decl| sum.saturating_add(decl.row.numel()))
}
