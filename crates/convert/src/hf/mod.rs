//! Reading Hugging Face folders. Language models are read by [`language`]; [`read`] takes transformers' Parakeet classes
//! (`ParakeetForCTC`, `ParakeetForRNNT`, `ParakeetForTDT`): `config.json`, one or several safetensors files, a
//! tokenizer. Names go back to those of NeMo's state dict; window and mel filters, which transformers computes at run
//! time, are computed here. The result is a [`Checkpoint`].

mod config;
pub mod language;
mod names;
mod tokenizer;
pub(crate) mod weights;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mynah_tensor::Shape;

pub use language::{TensorsError, TokensError};
pub use tokenizer::TokenizerError;
pub use weights::WeightsError;

use crate::parakeet::{self, CheckError, Checkpoint, complete, sort_out};
use crate::settings::{ConfigError, Node, Settings};

/// Longest JSON file that is read; tokenizers with merges reach some 10 MB.
const MAX_JSON: u64 = 256 << 20;

/// What is wrong with a folder.
#[derive(Debug, thiserror::Error)]
pub enum HfError {
    /// Reading a file failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A configuration is broken or describes another kind of model.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The weights are broken.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The vocabulary is broken.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Configuration and weights do not fit.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The same of a language model.
    #[error(transparent)]
    Tensors(#[from] TensorsError),
    /// The tokenizer of a language model is broken or of another kind.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

/// Reads a folder; its name becomes the model's.
///
/// # Errors
/// [`HfError`].
pub fn read(folder: &Path) -> Result<Checkpoint, HfError> {
    let settings =
        json(folder, "config.json")?.ok_or_else(|| ConfigError::Missing { key: "config.json".into() })?;
    // Front-end settings moved from a file of their own into the processor's.
    let features = match json(folder, "processor_config.json")? {
        Some(settings) if settings.has("feature_extractor") => Some(settings),
        _ => json(folder, "preprocessor_config.json")?,
    };
    let mut warnings = Vec::new();
    let mut tensors = weights::read(folder)?;
    for tensor in &mut tensors {
        tensor.name = names::nemo_name(&tensor.name);
    }
    let (mut tensors, ignored) = sort_out(tensors);
    let shapes: HashMap<&str, Shape> = tensors.iter().map(|t| (t.name.as_str(), t.shape)).collect();
    let name = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = name.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut config = config::read(&settings, features.as_ref(), &shapes, name, &mut warnings)?;
    config.pieces = tokenizer::read(folder, config::pieces(&settings)?)?;
    // Safetensors files are sorted by name; NeMo's order makes both routes give the same file.
    let order: HashMap<String, usize> =
        parakeet::tensors(&config).into_iter().enumerate().map(|(i, expected)| (expected.name, i)).collect();
    tensors.sort_by_key(|tensor| order.get(&tensor.name).copied().unwrap_or(usize::MAX));
    Ok(complete(config, tensors, ignored, warnings)?)
}

/// A JSON file of the folder as settings, `None` if it is not there.
fn json(folder: &Path, file: &str) -> Result<Option<Settings>, HfError> {
    let Some(value) = json_value(folder, file)? else { return Ok(None) };
    Ok(Some(Settings::new(Node::from(value))))
}

fn json_value(folder: &Path, file: &str) -> Result<Option<serde_json::Value>, HfError> {
    let path = folder.join(file);
    let refused = |source| HfError::Io { path: path.clone(), source };
    let bytes = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error)),
        Ok(found) if found.len() > MAX_JSON => {
            return Err(ConfigError::TooLarge { what: "bytes of JSON", limit: MAX_JSON as usize }.into());
        }
        Ok(_) => fs::read(&path).map_err(refused)?,
    };
    let parsed = serde_json::from_slice(&bytes);
    parsed
        .map(Some)
        .map_err(|error| ConfigError::Json { file: file.to_owned(), what: error.to_string() }.into())
}
