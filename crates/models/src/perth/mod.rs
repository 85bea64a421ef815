//! PerTh ("perceptual threshold"), the watermark that Resemble AI puts on what Chatterbox says: a small network adds to the magnitudes
//! of a recording's spectrum below 2 kHz, a second one tells whether that was done.
//!
//! ```text
//! samples ─► 32 kHz ─► STFT ─► magnitudes in dB ─► subband ─► encoder ─► residual ─► ISTFT ─► own rate ─► samples
//!                                     └─► frame mask              └ × mask
//! samples ─► 32 kHz ─► STFT ─► magnitudes in dB ─► subband ─┬ × 1.25 ─► slow ───┐
//!                                     └─► frame mask        ├ × 1 ────► normal ─┼► masked means, softmax ─► score
//!                                                           └ × 0.75 ─► fast ───┘
//! ```
//!
//! Names and numbers are those of resemble-perth 1.0.1 (`PerthImplicitWatermarker`).

mod config;
mod error;
mod estimate;
mod graph;
mod levels;
mod model;
mod stretch;

pub use config::{ARCHITECTURE, PerthConfig};
pub use error::PerthError;
pub use estimate::{MemoryEstimate, estimate};
pub use graph::{Stack, stack_graph};
pub use levels::Levels;
pub use model::{Branch, Detection, Perth};
