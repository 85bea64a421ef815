//! HiFT: from a mel spectrogram to samples.
//!
//! ```text
//! mel ─┬─► pitch ─► f0 ─► harmonic source (host, f64) ─► spectrum ─┐
//!      └──────────────────────────────────────────────────────────►┴► vocoder ─► samples
//! ```
//!
//! HiFTNet (Li et al. 2023) as CosyVoice 2 and Chatterbox have it. Long speech goes through the vocoder in tiles that overlap by
//! what a sample depends on, so that memory does not grow with it.

mod config;
pub(crate) mod fade;
mod pitch;
mod run;
pub(crate) mod source;
pub(crate) mod spectrum;
mod tiles;
mod vocoder;

pub use config::{HiftConfig, ResBlockConfig, UpsampleConfig};
pub use pitch::pitch_graph;
pub(crate) use run::{Hift, HiftTimes};
pub use tiles::TILE;
pub use vocoder::vocoder_graph;
