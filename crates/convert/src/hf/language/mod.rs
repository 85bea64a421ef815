//! Reading a Hugging Face folder of a language model: Qwen3.5, dense and with experts, and Qwen3-Next, as
//! transformers' classes for text and for text with pictures save them. Names, order of heads and values become those
//! of llama.cpp's converter; the part for pictures is left out. The result is a [`LanguageModel`].

mod config;
mod origin;
mod rows;
mod template;
mod tensors;
mod tokens;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use mynah_tensor::Shape;

pub use tokens::TokensError;

use super::{HfError, json, weights};
use crate::qwen35::LanguageModel;
use crate::settings::{ConfigError, Settings};

/// How the tensors of a folder contradict its configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorsError {
    /// A tensor that the configuration implies is not there.
    #[error("tensor {name:?} is missing, of which {file_name:?} would be made")]
    Missing {
        /// transformers' name.
        name: String,
        /// Name in the file to write.
        file_name: String,
    },
    /// A tensor of another shape than the configuration implies.
    #[error("tensor {name:?} should have the shape {wanted}, but has {found}")]
    WrongShape {
        /// transformers' name.
        name: String,
        /// By the configuration.
        wanted: Shape,
        /// In the folder.
        found: Shape,
    },
    /// Two tensors that come out under one name.
    #[error("the folder has two tensors {name:?}")]
    Duplicate {
        /// transformers' name.
        name: String,
    },
    /// A tensor that has no place in such a model.
    #[error("tensor {name:?} is none that such a model has")]
    Unknown {
        /// transformers' name.
        name: String,
    },
}

/// Whether a folder has a language model rather than one for speech.
///
/// # Errors
/// [`HfError`] for a configuration that can't be read.
pub fn is_language(folder: &Path) -> Result<bool, HfError> {
    Ok(config::architecture(&settings(folder)?)?.is_some())
}

/// Reads a folder; its name becomes the model's.
///
/// # Errors
/// [`HfError`].
pub fn read(folder: &Path) -> Result<LanguageModel, HfError> {
    let settings = settings(folder)?;
    let (found, ignored) = origin::sort_out(weights::read(folder)?)?;
    let shapes: HashMap<&str, Shape> = found.iter().map(|(name, t)| (name.as_str(), t.shape)).collect();
    let name = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = name.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let config = config::read(&settings, &shapes, name)?;
    // Tensors first: from then on the configuration's sizes are those of what is there.
    let tensors = tensors::convert(&config, found)?;
    let mut warnings = Vec::new();
    let vocabulary = tokens::read(folder, config.vocabulary, &mut warnings)?;
    Ok(LanguageModel { config, vocabulary, tensors, ignored, warnings })
}

fn settings(folder: &Path) -> Result<Settings, HfError> {
    json(folder, "config.json")?.ok_or_else(|| ConfigError::Missing { key: "config.json".into() }.into())
}
