//! PerTh, the watermark of Chatterbox: the folder of a run of resemble-perth, `hparams.yaml` beside `perth_net_STEP.pth.tar`, to one
//! GGUF. [`crate::random`] brings tensors of its own through the same code. docs/convert.md tells how.

mod error;
mod folder;
mod layout;

pub use error::PerthError;
pub(crate) use folder::{is_perth, read};
pub(crate) use layout::{Hparams, assemble, shapes};

use crate::parakeet::Ignored;
use crate::source::Tensor;
use mynah_gguf::Value;

/// `general.architecture` of the file.
pub(crate) const ARCHITECTURE: &str = "perth";

/// A network to be written.
#[derive(Debug)]
pub(crate) struct Perth {
    /// Keys and values in file order.
    pub(crate) keys: Vec<(String, Value)>,
    /// Tensors in file order, named as in the checkpoint.
    pub(crate) tensors: Vec<Tensor>,
    /// What it is, in words.
    pub(crate) model: String,
    pub(crate) ignored: Vec<Ignored>,
}
