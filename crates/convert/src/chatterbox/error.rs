//! What is wrong with a Chatterbox checkpoint.

use std::io;
use std::path::PathBuf;

use mynah_tensor::Shape;
use mynah_text::speech::SpeechError;

use crate::hf::WeightsError;
use crate::torch::TorchError;

/// Why a folder is no Chatterbox, or a broken one.
#[derive(Debug, thiserror::Error)]
pub enum ChatterboxError {
    /// A file that there has to be, by any of its names.
    #[error("the folder has no {names}")]
    NoFile {
        /// The names it could have.
        names: String,
    },
    /// A file cannot be read.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file of text that is larger than any such file.
    #[error("{file} has {bytes} bytes, more than any such file")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
    },
    /// A torch checkpoint is broken or hostile.
    #[error("{file}: {source}")]
    Torch {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: TorchError,
    },
    /// A safetensors file is broken.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A tensor that every such model has is not there.
    #[error("{file} has no tensor {name:?}")]
    Missing {
        /// The file.
        file: String,
        /// The tensor.
        name: String,
    },
    /// A tensor of another shape than the others imply.
    #[error("{file}: tensor {name:?} should have the shape {wanted}, but has {found}")]
    WrongShape {
        /// The file.
        file: String,
        /// The tensor.
        name: String,
        /// By the other tensors.
        wanted: String,
        /// In the file.
        found: Shape,
    },
    /// A tensor there are two of.
    #[error("{file} has two tensors {name:?}")]
    Duplicate {
        /// The file.
        file: String,
        /// The tensor.
        name: String,
    },
    /// A speech token that is no whole number in range.
    #[error("{file}: tensor {name:?} should hold token ids, but has {value}")]
    Token {
        /// The file.
        file: String,
        /// The tensor.
        name: String,
        /// The value.
        value: f32,
    },
    /// The layers are of neither backbone.
    #[error("{file} has neither Llama's layers (tfmr.layers) nor GPT-2's (tfmr.h)")]
    Backbone {
        /// The file.
        file: String,
    },
    /// A vocabulary file is broken.
    #[error("{file}: {what}")]
    Vocabulary {
        /// The file.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// A tokenizer or table of codes that could not be used.
    #[error("{file}: {source}")]
    Speech {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: SpeechError,
    },
    /// The place to write to has no name.
    #[error("{} is no name of a file", path.display())]
    Output {
        /// The place.
        path: PathBuf,
    },
}
