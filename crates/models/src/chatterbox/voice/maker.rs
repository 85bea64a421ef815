//! Makes a voice of a recording: the three encoders and S3Gen's mel frames, each on its clip.
//!
//! The encoders are half a gigabyte of weights that speaking doesn't need, so a [`VoiceMaker`] is made when somebody's voice is to be
//! cloned and dropped thereafter; its weights go to the device with the first recording.

use super::campplus;
use super::config::{CampplusConfig, ENCODER_RATE, PromptConfig, S3TokenizerConfig, VoiceEncoderConfig};
use super::encoder;
use super::error::VoiceError;
use super::frontend::FrontEnds;
use super::profile::{Voice, VoiceParts, VoiceSource};
use super::recording::{Clips, VoiceWarning};
use super::tokenizer;
use crate::error::ModelError;
use crate::weights::GgufWeights;
use mynah_audio::{resample_sinc_kaiser, trim_silence};
use mynah_device::Device;
use mynah_gguf::GgufFile;
use mynah_plan::{Executor, Options};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Edges of a clip quieter than its loudest part by so many decibels are nothing to the voice encoder.
const TRIM_DB: f64 = 20.0;

/// How a voice is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MakeOptions {
    /// What the voice is called.
    pub name: String,
    /// Loudness that the recording is brought to, in LUFS; `Some(None)` leaves it. By default −27 for Turbo models and no change
    /// for the others.
    pub loudness: Option<Option<f64>>,
    /// Fewest seconds of a recording. By default 5 for Turbo models and 1 for the others.
    pub least_seconds: Option<f64>,
    /// Take the first seconds of a long recording, as chatterbox-tts does, in place of those with the most speech.
    pub from_beginning: bool,
}

/// What making a voice took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MakeTimes {
    /// Resampling, loudness, choice of clips.
    pub recording: Duration,
    /// Speaker embedding for T3.
    pub speaker_embedding: Duration,
    /// Tokens of both clips.
    pub tokens: Duration,
    /// CAMPPlus.
    pub embedding: Duration,
    /// Mel frames of the prompt.
    pub prompt_feat: Duration,
}

impl MakeTimes {
    /// All of it.
    pub fn total(&self) -> Duration {
        self.recording + self.speaker_embedding + self.tokens + self.embedding + self.prompt_feat
    }
}

/// A voice and what there is to say about its making.
#[derive(Clone, Debug)]
pub struct Made {
    /// The voice.
    pub voice: Voice,
    /// Stage by stage.
    pub times: MakeTimes,
    /// Where the seconds begin that T3 and S3Gen were given, in seconds.
    pub from: f64,
    /// What is not as good as it could be.
    pub warnings: Vec<VoiceWarning>,
}

/// The encoders of a pair of model files.
pub struct VoiceMaker {
    t3: Arc<GgufFile>,
    s3gen: Arc<GgufFile>,
    prompt: PromptConfig,
    voice_encoder: VoiceEncoderConfig,
    tokenizer: S3TokenizerConfig,
    campplus: CampplusConfig,
    front: FrontEnds,
    /// Of the two files.
    executors: [Executor; 2],
}

impl VoiceMaker {
    /// Reads what the two files say of their encoders; weights go to the device when a recording first needs them.
    ///
    /// # Errors
    /// What is wrong with a file, by key or tensor; [`ModelError::MissingTensor`] for files converted without encoders; or that the
    /// device can't be opened.
    pub fn load(
        t3: Arc<GgufFile>,
        s3gen: Arc<GgufFile>,
        device: Arc<dyn Device>,
        fallback: Option<Arc<dyn Device>>,
        options: Options,
    ) -> Result<Self, ModelError> {
        let prompt = PromptConfig::read(&t3)?;
        for (file, name) in [
            (&t3, "voice_encoder/proj/weight"),
            (&s3gen, "campplus/xvector/dense/linear/weight"),
            (&s3gen, "s3tokv2/quantizer/_codebook/project_down/weight"),
        ] {
            if file.tensor(name).is_none() {
                return Err(ModelError::MissingTensor { name: name.into() });
            }
        }
        let (voice_encoder, tokenizer) = (VoiceEncoderConfig::read(&t3)?, S3TokenizerConfig::read(&s3gen)?);
        let campplus = CampplusConfig::read(&s3gen)?;
        let front = FrontEnds::new([&t3, &s3gen], &voice_encoder, &tokenizer, &campplus)?;
        let weights = |file: &Arc<GgufFile>| Arc::new(GgufWeights::new(Arc::clone(file)));
        let executors = [
            Executor::new(Arc::clone(&device), fallback.clone(), weights(&t3), options.clone())?,
            Executor::new(device, fallback, weights(&s3gen), options)?,
        ];
        Ok(Self { t3, s3gen, prompt, voice_encoder, tokenizer, campplus, front, executors })
    }

    /// What T3 wants of a recording.
    pub fn prompt(&self) -> &PromptConfig {
        &self.prompt
    }

    /// The executors of T3's file and of S3Gen's, for reports and profiles.
    pub fn executors(&mut self) -> &mut [Executor; 2] {
        &mut self.executors
    }

    /// Makes a voice of mono `samples` at `rate` Hz, best those of the file's own rate ([`super::read_recording`]).
    ///
    /// # Errors
    /// [`VoiceError::TooShort`], [`VoiceError::Silent`], [`VoiceError::Sample`], or what running a model reports.
    pub fn make(&mut self, samples: &[f32], rate: u32, options: &MakeOptions) -> Result<Made, VoiceError> {
        let mut watch = Watch(Instant::now());
        let mut times = MakeTimes::default();
        let clips = Clips::of(samples, rate, &self.prompt, options)?;
        times.recording = watch.lap();
        let speaker_embedding = self.speaker_embedding(&clips.whole)?;
        times.speaker_embedding = watch.lap();
        let t3_prompt_tokens = self.tokens(&clips.t3, Some(self.prompt.tokens))?;
        let prompt_tokens = self.tokens(&clips.prompt_encoders, None)?;
        times.tokens = watch.lap();
        let embedding = self.embedding(&clips.prompt_encoders)?;
        times.embedding = watch.lap();
        let prompt_feat = self.front.prompt.extract(&clips.prompt).data;
        times.prompt_feat = watch.lap();
        let voice = VoiceParts {
            name: options.name.clone(),
            source: Some(VoiceSource::Recording),
            kind: Some(self.prompt.variant()),
            speaker_embedding: Some(speaker_embedding),
            t3_prompt_tokens: Some(t3_prompt_tokens),
            embedding: Some(embedding),
            prompt_tokens: Some(prompt_tokens),
            prompt_feat: Some(prompt_feat),
        };
        Ok(Made { voice: voice.complete()?, times, from: clips.from, warnings: clips.warnings })
    }

    /// What the voice encoder says of 16 kHz mono samples: `[256]`, of length one. Silence at their edges is left out.
    ///
    /// # Errors
    /// What running the model reports.
    pub fn speaker_embedding(&mut self, samples: &[f32]) -> Result<Vec<f32>, VoiceError> {
        let heard = samples.get(trim_silence(samples, TRIM_DB)).unwrap_or_default();
        Ok(encoder::mean(&self.speaker_windows(heard)?))
    }

    /// What the voice encoder says of each window of 16 kHz mono samples, `[256]` each.
    ///
    /// # Errors
    /// What running the model reports.
    pub fn speaker_windows(&mut self, samples: &[f32]) -> Result<Vec<Vec<f32>>, VoiceError> {
        let features = self.front.voice_encoder.extract(samples);
        let executor = &mut self.executors[0];
        Ok(encoder::embed_windows(&self.t3, &self.voice_encoder, executor, &features)?)
    }

    /// Speech tokens of 16 kHz mono samples, at most `most` of them: what a voice is prompted with, and what another voice can say.
    ///
    /// # Errors
    /// What running the model reports.
    pub fn tokens(&mut self, samples: &[f32], most: Option<usize>) -> Result<Vec<i32>, VoiceError> {
        let mel = self.front.tokenizer.extract(samples);
        let most = most.map(|tokens| tokens.saturating_mul(tokenizer::HOP));
        let executor = &mut self.executors[1];
        Ok(tokenizer::tokenize(&self.s3gen, &self.tokenizer, executor, &mel, most)?)
    }

    /// CAMPPlus' embedding of 16 kHz mono samples, `[192]`.
    ///
    /// # Errors
    /// [`VoiceError::TooShort`] for less than a tenth of a second, or what running the model reports.
    pub fn embedding(&mut self, samples: &[f32]) -> Result<Vec<f32>, VoiceError> {
        let (bands, frames) = self.front.campplus(samples);
        if frames < campplus::LEAST_FRAMES {
            let seconds = samples.len() as f64 / f64::from(ENCODER_RATE);
            return Err(VoiceError::TooShort { seconds, least: 0.1 });
        }
        let executor = &mut self.executors[1];
        Ok(campplus::embed(&self.s3gen, &self.campplus, executor, &bands, frames)?)
    }

    /// Speech tokens of a whole recording of mono `samples` at `rate` Hz, to be said by another voice.
    ///
    /// # Errors
    /// As [`VoiceMaker::tokens`], or a rate out of range.
    pub fn tokens_of(&mut self, samples: &[f32], rate: u32) -> Result<Vec<i32>, VoiceError> {
        self.tokens(&resample_sinc_kaiser(samples, rate, ENCODER_RATE)?, None)
    }
}

/// Times of one thing after the other.
struct Watch(Instant);

impl Watch {
    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let elapsed = now.duration_since(self.0);
        self.0 = now;
        elapsed
    }
}
