//! Steps from noise to mel frames on the device's own state tensors.

use super::config::CfmConfig;
use super::estimator::{StepDims, mel_graph, step_graph};
use super::time::TimeVectors;
use crate::chatterbox::s3gen::error::S3GenError;
use crate::error::ModelError;
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_graph::StateDecl;
use mynah_plan::{Executor, PlanKey, StateId};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The state tensors of the solver, a row per mel frame: where it stands `[bins]`, and its conditions `[3·bins]`. Row 0 belongs to
/// no frame; its conditions are zero, which is what unguided sequences read.
pub fn condition_states(bins: usize) -> [StateDecl; 2] {
    [("cfm.x", bins), ("cfm.conditions", 3 * bins)].map(|(name, row)| StateDecl::new(name, [row]))
}

/// Rows of mel read back at a time are rounded up to this, so that few plans serve all lengths.
const READ: usize = 64;

/// The rows of requests that are solved together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Frames of each request's part, of which its own come first.
    pub(crate) frames: usize,
    /// Own frames of each request.
    pub(crate) lengths: Vec<usize>,
}

impl Span {
    /// Rows of every frame, request by request.
    pub(crate) fn rows(&self) -> Vec<i32> {
        (1..=self.lengths.len() * self.frames).map(|row| row as i32).collect()
    }

    /// Rows of some frames of a request.
    fn rows_of(&self, request: usize, frames: Range<usize>) -> Vec<i32> {
        let first = 1 + request * self.frames;
        frames.map(|frame| (first + frame) as i32).collect()
    }
}

/// The solver's states, and the steps it has prepared.
#[derive(Debug)]
pub(crate) struct Solver {
    states: [StateId; 2],
    rows: usize,
    times: Vec<(usize, Arc<TimeVectors>)>,
}

impl Solver {
    /// States without frames.
    pub(crate) fn new(executor: &mut Executor, config: &CfmConfig) -> Result<Self, ModelError> {
        let [x, conditions] = condition_states(config.bins);
        let states = [executor.create_state(&x, 1)?, executor.create_state(&conditions, 1)?];
        Ok(Self { states, rows: 1, times: Vec::new() })
    }

    /// The state tensors in the order of [`condition_states`].
    pub(crate) fn states(&self) -> &[StateId] {
        &self.states
    }

    /// Makes room for the frames of a span.
    pub(crate) fn reserve(&mut self, executor: &mut Executor, span: &Span) -> Result<(), ModelError> {
        let rows = 1 + span.lengths.len() * span.frames;
        if rows > self.rows {
            for state in self.states {
                executor.grow_state(state, rows)?;
            }
            self.rows = rows;
        }
        Ok(())
    }

    /// The time vectors of so many steps, computed when they are first asked for.
    pub(crate) fn times(
        &mut self,
        executor: &mut Executor,
        file: &GgufFile,
        config: &CfmConfig,
        steps: usize,
    ) -> Result<Arc<TimeVectors>, ModelError> {
        if let Some((_, times)) = self.times.iter().find(|(n, _)| *n == steps) {
            return Ok(Arc::clone(times));
        }
        let times = Arc::new(TimeVectors::compute(executor, file, config, steps)?);
        self.times.push((steps, Arc::clone(&times)));
        Ok(times)
    }

    /// Takes all steps, unless `cancel` is raised on the way. The states hold noise and conditions before, mel frames after; `each` may
    /// read them after every step.
    pub(crate) fn solve(
        &mut self,
        executor: &mut Executor,
        file: &GgufFile,
        config: &CfmConfig,
        span: &Span,
        steps: usize,
        cancel: &AtomicBool,
        each: &mut dyn FnMut(&Self, &mut Executor) -> Result<(), ModelError>,
    ) -> Result<(), S3GenError> {
        let times = self.times(executor, file, config, steps)?;
        let inputs = StepInputs::new(config, span);
        let dims = StepDims { batch: span.lengths.len(), frames: span.frames, stages: false };
        let key = PlanKey { graph: "step", dims: [dims.batch, dims.frames, 0, 0] };
        let plan = executor.plan(key, || step_graph(file, config, &dims))?;
        let shifts = times.shifts.chunks_exact(config.resnets() * config.channels);
        for (shifts, dt) in shifts.zip(&times.dt) {
            if cancel.load(Ordering::Relaxed) {
                return Err(S3GenError::Cancelled);
            }
            executor.run(plan, &inputs.data(shifts, std::slice::from_ref(dt)), &[], &self.states)?;
            each(self, executor)?;
        }
        Ok(())
    }

    /// What is between the stages of the estimator in the first step.
    pub(crate) fn first_step(
        &mut self,
        executor: &mut Executor,
        file: &GgufFile,
        config: &CfmConfig,
        span: &Span,
        steps: usize,
        names: &[&str],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let times = self.times(executor, file, config, steps)?;
        let inputs = StepInputs::new(config, span);
        let dims = StepDims { batch: span.lengths.len(), frames: span.frames, stages: true };
        let key = PlanKey { graph: "step", dims: [dims.batch, dims.frames, 1, 0] };
        let plan = executor.plan(key, || step_graph(file, config, &dims))?;
        let shifts = &times.shifts[..config.resnets() * config.channels];
        executor.run(plan, &inputs.data(shifts, &times.dt[..1]), &[], &self.states)?;
        names.iter().map(|name| Ok(executor.output(plan, name)?.to_vec())).collect()
    }

    /// The encoder's means `[n, bins]` of a request, read from its conditions.
    pub(crate) fn means(
        &self,
        executor: &mut Executor,
        config: &CfmConfig,
        span: &Span,
        request: usize,
    ) -> Result<Vec<f32>, ModelError> {
        let conditions = executor.snapshot(self.states[1])?;
        let frames = span.lengths.get(request).copied().unwrap_or(0);
        let rows = conditions.chunks_exact(3 * config.bins).skip(1 + request * span.frames).take(frames);
        Ok(rows.flat_map(|row| &row[..config.bins]).copied().collect())
    }

    /// Mel frames `[n, bins]` of a request.
    pub(crate) fn read(
        &self,
        executor: &mut Executor,
        config: &CfmConfig,
        span: &Span,
        request: usize,
        frames: Range<usize>,
    ) -> Result<Vec<f32>, ModelError> {
        let wanted = frames.len();
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let mut rows = span.rows_of(request, frames);
        rows.resize(wanted.next_multiple_of(READ), 0);
        let key = PlanKey { graph: "mel", dims: [rows.len(), 0, 0, 0] };
        let plan = executor.plan(key, || mel_graph(config, rows.len()))?;
        executor.run(plan, &[Data::I32(&rows)], &[], &self.states)?;
        let mut mel = executor.output(plan, "mel")?.to_vec();
        mel.truncate(wanted * config.bins);
        Ok(mel)
    }
}

/// What is the same in every step.
struct StepInputs {
    rows: Vec<i32>,
    seen: Vec<i32>,
    conditions: Vec<i32>,
    lengths: Vec<i32>,
}

impl StepInputs {
    fn new(config: &CfmConfig, span: &Span) -> Self {
        let rows = span.rows();
        let lengths: Vec<i32> = span.lengths.iter().map(|&n| n as i32).collect();
        if config.guidance == 0.0 {
            return Self { seen: rows.clone(), conditions: rows.clone(), rows, lengths };
        }
        let conditions = [rows.clone(), vec![0; rows.len()]].concat();
        Self { seen: rows.repeat(2), conditions, rows, lengths: lengths.repeat(2) }
    }

    /// In the order of the graph's inputs.
    fn data<'a>(&'a self, shifts: &'a [f32], dt: &'a [f32]) -> [Data<'a>; 6] {
        let Self { rows, seen, conditions, lengths } = self;
        let [rows, seen, conditions, lengths] = [rows, seen, conditions, lengths].map(|x| Data::I32(x));
        [rows, seen, conditions, lengths, Data::F32(shifts), Data::F32(dt)]
    }
}
