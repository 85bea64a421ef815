//! A reference recording before any model hears it: checks, rates, loudness, and which stretches go where.
//!
//! Which seconds each model hears follows chatterbox-tts (`prepare_conditionals` of its two classes), but for one thing: of a long
//! recording not the first seconds are taken but those with the most speech.

use super::config::{ENCODER_RATE, PromptConfig};
use super::error::VoiceError;
use super::frontend::PROMPT_RATE;
use super::maker::MakeOptions;
use mynah_audio::{
    AudioStream, best_stretch, integrated_loudness, normalize_loudness, resample, resample_sinc_hann,
    resample_sinc_kaiser,
};
use std::fmt;

/// Tokens a second.
const TOKEN_RATE: usize = 25;
/// Seconds that S3Gen's prompt has at most.
const PROMPT_SECONDS: usize = 10;
/// Longer recordings are cut to their best stretch of so many seconds before anything else.
const LONGEST: f64 = 300.0;
/// A recording of fewer seconds makes a poor voice.
const GOOD_SECONDS: f64 = 10.0;
/// A prompt with less speech in it is remarked upon: this part of its length.
const LITTLE_SPEECH: f64 = 0.5;
/// Full scale; a recording of which more than this part is at it was clipped.
const CLIPPED: f32 = 0.999;
const CLIPPED_PART: f64 = 0.001;

/// Something about a recording that its user should know.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum VoiceWarning {
    /// It is shorter than 10 s.
    Short {
        /// Its length.
        seconds: f64,
    },
    /// It is longer than is listened to.
    Shortened {
        /// Its length.
        seconds: f64,
        /// Where the stretch begins that was taken.
        from: f64,
    },
    /// The prompt is mostly pauses.
    LittleSpeech {
        /// Seconds of speech in it.
        speech: f64,
        /// Its length.
        seconds: f64,
    },
    /// It was recorded too loud.
    Clipped {
        /// The part of the samples at full scale.
        part: f64,
    },
    /// Its rate is below what a prompt holds: the voice will sound dull.
    LowRate {
        /// In Hz.
        rate: u32,
    },
}

impl fmt::Display for VoiceWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { seconds } => {
                write!(f, "the recording is only {seconds:.1} s long; {GOOD_SECONDS} s or more are better")
            }
            Self::Shortened { seconds, from } => write!(
                f,
                "of the recording's {seconds:.0} s the {LONGEST} s from {from:.0} s on are listened to"
            ),
            Self::LittleSpeech { speech, seconds } => {
                write!(f, "only {speech:.1} of the prompt's {seconds:.1} s are speech")
            }
            Self::Clipped { part } => {
                write!(f, "the recording is clipped: {:.1} % of it is at full scale", part * 100.0)
            }
            Self::LowRate { rate } => {
                write!(
                    f,
                    "the recording's {rate} Hz hold no sound above {} Hz; the voice will be dull",
                    rate / 2
                )
            }
        }
    }
}

/// A recording's samples at their own rate, and that rate: what [`super::VoiceMaker::make`] wants. Channels are averaged; of a recording
/// longer than a quarter of an hour the beginning is read.
///
/// # Errors
/// What opening or decoding the audio reports.
pub fn read_recording(stream: AudioStream) -> Result<(Vec<f32>, u32), VoiceError> {
    // Some codecs tell their rate with the first packet only.
    let rate = match stream.source_info().rate {
        0 => PROMPT_RATE,
        rate => rate,
    };
    let mut stream = stream.at_rate(rate)?;
    let mut samples = Vec::new();
    while let Some(block) = stream.next_block()? {
        samples.extend_from_slice(&block);
        if samples.len() as u64 >= u64::from(rate) * READ_SECONDS {
            break;
        }
    }
    Ok((samples, rate))
}

/// Seconds of a file that are read at most.
const READ_SECONDS: u64 = 900;

/// The clips that the models hear.
#[derive(Clone, Debug)]
pub(super) struct Clips {
    /// All of the recording at 16 kHz, for the voice encoder.
    pub(super) whole: Vec<f32>,
    /// At 16 kHz, for T3's tokens.
    pub(super) t3: Vec<f32>,
    /// At 24 kHz, for S3Gen's mel frames.
    pub(super) prompt: Vec<f32>,
    /// The same at 16 kHz, through the filter S3Gen was trained behind, for its tokens and CAMPPlus.
    pub(super) prompt_encoders: Vec<f32>,
    /// Where the clips of T3 and S3Gen begin in the recording, in seconds.
    pub(super) from: f64,
    pub(super) warnings: Vec<VoiceWarning>,
}

impl Clips {
    /// Prepares mono `samples` at `rate` Hz.
    pub(super) fn of(
        samples: &[f32],
        rate: u32,
        prompt: &PromptConfig,
        options: &MakeOptions,
    ) -> Result<Self, VoiceError> {
        let mut warnings = Vec::new();
        if let Some(index) = samples.iter().position(|s| !s.is_finite()) {
            return Err(VoiceError::Sample { index, value: samples[index] });
        }
        if rate == 0 {
            // The resampler names the range.
            resample(&[], rate, PROMPT_RATE)?;
        }
        let seconds = samples.len() as f64 / f64::from(rate.max(1));
        let least = options.least_seconds.unwrap_or(if prompt.turbo { 5.0 } else { 1.0 });
        if seconds < least.max(MINIMUM) {
            return Err(VoiceError::TooShort { seconds, least: least.max(MINIMUM) });
        }
        let (samples, skipped) = shortened(samples, rate, &mut warnings)?;
        inspect(samples, rate, &mut warnings);
        if seconds < GOOD_SECONDS {
            warnings.push(VoiceWarning::Short { seconds });
        }
        let mut wave = resample_sinc_kaiser(samples, rate, PROMPT_RATE)?;
        let target = options.loudness.unwrap_or(prompt.turbo.then_some(TURBO_LUFS));
        if let Some(target) = target {
            normalize_loudness(&mut wave, PROMPT_RATE, target);
        }
        let whole = resample_sinc_kaiser(&wave, PROMPT_RATE, ENCODER_RATE)?;
        let wanted = PROMPT_SECONDS.max(prompt.tokens.div_ceil(TOKEN_RATE));
        let (stretch, speech) = best_stretch(&whole, wanted as f64);
        if speech == 0.0 {
            let reason = match integrated_loudness(&whole, ENCODER_RATE) {
                Some(lufs) => format!("no speech stands out of its {lufs:.0} LUFS"),
                None => "it is silent".into(),
            };
            return Err(VoiceError::Silent { reason });
        }
        let length = stretch.len() as f64 / f64::from(ENCODER_RATE);
        if speech < LITTLE_SPEECH * length {
            warnings.push(VoiceWarning::LittleSpeech { speech, seconds: length });
        }
        let from = if options.from_beginning { 0 } else { stretch.start };
        let cut = |wave: &[f32], rate: u32, seconds: usize| {
            let first = (from as u64 * u64::from(rate) / u64::from(ENCODER_RATE)) as usize;
            let last = first.saturating_add(seconds * rate as usize).min(wave.len());
            wave.get(first..last).unwrap_or_default().to_vec()
        };
        let t3 = cut(&whole, ENCODER_RATE, prompt.tokens.div_ceil(TOKEN_RATE));
        let prompt = cut(&wave, PROMPT_RATE, PROMPT_SECONDS);
        let prompt_encoders = resample_sinc_hann(&prompt, PROMPT_RATE, ENCODER_RATE)?;
        let from = skipped + from as f64 / f64::from(ENCODER_RATE);
        Ok(Self { whole, t3, prompt, prompt_encoders, from, warnings })
    }
}

/// No model makes anything of less, in seconds.
const MINIMUM: f64 = 0.5;
/// What Turbo's recordings are brought to, in LUFS.
const TURBO_LUFS: f64 = -27.0;

/// The best minutes of a very long recording, and where they begin in seconds.
fn shortened<'a>(
    samples: &'a [f32],
    rate: u32,
    warnings: &mut Vec<VoiceWarning>,
) -> Result<(&'a [f32], f64), VoiceError> {
    let seconds = samples.len() as f64 / f64::from(rate);
    if seconds <= LONGEST {
        return Ok((samples, 0.0));
    }
    let (stretch, _) = best_stretch(&resample(samples, rate, ENCODER_RATE)?, LONGEST);
    let from = stretch.start as f64 / f64::from(ENCODER_RATE);
    warnings.push(VoiceWarning::Shortened { seconds, from });
    let first = ((from * f64::from(rate)) as usize).min(samples.len());
    let last = first.saturating_add((LONGEST * f64::from(rate)) as usize).min(samples.len());
    Ok((&samples[first..last], from))
}

/// What can be said of a recording without a model.
fn inspect(samples: &[f32], rate: u32, warnings: &mut Vec<VoiceWarning>) {
    if rate < ENCODER_RATE {
        warnings.push(VoiceWarning::LowRate { rate });
    }
    let part = samples.iter().filter(|s| s.abs() >= CLIPPED).count() as f64 / samples.len().max(1) as f64;
    if part > CLIPPED_PART {
        warnings.push(VoiceWarning::Clipped { part });
    }
}
