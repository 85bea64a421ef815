//! Conditional flow matching: from noise to a mel spectrogram.
//!
//! ```text
//!            ┌──────────────── per step: time's shifts [blocks, C], dt ────────────────┐
//! states: x ─┴─► estimator (U-Net of residual blocks and transformers) ─► velocity ─► x ◄┘
//! conditions (mu, speaker, prompt) ─┘   guided: rows with and without conditions in one batch
//! ```
//!
//! Matcha-TTS's estimator (Mehta et al. 2024) as CosyVoice 2 and Chatterbox have it, solved by Euler's rule: on a cosine schedule with
//! classifier-free guidance (Ho and Salimans 2022), or in few even steps where it was distilled to mean flow (Geng et al. 2025).
//! What is solved for and its conditions stay on the device from the first step to the last; time embeddings depend on the number of
//! steps alone and are computed once.

mod config;
mod estimator;
mod schedule;
mod solver;
mod time;

pub use config::CfmConfig;
pub use estimator::{StepDims, mel_graph, step_graph};
pub use schedule::{MAX_STEPS, schedule};
pub use solver::condition_states;
pub(crate) use solver::{Solver, Span};
pub use time::{TimeVectors, time_graph};
