//! T3: a language model that goes on from a voice and a text with speech tokens (`chatterbox.models.t3` of resemble-ai/chatterbox).
//!
//! ```text
//! speaker ─► linear ──────────────────────────┐ 1 row
//! prompt tokens ─► embedding ─► (perceiver) ──┤ 32 rows, or as many as tokens
//! exaggeration ─► (linear) ───────────────────┤ 1 row
//! text ids ─► embedding ──────────────────────┤
//! start of speech ────────────────────────────┴─► backbone over cached keys and values ─► head ─► sampler ─► speech token ─┐
//!                                                     ▲────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! One piece of code for two backbones: a Llama (Multilingual and the original English model), which has the parts in brackets, its own
//! position tables and guidance, and a GPT-2 (Turbo, Nano), which has neither. What comes out goes to `s3gen`.

mod align;
mod conditioning;
mod config;
mod error;
mod estimate;
mod follow;
mod generate;
mod keys;
mod layer;
mod model;
mod pages;
mod perceiver;
mod sample;
mod sequence;
mod step;

pub use align::{ALIGNED_HEADS, Alignment, Verdict};
pub use conditioning::{Conditioning, T3Voice};
pub use config::{Backbone, LlamaConfig, T3Config};
pub use error::T3Error;
pub use estimate::Lengths;
pub use follow::{Followed, Path};
pub use generate::{Finish, Request, Retry, Speech, T3Options};
pub use model::{LoadOptions, T3};
pub use sample::{Order, Sampling};
pub use sequence::Sequence;
