//! A loaded S3Gen: requests in, samples out.

use super::config::S3GenConfig;
use super::error::S3GenError;
use super::speed::Speed;
use super::voice::{S3Voice, check_tokens};
use crate::chatterbox::cfm::{MAX_STEPS, Solver, Span};
use crate::chatterbox::flow::{FlowDims, Positions, flow_graph};
use crate::chatterbox::hift::fade::fade_in;
use crate::chatterbox::hift::{Hift, HiftTimes};
use crate::chatterbox::noise::{Noise, NoiseStream};
use crate::error::ModelError;
use crate::weights::GgufWeights;
use mynah_device::{Data, Device, Policy, WeightSource};
use mynah_gguf::GgufFile;
use mynah_plan::{Executor, Options, PlanId, PlanKey, StateId};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The most tokens that are spoken at a time, those of the voice among them: five minutes.
pub const MAX_TOKENS: usize = 8192;

/// Tokens are rounded up to this, so that requests of like length share a plan.
const BUCKET: usize = 16;

/// How a model is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Precision, routes and plan cache.
    pub executor: Options,
    /// Threads for what the host does by itself, the source of the vocoder; results don't depend on them.
    pub host_threads: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { executor: Options::default(), host_threads: 1 }
    }
}

/// What is to be spoken.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Whose voice.
    pub voice: &'a S3Voice,
    /// Speech tokens, 25 a second.
    pub tokens: &'a [u32],
    /// What the flow and the source start from.
    pub noise: &'a dyn Noise,
}

/// What was spoken.
#[derive(Clone, Debug, Default)]
pub struct Speech {
    /// Samples at 24 kHz, within ±0.99.
    pub samples: Vec<f32>,
    /// Where the time went; of the stages that a batch takes together the whole time.
    pub times: StageTimes,
}

/// Time by stage. A device that works behind the host is waited for when mel frames are read, so what its encoder took is then in
/// [`StageTimes::cfm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// The flow encoder.
    pub encoder: Duration,
    /// The steps of the solver.
    pub cfm: Duration,
    /// Fundamental frequencies.
    pub pitch: Duration,
    /// The harmonic source, on the host.
    pub source: Duration,
    /// The vocoder.
    pub vocoder: Duration,
}

impl StageTimes {
    /// All of it.
    pub fn total(&self) -> Duration {
        self.encoder + self.cfm + self.pitch + self.source + self.vocoder
    }

    pub(super) fn hift(&mut self, times: HiftTimes) {
        self.pitch += times.pitch;
        self.source += times.source;
        self.vocoder += times.vocoder;
    }
}

impl std::ops::AddAssign for StageTimes {
    fn add_assign(&mut self, other: Self) {
        self.encoder += other.encoder;
        self.cfm += other.cfm;
        self.pitch += other.pitch;
        self.source += other.source;
        self.vocoder += other.vocoder;
    }
}

/// An S3Gen ready to speak.
pub struct S3Gen {
    pub(super) file: Arc<GgufFile>,
    pub(super) config: S3GenConfig,
    pub(super) hift: Hift,
    pub(super) executor: Executor,
    /// Computes fundamental frequencies, by the plain formulas whatever the policy. The source adds them up to a phase, so what they are
    /// off by grows with every frame: rounded to bfloat16 they are a tenth of a hertz off, and after two seconds the waveform is another
    /// one. They are a hundredth of the work.
    pub(super) plain: Executor,
    pub(super) cancel: Arc<AtomicBool>,
    pub(super) solver: Solver,
    positions: Positions,
}

impl S3Gen {
    /// Loads a model; weights go to the device when a graph first needs them.
    ///
    /// # Errors
    /// What is wrong with the file, by key or tensor, or that the device can't be opened.
    pub fn load(
        file: Arc<GgufFile>,
        device: Arc<dyn Device>,
        fallback: Option<Arc<dyn Device>>,
        options: LoadOptions,
    ) -> Result<Self, S3GenError> {
        let config = S3GenConfig::read(&file)?;
        let weights: Arc<dyn WeightSource> = Arc::new(GgufWeights::new(Arc::clone(&file)));
        let plain = Options { policy: Policy::exact(), ..options.executor.clone() };
        let plain = Executor::new(Arc::clone(&device), fallback.clone(), Arc::clone(&weights), plain)?;
        let executor = Executor::new(device, fallback, weights, options.executor)?;
        let hift = Hift::new(&file, &config.hift, options.host_threads)?;
        Self::with(file, config, hift, [executor, plain])
    }

    fn with(
        file: Arc<GgufFile>,
        config: S3GenConfig,
        hift: Hift,
        [mut executor, plain]: [Executor; 2],
    ) -> Result<Self, S3GenError> {
        let positions = Positions::new(&mut executor, &config.flow)?;
        let solver = Solver::new(&mut executor, &config.cfm)?;
        Ok(Self { file, config, hift, executor, plain, cancel: Arc::default(), positions, solver })
    }

    /// Another user of the same prepared weights, with its own buffers.
    ///
    /// # Errors
    /// When the device can't give it.
    pub fn fork(&self) -> Result<Self, S3GenError> {
        let executors = [self.executor.fork()?, self.plain.fork()?];
        Self::with(Arc::clone(&self.file), self.config.clone(), self.hift.clone(), executors)
    }

    /// The model's dimensions and options.
    pub fn config(&self) -> &S3GenConfig {
        &self.config
    }

    /// The file's own voice.
    ///
    /// # Errors
    /// [`S3GenError::NoVoice`], or what is wrong with its tensors.
    pub fn built_in_voice(&self) -> Result<S3Voice, S3GenError> {
        S3Voice::built_in(&self.file, &self.config)?.ok_or(S3GenError::NoVoice)
    }

    /// The executor of all but the fundamental frequencies, for reports and profiles.
    pub fn executor(&mut self) -> &mut Executor {
        &mut self.executor
    }

    /// The executor of the fundamental frequencies, which computes by the plain formulas whatever the policy is.
    pub fn pitch_executor(&mut self) -> &mut Executor {
        &mut self.plain
    }

    /// Whoever raises the flag ends the request under way, with [`S3GenError::Cancelled`] before its next step of the flow or tile of
    /// the vocoder, and those that follow until it is lowered.
    pub fn set_cancel(&mut self, flag: Arc<AtomicBool>) {
        self.cancel = flag;
    }

    /// Lets the vocoder's tiles be so many mel frames long. Samples don't depend on it but for rounding.
    pub fn set_vocoder_tile(&mut self, frames: usize) {
        self.hift.set_tile(frames);
    }

    /// Speaks at the model's own speed. `steps` overrules the file's number of steps of the flow.
    ///
    /// # Errors
    /// What is wrong with the request, or what running a graph reports.
    pub fn synthesize(
        &mut self,
        voice: &S3Voice,
        tokens: &[u32],
        noise: &dyn Noise,
        steps: Option<usize>,
    ) -> Result<Speech, S3GenError> {
        let mut spoken = self.synthesize_batch(&[Request { voice, tokens, noise }], steps)?;
        spoken.pop().ok_or(S3GenError::NoTokens)
    }

    /// Speaks several requests at the model's own speed; encoder and flow take them together, padded to the longest, and each gets what
    /// it would get alone.
    ///
    /// # Errors
    /// As [`S3Gen::synthesize`].
    pub fn synthesize_batch(
        &mut self,
        requests: &[Request<'_>],
        steps: Option<usize>,
    ) -> Result<Vec<Speech>, S3GenError> {
        let own = requests.iter().map(|&request| (request, Speed::default()));
        self.synthesize_at(&own.collect::<Vec<_>>(), steps)
    }

    /// The same, each at a speed of its own.
    ///
    /// # Errors
    /// As [`S3Gen::synthesize`].
    pub fn synthesize_at(
        &mut self,
        requests: &[(Request<'_>, Speed)],
        steps: Option<usize>,
    ) -> Result<Vec<Speech>, S3GenError> {
        let mut times = StageTimes::default();
        let plain: Vec<Request<'_>> = requests.iter().map(|(request, _)| *request).collect();
        let mels = self.mels(&plain, steps, false, &mut times)?;
        let speak = |((request, speed), mel): (&(Request<'_>, Speed), Vec<f32>)| {
            let (mut times, mut spent) = (times, HiftTimes::default());
            let mel = speed.apply(&mel, self.config.flow.bins);
            let executors = [&mut self.executor, &mut self.plain];
            let mut samples = self.hift.run(executors, &mel, request.noise, &self.cancel, &mut spent)?;
            times.hift(spent);
            fade_in(&mut samples, 0);
            Ok(Speech { samples, times })
        };
        requests.iter().zip(mels).map(speak).collect()
    }

    /// Mel frames `[T, bins]` of each request at the model's own speed, without those of its voice. An `open` one is to be gone on with: its last tokens have
    /// not seen what follows, so their frames are left out.
    pub(super) fn mels(
        &mut self,
        requests: &[Request<'_>],
        steps: Option<usize>,
        open: bool,
        times: &mut StageTimes,
    ) -> Result<Vec<Vec<f32>>, S3GenError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let steps = self.check_steps(steps)?;
        requests.iter().try_for_each(|request| self.check(request))?;
        let began = Instant::now();
        let span = self.encode(requests, open)?;
        times.encoder += began.elapsed();
        let began = Instant::now();
        let (executor, config) = (&mut self.executor, &self.config.cfm);
        self.solver.solve(executor, &self.file, config, &span, steps, &self.cancel, &mut |_, _| Ok(()))?;
        let ratio = self.config.flow.ratio;
        let read = |(i, request): (usize, &Request<'_>)| {
            let length = span.lengths[i];
            let frames = (request.voice.prompt_tokens().len() * ratio).min(length)..length;
            Ok(self.solver.read(&mut self.executor, &self.config.cfm, &span, i, frames)?)
        };
        let mels = requests.iter().enumerate().map(read).collect();
        times.cfm += began.elapsed();
        mels
    }

    /// Steps of the flow.
    pub(super) fn check_steps(&self, steps: Option<usize>) -> Result<usize, S3GenError> {
        let steps = steps.unwrap_or(self.config.cfm.steps);
        let limit = MAX_STEPS;
        if (1..=limit).contains(&steps) { Ok(steps) } else { Err(S3GenError::Steps { steps, limit }) }
    }

    pub(super) fn check(&self, request: &Request<'_>) -> Result<(), S3GenError> {
        let (voice, config) = (request.voice, &self.config);
        if request.tokens.is_empty() {
            return Err(S3GenError::NoTokens);
        }
        let tokens = request.tokens.len().saturating_add(voice.prompt_tokens().len());
        if tokens > MAX_TOKENS {
            return Err(S3GenError::TooLong { tokens, limit: MAX_TOKENS });
        }
        // A voice may have been made for another model.
        let flow = &config.flow;
        let mel = voice.prompt_tokens().len() * flow.ratio * flow.bins;
        if voice.embedding().len() != flow.speaker || voice.prompt_mel().len() != mel {
            let reason = "is of another model".to_owned();
            return Err(S3GenError::Voice { what: "shape", reason });
        }
        check_tokens(config, voice.prompt_tokens())?;
        check_tokens(config, request.tokens)
    }

    /// Runs the encoder, which leaves noise and conditions in the solver's states.
    pub(super) fn encode(&mut self, requests: &[Request<'_>], open: bool) -> Result<Span, S3GenError> {
        let inputs = EncoderInputs::new(&self.config, requests, open)?;
        self.prepare(&inputs)?;
        let dims = FlowDims { batch: requests.len(), tokens: inputs.tokens_each, stages: false };
        let plan = self.flow_plan(&dims)?;
        let states = self.states();
        self.executor.run(plan, &inputs.data(), &[], &states)?;
        Ok(inputs.span)
    }

    fn prepare(&mut self, inputs: &EncoderInputs) -> Result<(), S3GenError> {
        let (file, flow) = (&self.file, &self.config.flow);
        self.positions.reserve(&mut self.executor, file, flow, inputs.span.frames)?;
        self.solver.reserve(&mut self.executor, &inputs.span)?;
        Ok(())
    }

    fn flow_plan(&mut self, dims: &FlowDims) -> Result<PlanId, ModelError> {
        let (file, config) = (&self.file, &self.config.flow);
        let key = PlanKey { graph: "flow", dims: [dims.batch, dims.tokens, usize::from(dims.stages), 0] };
        self.executor.plan(key, || flow_graph(file, config, dims))
    }

    fn states(&self) -> Vec<StateId> {
        self.positions.states().iter().chain(self.solver.states()).copied().collect()
    }
}

/// What the encoder's graph is given.
struct EncoderInputs {
    tokens_each: usize,
    span: Span,
    tokens: Vec<i32>,
    lengths: Vec<i32>,
    frame_lengths: Vec<i32>,
    positions: Vec<i32>,
    frame_positions: Vec<i32>,
    speaker: Vec<f32>,
    prompt: Vec<f32>,
    noise: Vec<f32>,
    rows: Vec<i32>,
}

impl EncoderInputs {
    fn new(config: &S3GenConfig, requests: &[Request<'_>], open: bool) -> Result<Self, S3GenError> {
        let (flow, bins) = (&config.flow, config.flow.bins);
        let total = |r: &Request<'_>| r.voice.prompt_tokens().len() + r.tokens.len();
        let longest = requests.iter().map(total).max().unwrap_or(1);
        let tokens_each = longest.next_multiple_of(BUCKET);
        let frames = tokens_each * flow.ratio;
        // An open request's last frames are computed, for their sake tokens before them see less than they could, and then left out.
        let left_out = if open { flow.lookahead * flow.ratio } else { 0 };
        let kept = |r: &Request<'_>| (total(r) * flow.ratio).saturating_sub(left_out);
        let span = Span { frames, lengths: requests.iter().map(kept).collect() };
        let mut inputs = Self {
            tokens_each,
            tokens: Vec::with_capacity(requests.len() * tokens_each),
            lengths: requests.iter().map(|r| total(r) as i32).collect(),
            frame_lengths: requests.iter().map(|r| (total(r) * flow.ratio) as i32).collect(),
            positions: crate::chatterbox::flow::position_rows(tokens_each),
            frame_positions: crate::chatterbox::flow::position_rows(frames),
            speaker: requests.iter().flat_map(|r| r.voice.direction()).collect(),
            prompt: vec![0.0; requests.len() * frames * bins],
            noise: vec![0.0; requests.len() * frames * bins],
            rows: span.rows(),
            span,
        };
        for (i, request) in requests.iter().enumerate() {
            let of = |t: &u32| *t as i32;
            inputs.tokens.extend(request.voice.prompt_tokens().iter().chain(request.tokens).map(of));
            inputs.tokens.resize((i + 1) * tokens_each, 0);
            let first = i * frames * bins;
            let mel = request.voice.prompt_mel();
            inputs.prompt[first..first + mel.len()].copy_from_slice(mel);
            let noise = &mut inputs.noise[first..first + inputs.span.lengths[i] * bins];
            draw(noise, request.noise, if config.cfm.meanflow { Some(mel.len()) } else { None })?;
        }
        Ok(inputs)
    }

    /// In the order of the graph's inputs.
    fn data(&self) -> [Data<'_>; 9] {
        [
            Data::I32(&self.tokens),
            Data::I32(&self.lengths),
            Data::I32(&self.frame_lengths),
            Data::I32(&self.positions),
            Data::I32(&self.frame_positions),
            Data::F32(&self.speaker),
            Data::F32(&self.prompt),
            Data::F32(&self.noise),
            Data::I32(&self.rows),
        ]
    }
}

/// Where a solution starts, frame by frame; for mean flow with other noise after so many numbers, as the reference draws them.
fn draw(out: &mut [f32], noise: &dyn Noise, prompt: Option<usize>) -> Result<(), S3GenError> {
    let (own, target) = out.split_at_mut(prompt.unwrap_or(out.len()).min(out.len()));
    noise.normals(NoiseStream::Mel, 0, own)?;
    Ok(noise.normals(NoiseStream::MelTarget, 0, target)?)
}

/// Stages one by one, for comparisons with other implementations.
impl S3Gen {
    /// What is between the stages of the encoder, by name, with rows of padding at their ends.
    ///
    /// # Errors
    /// As [`S3Gen::synthesize`].
    pub fn encoder_stages(
        &mut self,
        request: &Request<'_>,
        names: &[&str],
    ) -> Result<Vec<Vec<f32>>, S3GenError> {
        self.check(request)?;
        let inputs = EncoderInputs::new(&self.config, &[*request], false)?;
        self.prepare(&inputs)?;
        let plan = self.flow_plan(&FlowDims { batch: 1, tokens: inputs.tokens_each, stages: true })?;
        let states = self.states();
        self.executor.run(plan, &inputs.data(), &[], &states)?;
        names.iter().map(|name| Ok(self.executor.output(plan, name)?.to_vec())).collect()
    }

    /// What is between the stages of the estimator in the first step after [`S3Gen::encoder_stages`], for the conditional and the
    /// unconditional sequence, with rows of padding at their ends; and the time embeddings of all steps.
    ///
    /// # Errors
    /// As [`S3Gen::synthesize`].
    pub fn estimator_stages(
        &mut self,
        request: &Request<'_>,
        steps: usize,
        names: &[&str],
    ) -> Result<(Vec<Vec<f32>>, Vec<f32>), S3GenError> {
        self.check(request)?;
        let steps = self.check_steps(Some(steps))?;
        let span = self.encode(std::slice::from_ref(request), false)?;
        let (executor, config) = (&mut self.executor, &self.config.cfm);
        let found = self.solver.first_step(executor, &self.file, config, &span, steps, names)?;
        let times = self.solver.times(executor, &self.file, config, steps)?;
        Ok((found, times.embedding.clone()))
    }

    /// Mel frames `[T, bins]` at the model's own speed, without those of the voice; of an `open` request without those whose tokens have not seen what follows.
    ///
    /// # Errors
    /// As [`S3Gen::synthesize`].
    pub fn mel(
        &mut self,
        request: &Request<'_>,
        steps: Option<usize>,
        open: bool,
    ) -> Result<Vec<f32>, S3GenError> {
        let mut mels = self.mels(&[*request], steps, open, &mut StageTimes::default())?;
        Ok(mels.pop().unwrap_or_default())
    }

    /// Fundamental frequencies in hertz of mel frames `[T, bins]`.
    ///
    /// # Errors
    /// A spectrogram without whole frames, or what running the graph reports.
    pub fn pitch(&mut self, mel: &[f32]) -> Result<Vec<f32>, S3GenError> {
        self.check_mel(mel)?;
        self.hift.pitch(&mut self.plain, mel)
    }

    /// The source of fundamental frequencies, and its spectrum `[windows, 2·bins]`.
    ///
    /// # Errors
    /// [`S3GenError::Noise`].
    pub fn source(&self, f0: &[f32], noise: &dyn Noise) -> Result<(Vec<f32>, Vec<f32>), S3GenError> {
        let source = self.hift.source(f0, &mut Default::default(), noise)?;
        let spectrum = self.hift.spectrum(&source);
        Ok((source, spectrum))
    }

    /// Samples of mel frames `[T, bins]` and their source, without fade.
    ///
    /// # Errors
    /// A spectrogram and a source that don't fit, or what running the graph reports.
    pub fn vocode(&mut self, mel: &[f32], source: &[f32]) -> Result<Vec<f32>, S3GenError> {
        let frames = self.check_mel(mel)?;
        if source.len() != frames * self.config.frame_samples() {
            let reason = format!("has {frames} frames and its source {} samples", source.len());
            return Err(S3GenError::Voice { what: "mel spectrogram", reason });
        }
        self.hift.vocode(&mut self.executor, mel, source, &self.cancel)
    }

    /// What is between the stages of the vocoder, by name.
    ///
    /// # Errors
    /// As [`S3Gen::vocode`].
    pub fn vocoder_stages(
        &mut self,
        mel: &[f32],
        spectrum: &[f32],
        names: &[&str],
    ) -> Result<Vec<Vec<f32>>, S3GenError> {
        self.check_mel(mel)?;
        self.hift.stages(&mut self.executor, mel, spectrum, names)
    }

    fn check_mel(&self, mel: &[f32]) -> Result<usize, S3GenError> {
        let bins = self.config.flow.bins;
        if mel.is_empty() || !mel.len().is_multiple_of(bins) {
            let reason = format!("has {} numbers, no multiple of {bins} bins", mel.len());
            return Err(S3GenError::Voice { what: "mel spectrogram", reason });
        }
        Ok(mel.len() / bins)
    }
}
