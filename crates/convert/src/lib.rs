//! Models from elsewhere to GGUF, GGUF to other types, and random models of exact shapes.
//!
//! ```text
//! .nemo archive ────┐
//! Hugging Face folder├─► Checkpoint, LanguageModel,  ─► rules choose types ─► GGUF in the layout of parakeet.cpp,
//! Chatterbox folder ─┤   Chatterbox, Perth                   ▲                 llama.cpp or chatterbox.cpp
//! PerTh folder ──────┤                                       │
//! random shape ─────┘                                       │
//! GGUF ────────────────────────────────────────────────────┘
//! ```
//!
//! [`convert`] finds out what its input is ([`sniff`]); [`quantize`] changes the types of a GGUF; [`random_model`] makes
//! weights for measuring without any download. All three write through the same rules ([`Rules`]) and return a
//! [`Report`]. No code of a checkpoint is ever run, and tensors stay in mapped files until their turn comes.

mod bytes;
pub mod chatterbox;
mod convert;
mod emit;
mod error;
pub mod hf;
pub mod nemo;
pub mod parakeet;
pub mod perth;
pub mod quantize;
pub mod qwen35;
pub mod random;
mod sentencepiece;
mod settings;
mod sniff;
mod source;
mod torch;
mod yaml;

pub use convert::{ConvertReport, Options, convert, random_model};
pub use emit::Progress;
pub use error::ConvertError;
pub use quantize::{Glob, Layout, Reason, Report, Rules, Target, TensorReport, UnknownTarget, quantize};
pub use sentencepiece::SentencePieceError;
pub use settings::ConfigError;
pub use sniff::{InputKind, sniff};
pub use source::{Source, Tensor};
