//! What can be wrong with a request.

use crate::chatterbox::noise::NoiseEnds;
use crate::error::ModelError;

/// A failure to load an S3Gen or to speak with it.
#[derive(Debug, thiserror::Error)]
pub enum S3GenError {
    /// A token that no embedding belongs to.
    #[error("token {index} is {token}, the model knows those below {vocabulary}")]
    Token {
        /// Where it stands.
        index: usize,
        /// The token.
        token: u32,
        /// How many there are.
        vocabulary: usize,
    },
    /// Nothing to say.
    #[error("there are no speech tokens to speak")]
    NoTokens,
    /// More than is spoken at a time.
    #[error("{tokens} tokens with the voice's are more than the {limit} that are spoken at a time")]
    TooLong {
        /// Tokens, those of the voice among them.
        tokens: usize,
        /// The most there may be.
        limit: usize,
    },
    /// Steps of the flow that are none or far too many.
    #[error("{steps} steps of the flow, where 1 to {limit} make sense")]
    Steps {
        /// Steps asked for.
        steps: usize,
        /// The most there may be.
        limit: usize,
    },
    /// Faster or slower than mel frames can be interpolated.
    #[error("a speed of {speed}, where {least} to {most} make sense")]
    Speed {
        /// The speed asked for.
        speed: f64,
        /// The slowest there is.
        least: f64,
        /// The fastest there is.
        most: f64,
    },
    /// A voice the model can't use.
    #[error("the voice's {what} {reason}")]
    Voice {
        /// The part of it.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The file brings no voice of its own.
    #[error("the file has no built-in voice")]
    NoVoice,
    /// A chunk that does not follow from the ones before it.
    #[error("the stream {reason}")]
    Stream {
        /// What is wrong.
        reason: String,
    },
    /// The flag of [`set_cancel`](super::S3Gen::set_cancel) was raised.
    #[error("cancelled")]
    Cancelled,
    /// Recorded noise that is too short.
    #[error(transparent)]
    Noise(#[from] NoiseEnds),
    /// The file is faulty, or a graph could not be planned or run.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<mynah_plan::PlanError> for S3GenError {
    fn from(error: mynah_plan::PlanError) -> Self {
        Self::Model(error.into())
    }
}
