//! A Parakeet checkpoint between formats: configuration, tensors that are still in their file, and the checks that
//! make the two fit each other. Readers ([`crate::nemo`], [`crate::hf`], [`crate::random`]) produce one,
//! [`crate::write`] turns it into GGUF.

mod check;
mod config;
mod keys;
mod layout;

pub use check::{CheckError, Ignored};
pub(crate) use check::{complete, front_end, sort_out};
pub use config::{Attention, Config, ConvNorm, Encoder, Features, Prompt, Streaming, Transducer};
pub use keys::keys;
pub use layout::{Expected, Role, tensors};

use crate::source::Tensor;

/// A checkpoint that is known to be complete and of the shapes its configuration implies.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it says about itself.
    pub config: Config,
    /// Its tensors, in the order they will be written.
    pub tensors: Vec<Tensor>,
    /// Tensors that no model code reads, and why.
    pub ignored: Vec<Ignored>,
    /// Tensors that are carried along although nothing here knows them.
    pub unknown: Vec<String>,
    /// What a user should hear about.
    pub warnings: Vec<String>,
}
