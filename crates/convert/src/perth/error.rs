//! What is wrong with a checkpoint of PerTh.

use std::io;

use mynah_tensor::Shape;

use crate::settings::ConfigError;
use crate::torch::TorchError;

/// Why a folder is no PerTh network, or a broken one.
#[derive(Debug, thiserror::Error)]
pub enum PerthError {
    /// The folder lacks a file.
    #[error("the folder has no {name}")]
    NoFile {
        /// What it is called.
        name: &'static str,
    },
    /// A file can't be read.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The hyperparameters make no sense or belong to another network.
    #[error("hparams.yaml: {0}")]
    Config(#[from] ConfigError),
    /// The checkpoint is broken or hostile.
    #[error("{file}: {source}")]
    Torch {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: Box<TorchError>,
    },
    /// A tensor that every such network has is not there.
    #[error("the checkpoint has no tensor {name:?}")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// A tensor of another shape than the hyperparameters and the others imply.
    #[error("tensor {name:?} should have the shape {wanted:?}, but has {found}")]
    WrongShape {
        /// The tensor.
        name: String,
        /// By the hyperparameters.
        wanted: Vec<usize>,
        /// In the file.
        found: Shape,
    },
}
