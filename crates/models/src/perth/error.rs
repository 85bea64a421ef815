//! What can be wrong with a recording that is to be marked or examined.

use crate::error::ModelError;

/// A failure to put a watermark on a recording, or to look for one.
#[derive(Debug, thiserror::Error)]
pub enum PerthError {
    /// There is less than a window of it.
    #[error("the recording is {seconds:.3} s long, and a watermark needs at least {least:.3} s")]
    TooShort {
        /// Its length.
        seconds: f64,
        /// The least that is accepted.
        least: f64,
    },
    /// No frame of it has any sound that could carry a watermark.
    #[error("the recording is silent, so there is nothing in which a watermark could be")]
    Silent,
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

impl From<mynah_audio::AudioError> for PerthError {
    fn from(error: mynah_audio::AudioError) -> Self {
        Self::Model(error.into())
    }
}

impl From<mynah_plan::PlanError> for PerthError {
    fn from(error: mynah_plan::PlanError) -> Self {
        Self::Model(error.into())
    }
}
