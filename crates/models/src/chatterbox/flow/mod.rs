//! The flow encoder: speech tokens to the mean of a mel spectrogram.
//!
//! ```text
//! tokens ─► embedding ─► look-ahead ─► conformer ─► ×2 ─► conformer ─► mu [2T, 80] ┐
//! speaker embedding ─► linear ─► spks [80] ────────────────────────────────────────┼─► conditions of the solver
//! prompt's mel ────────────────────────────────────────────────────────────────────┘   (state tensors of the device)
//! ```
//!
//! CosyVoice 2's `UpsampleConformerEncoder` (Du et al. 2024): blocks without convolution modules, relative positions as in
//! Transformer-XL. What positions become depends on the weights alone, so each block's projection of them is computed once and kept
//! in a state tensor.

mod config;
mod encoder;
mod positions;

pub use config::FlowConfig;
pub use encoder::{FlowDims, flow_graph};
pub(crate) use positions::{Positions, rows as position_rows};
pub use positions::{position_states, positions_graph};
