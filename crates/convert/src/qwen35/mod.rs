//! Language models of the Qwen3.5 family between formats: configuration, vocabulary, tensors that are still in their
//! file. Readers ([`crate::hf`], [`crate::random`]) produce a [`LanguageModel`], [`crate::convert`] turns it into GGUF
//! with the keys and names of llama.cpp's converter.

mod config;
mod keys;
mod layout;
mod vocabulary;

pub use config::{Architecture, Config, Experts};
pub use keys::keys;
pub use layout::{Expected, Role, tensors};
pub use vocabulary::{TokenType, Vocabulary};

use crate::parakeet::Ignored;
use crate::source::Tensor;

/// A language model that is known to be complete and of the shapes its configuration implies.
#[derive(Debug)]
pub struct LanguageModel {
    /// What it says about itself.
    pub config: Config,
    /// Its tokenizer and chat template.
    pub vocabulary: Vocabulary,
    /// Its tensors, in the order of [`tensors`].
    pub tensors: Vec<Tensor>,
    /// Tensors that no model code reads, and why.
    pub ignored: Vec<Ignored>,
    /// What a user should hear about.
    pub warnings: Vec<String>,
}
