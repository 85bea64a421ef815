//! What can be wrong with a recording, a voice's files, or the making of a voice.

use crate::error::ModelError;
use std::path::PathBuf;

/// A failure to make, read or write a voice.
#[derive(Debug, thiserror::Error)]
pub enum VoiceError {
    /// A file can't be read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A `.npy` file is faulty, or of a kind that isn't read.
    #[error("{file} is no array this program reads: {reason}")]
    Npy {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// An array has a wrong shape or impossible values.
    #[error("the voice's {part} {reason}")]
    Part {
        /// Which array.
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The prompt's mel frames and tokens are not of one recording.
    #[error(
        "the voice's prompt has {frames} mel frames and {tokens} tokens; there must be two frames for each token"
    )]
    Prompt {
        /// Mel frames.
        frames: usize,
        /// Tokens.
        tokens: usize,
    },
    /// A voice lacks arrays.
    #[error("the voice has no {missing}; a recording or a model's own voice can supply what is missing")]
    Incomplete {
        /// Which.
        missing: String,
    },
    /// The path leads to something that holds no voice.
    #[error("{} holds no voice: {reason}", path.display())]
    NotAVoice {
        /// The path.
        path: PathBuf,
        /// What was looked for.
        reason: String,
    },
    /// The recording is too short.
    #[error("the recording is {seconds:.1} s long, and at least {least:.1} s are needed; 10 s are better")]
    TooShort {
        /// Its length.
        seconds: f64,
        /// The least that is accepted.
        least: f64,
    },
    /// Nothing can be heard.
    #[error("nobody speaks in the recording: {reason}")]
    Silent {
        /// What was measured.
        reason: String,
    },
    /// The recording holds values that are no sound.
    #[error("sample {index} of the recording is {value}")]
    Sample {
        /// Which.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// The model can't be read or run.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<mynah_audio::AudioError> for VoiceError {
    fn from(error: mynah_audio::AudioError) -> Self {
        Self::Model(error.into())
    }
}

impl From<mynah_gguf::GgufError> for VoiceError {
    fn from(error: mynah_gguf::GgufError) -> Self {
        Self::Model(error.into())
    }
}

impl From<mynah_plan::PlanError> for VoiceError {
    fn from(error: mynah_plan::PlanError) -> Self {
        Self::Model(error.into())
    }
}
