//! What can be wrong with a request. What is wrong with a file or a device is a [`ModelError`].

use crate::error::ModelError;

/// A request that can't be served, or a model that failed.
#[derive(Debug, thiserror::Error)]
pub enum T3Error {
    /// There is nothing to say.
    #[error("the text has no tokens")]
    NoText,
    /// A token that a vocabulary doesn't have.
    #[error("{what} token {token} is not among the {vocabulary} of the model")]
    Token {
        /// Which vocabulary.
        what: &'static str,
        /// The token.
        token: i64,
        /// How many there are.
        vocabulary: usize,
    },
    /// Something is longer than the model's table of positions, or than what its file says.
    #[error("{what} has {found} {unit}, and the model has room for {limit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// What it is counted in.
        unit: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A speaker embedding of another size.
    #[error("the speaker embedding has {found} numbers, the model needs {wanted}")]
    Speaker {
        /// Its length.
        found: usize,
        /// The length that the model needs.
        wanted: usize,
    },
    /// An option outside its range.
    #[error("{option} can't be {found}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        reason: &'static str,
    },
    /// A logit that is no number, or nothing above minus infinity.
    #[error("the logits of a step can't be drawn from: {reason}")]
    Logits {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The file or the device.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<mynah_plan::PlanError> for T3Error {
    fn from(error: mynah_plan::PlanError) -> Self {
        Self::Model(error.into())
    }
}

impl From<mynah_graph::GraphError> for T3Error {
    fn from(error: mynah_graph::GraphError) -> Self {
        Self::Model(error.into())
    }
}
