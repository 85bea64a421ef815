//! What can be wrong with a model file or a run.

use mynah_tensor::Shape;

/// A failure to load or run a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file is a sound GGUF of another family.
    #[error("this is a '{found}' model, not one of: {wanted}")]
    Family {
        /// `general.architecture` of the file.
        found: String,
        /// What is supported.
        wanted: &'static str,
    },
    /// A key is missing that nothing else in the file tells.
    #[error("the file has no key '{key}', and no tensor tells it")]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A key contradicts the tensors, or its value makes no sense.
    #[error("key '{key}' is {found}: {reason}")]
    BadKey {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// Why it can't be.
        reason: String,
    },
    /// A tensor is missing.
    #[error("the file has no tensor '{name}'")]
    MissingTensor {
        /// The tensor.
        name: String,
    },
    /// A tensor has the wrong shape.
    #[error("tensor '{name}' has shape {found:?}, the model needs {wanted:?}")]
    TensorShape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Shape,
        /// The shape that fits the rest of the model.
        wanted: Shape,
    },
    /// The model uses something Mynah doesn't run.
    #[error("{what} is not supported")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// The model has no such decoder head.
    #[error("this model has no {wanted} head; it has: {found}")]
    NoHead {
        /// What was asked for.
        wanted: &'static str,
        /// What there is.
        found: String,
    },
    /// The GGUF file is faulty.
    #[error(transparent)]
    Gguf(#[from] mynah_gguf::GgufError),
    /// A graph could not be planned or run.
    #[error(transparent)]
    Plan(#[from] mynah_plan::PlanError),
    /// The features could not be computed.
    #[error(transparent)]
    Audio(#[from] mynah_audio::AudioError),
    /// Token ids could not be turned into text.
    #[error(transparent)]
    Text(#[from] mynah_text::TextError),
}

impl From<mynah_graph::GraphError> for ModelError {
    fn from(error: mynah_graph::GraphError) -> Self {
        Self::Plan(error.into())
    }
}
