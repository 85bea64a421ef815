//! The figures of one model with one number of threads.

use crate::flags::ModelFlags;
use crate::memory;
use crate::verbs::bench::weights::main_type;
use mynah::{DeviceChoice, Head, Policy, Transcriber};
use mynah_audio::SAMPLE_RATE;
use mynah_gguf::GgufFile;
use mynah_lab::Work;
use mynah_lab::timing::{Effort, Timing, times};
use mynah_models::parakeet::{EncoderDims, Keep, Parakeet, encoder_graph, subsample_graph};
use mynah_tensor::DType;
use std::time::{Duration, Instant};

/// Mel frames of an encoder frame.
const SUBSAMPLING: usize = 8;

/// What every model is given to do.
pub(super) struct Task<'a> {
    /// Samples, 16 kHz mono.
    pub(super) pieces: &'a [Vec<f32>],
    /// Pieces recognised together.
    pub(super) batch: usize,
    /// `None` is the model's best.
    pub(super) head: Option<Head>,
    /// Counted runs.
    pub(super) reps: usize,
}

/// Names of the stages, in the order of [`Figures::stages`].
pub(super) const STAGES: [&str; 4] = ["features", "subsample", "encoder", "decoder"];

/// Everything measured.
pub(super) struct Figures {
    pub(super) model: String,
    pub(super) head: &'static str,
    /// The type of most of the weights.
    pub(super) dtype: DType,
    pub(super) policy: Policy,
    /// Processor and instructions.
    pub(super) device: String,
    pub(super) threads: usize,
    /// Whether a GPU was asked for.
    pub(super) on_gpu: bool,
    pub(super) seconds: f64,
    pub(super) pieces: usize,
    pub(super) tokens: usize,
    /// Opening the file.
    pub(super) open: Duration,
    /// The first run: weights prepared, plans made.
    pub(super) first: Duration,
    /// Whole runs, in order.
    pub(super) runs: Vec<Duration>,
    pub(super) timing: Timing,
    /// The median of each stage over as many runs as were counted.
    pub(super) stages: [Duration; 4],
    /// Arithmetic of subsampling and encoder over all pieces.
    pub(super) work: Work,
    pub(super) on_device: u64,
    pub(super) peak: Option<u64>,
}

impl Figures {
    /// Times realtime.
    pub(super) fn speed(&self) -> f64 {
        self.seconds / self.timing.median.as_secs_f64().max(1e-9)
    }

    /// Seconds of subsampling and encoder.
    pub(super) fn encoding(&self) -> f64 {
        (self.stages[1] + self.stages[2]).as_secs_f64().max(1e-9)
    }

    /// Operations a second while encoding.
    pub(super) fn rate(&self) -> f64 {
        self.work.operations() / self.encoding()
    }

    /// Weight bytes a second while encoding, each weight counted once a piece.
    pub(super) fn read(&self) -> f64 {
        self.work.weight_bytes / self.encoding()
    }
}

/// Opens a model, runs it and times it.
///
/// # Errors
/// A model or device that can't be used.
pub(super) fn run(
    file: &GgufFile,
    task: &Task<'_>,
    flags: &ModelFlags,
    open: impl FnOnce() -> anyhow::Result<Transcriber>,
) -> anyhow::Result<Figures> {
    // Models measured before, and the memory that was read for the ceilings, aren't this one's.
    memory::forget_peak();
    let begin = Instant::now();
    let mut ears = open()?;
    let opening = begin.elapsed();
    let model = ears.model();
    let head = model.head(task.head)?;
    let batches: Vec<Vec<&[f32]>> =
        task.pieces.chunks(task.batch.max(1)).map(|b| b.iter().map(Vec::as_slice).collect()).collect();
    let mut tokens = 0;
    let mut all = |model: &mut Parakeet| -> anyhow::Result<()> {
        tokens = 0;
        for batch in &batches {
            tokens += model.recognize(batch, head)?.iter().map(Vec::len).sum::<usize>();
        }
        Ok(())
    };
    let begin = Instant::now();
    all(model)?;
    let first = begin.elapsed();
    let effort = Effort { warm_up: 0, at_least: task.reps, at_most: task.reps, budget: Duration::MAX };
    let runs = times(effort, || all(model))?;
    let mut splits = Vec::with_capacity(task.reps);
    let mut work = Work::default();
    for _ in 0..task.reps {
        let (stages, done) = split(model, file, &batches, head)?;
        splits.push(stages);
        work = done;
    }
    let mut policy = Policy { precision: flags.precision, ..Policy::default() };
    let device = model.executor().device();
    // The routes were checked when the model was opened.
    let _ = policy.switch(&flags.route.join(","), device.routes());
    let report = device.report();
    Ok(Figures {
        model: model.config().name.clone(),
        head: head.name(),
        dtype: main_type(file, |_| true),
        policy,
        device: format!("{} ({})", report.description, report.features.join(" ")),
        threads: report.parallelism,
        on_gpu: matches!(flags.device.resolve(), DeviceChoice::Gpu(_)),
        seconds: task.pieces.iter().map(Vec::len).sum::<usize>() as f64 / f64::from(SAMPLE_RATE),
        pieces: task.pieces.len(),
        tokens,
        open: opening,
        first,
        timing: Timing::of(&runs).unwrap_or_default(),
        runs,
        stages: std::array::from_fn(|stage| median(splits.iter().map(|s| s[stage]))),
        work,
        on_device: model.executor().memory() as u64,
        peak: memory::peak(),
    })
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    Timing::of(&times.collect::<Vec<_>>()).unwrap_or_default().median
}

/// One run stage by stage, and what subsampling and encoding it comes to.
fn split(
    model: &mut Parakeet,
    file: &GgufFile,
    batches: &[Vec<&[f32]>],
    head: Head,
) -> anyhow::Result<([Duration; 4], Work)> {
    let mut stages = [Duration::ZERO; 4];
    let mut work = Work::default();
    for batch in batches {
        let begin = Instant::now();
        let features = model.features_of(batch);
        stages[0] += begin.elapsed();
        let begin = Instant::now();
        let frames = model.subsample_all(&features)?;
        stages[1] += begin.elapsed();
        for clip in &features {
            let valid = clip.valid.max(1).next_multiple_of(SUBSAMPLING);
            work += Work::of(&subsample_graph(file, model.config(), valid)?);
        }
        let begin = Instant::now();
        let encoded = model.encode_frames(&frames, &[head], Keep::Heads)?;
        stages[2] += begin.elapsed();
        work += encoder_work(model, file, &encoded.lengths, head)?;
        let begin = Instant::now();
        model.decode(&encoded, head)?;
        stages[3] += begin.elapsed();
    }
    Ok((stages, work))
}

/// Operations of the frames that clips have, not of those they are padded to; the weights are read once for all.
fn encoder_work(model: &Parakeet, file: &GgufFile, lengths: &[usize], head: Head) -> anyhow::Result<Work> {
    let mut all = Work::default();
    for &length in lengths {
        let dims = EncoderDims {
            batch: 1,
            frames: length.max(1),
            window: model.config().window,
            ctc: head == Head::Ctc,
            transducer: head != Head::Ctc,
            keep: Keep::Heads,
        };
        let one = Work::of(&encoder_graph(file, model.config(), &dims)?);
        let before = all.weight_bytes;
        all += one;
        all.weight_bytes = before.max(one.weight_bytes);
    }
    Ok(all)
}
