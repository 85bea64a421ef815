//! Qwen3.5 and Qwen3-Next: language models in which most layers are gated delta nets and every few one is gated attention.
//!
//! ```text
//! tokens ─► embedding ─► [ norm ─► gated delta net or gated attention ─► + ─► norm ─► SwiGLU or experts ─► + ]ⁿ ─► norm ─► head ─► logits
//!                              conv, delta states    keys, values in pages
//! ```
//!
//! Papers: Gated Delta Networks (Yang et al. 2024), Gated Attention (Qiu et al. 2025). Names follow llama.cpp's GGUF files, which
//! load as they are. A step takes any number of tokens of any number of sequences: a prompt in pieces and single tokens are the same
//! graph at other sizes. See `docs/models/qwen35.md`.

mod config;
mod delta;
mod draft;
mod feed;
mod keys;
mod language;
mod mixer;
mod model;
mod states;
mod step;

pub use config::{AttentionConfig, DeltaConfig, ExpertsConfig, FeedForward, Mixer, Qwen35Config};
pub use draft::{DraftDims, draft_graph};
pub use model::{Continuation, LoadOptions, Piece, Qwen35, Wanted, WithHidden};
pub use states::{StateKind, StateLayout, reset_graph, state_decls};
pub use step::{StepDims, hidden_step_graph, step_graph};
