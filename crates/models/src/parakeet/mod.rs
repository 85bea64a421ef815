//! NVIDIA Parakeet: FastConformer encoders with CTC, RNN-T, TDT and hybrid heads.
//!
//! ```text
//! samples ─► mel features ─► subsampling (tiles) ─► conformer ─► CTC log-probs ──────────► greedy CTC ─┐
//!            (mynah-audio)   [T/8 frames of d]                 └► joint.enc ─► RNN-T / TDT greedy loop ─┴► tokens
//! ```
//!
//! Papers: Fast Conformer (Rekesh et al. 2023), Token-and-Duration Transducer (Xu et al. 2023). Names follow NeMo's
//! state dict. Weights come from GGUF files in parakeet.cpp's layout.

mod config;
mod decode;
mod encoder;
mod estimate;
mod heads;
mod listen;
mod model;
mod positions;
mod recover;
mod subsample;

pub use config::{ConvNorm, Head, ParakeetConfig, TransducerConfig, Window};
pub use decode::Decoded;
pub use encoder::{EncoderDims, Keep, encoder_graph, listening_graph};
pub use estimate::{MemoryEstimate, estimate};
pub use heads::{RoundDims, joint_graph, predictor_graph, transducer_graph};
pub use model::{Encoded, LoadOptions, Parakeet};
pub use positions::position_table;
pub use subsample::{pre_encode_graph, subsample_graph, tile_frames};
