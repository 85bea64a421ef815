//! Fitting a checkpoint's tensors to its configuration: nothing missing, nothing of the wrong shape, nothing dropped
//! without a word.

use std::collections::HashMap;
use std::fmt;

use mynah_audio::features::{hann_symmetric, slaney_filterbank};
use mynah_tensor::{DType, Shape};

use super::Checkpoint;
use super::config::Config;
use super::layout::{self, Expected, Role};
use crate::source::{Tensor, Values};

/// How a checkpoint contradicts its configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A tensor that the configuration implies is not there.
    #[error("tensor {name:?} {shape} is missing from the checkpoint")]
    Missing {
        /// NeMo's name.
        name: String,
        /// Its shape.
        shape: Shape,
    },
    /// A tensor of another shape than the configuration implies.
    #[error("tensor {name:?} should have the shape {wanted}, but has {found}")]
    WrongShape {
        /// NeMo's name.
        name: String,
        /// By the configuration.
        wanted: Shape,
        /// In the checkpoint.
        found: Shape,
    },
    /// Two tensors that come out under one name.
    #[error("the checkpoint has two tensors {name:?}")]
    Duplicate {
        /// NeMo's name.
        name: String,
    },
    /// Neither a CTC head nor a transducer.
    #[error("the checkpoint has neither a CTC head nor a transducer joint, so it cannot transcribe")]
    NoHead,
}

/// A tensor that is left out of the GGUF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Its name in the checkpoint.
    pub name: String,
    /// Why nothing reads it.
    pub why: &'static str,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.why)
    }
}

/// Parts the tensors of a NeMo state dict into those to keep and those that inference never reads.
pub(crate) fn sort_out(tensors: Vec<Tensor>) -> (Vec<Tensor>, Vec<Ignored>) {
    let mut kept = Vec::with_capacity(tensors.len());
    let mut ignored = Vec::new();
    for tensor in tensors {
        match idle(&tensor) {
            Some(why) => ignored.push(Ignored { name: tensor.name, why }),
            None => kept.push(tensor),
        }
    }
    (kept, ignored)
}

fn idle(tensor: &Tensor) -> Option<&'static str> {
    let name = tensor.name.as_str();
    let featurizer = name.strip_prefix("preprocessor.featurizer.");
    if name.ends_with("num_batches_tracked") {
        Some("counts training steps")
    } else if name.ends_with("pos_enc.pe") || name.ends_with("encode_positions.inv_freq") {
        Some("position table, computed at run time")
    } else if name.starts_with("loss.") || name.starts_with("spec_augmentation.") || name.starts_with("wer.")
    {
        Some("used in training only")
    } else if name.starts_with("preprocessor.") && !matches!(featurizer, Some("fb" | "window")) {
        Some("front end other than window and filters")
    } else if tensor.shape.rank() == 0 {
        Some("bookkeeping scalar")
    } else {
        None
    }
}

/// Checks tensors against a configuration, computes window and filters where they are absent, and puts everything
/// together.
///
/// # Errors
/// [`CheckError`].
pub(crate) fn complete(
    config: Config,
    mut tensors: Vec<Tensor>,
    ignored: Vec<Ignored>,
    mut warnings: Vec<String>,
) -> Result<Checkpoint, CheckError> {
    if !config.ctc && config.transducer.is_none() {
        return Err(CheckError::NoHead);
    }
    let mut places: HashMap<String, usize> = HashMap::with_capacity(tensors.len());
    for (i, tensor) in tensors.iter().enumerate() {
        if places.insert(tensor.name.clone(), i).is_some() {
            return Err(CheckError::Duplicate { name: tensor.name.clone() });
        }
    }
    let mut absent = Vec::new();
    for expected in layout::tensors(&config) {
        match places.remove(&expected.name) {
            Some(place) => {
                let (name, wanted, found) = (expected.name, expected.shape, tensors[place].shape);
                if found != wanted {
                    return Err(CheckError::WrongShape { name, wanted, found });
                }
            }
            None if matches!(expected.role, Role::Window | Role::Filters) => absent.push(expected),
            None => return Err(CheckError::Missing { name: expected.name, shape: expected.shape }),
        }
    }
    // Only now that the checkpoint is known to be good, because their size is a configuration's word.
    let mut computed: Vec<Tensor> = absent.into_iter().map(|expected| front_end(&config, expected)).collect();
    let unknown: Vec<String> = tensors
        .iter()
        .map(|tensor| &tensor.name)
        .filter(|&name| places.contains_key(name))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        warnings.push(format!(
            "{} tensors that Mynah does not know are carried along: {}",
            unknown.len(),
            unknown.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ")
        ));
    }
    // Computed tensors come first, as in NeMo's state dict.
    computed.append(&mut tensors);
    Ok(Checkpoint { config, tensors: computed, ignored, unknown, warnings })
}

/// Window or filters as NeMo computes them.
pub(crate) fn front_end(config: &Config, expected: Expected) -> Tensor {
    let features = &config.features;
    let values = if expected.role == Role::Window {
        hann_symmetric(features.win_length)
    } else {
        let rate = u32::try_from(features.sample_rate).unwrap_or(u32::MAX);
        slaney_filterbank(rate, features.n_fft, features.mels)
    };
    let (name, shape) = (expected.name, expected.shape);
    Tensor { name, shape, stored: DType::F32, source: Box::new(Values(values)) }
}
