//! S3Gen: speech tokens and a voice in, samples at 24 kHz out.
//!
//! ```text
//! voice ⧺ tokens ─► flow encoder ─► flow matching (Euler) ─► mel ─► speed ─► HiFT ─► fade-in ─► samples
//!                   chatterbox::flow  chatterbox::cfm                       chatterbox::hift
//! ```
//!
//! Weights come from GGUF files in chatterbox.cpp's layout. Noise is given, never drawn: see [`super::noise`].

pub(crate) mod config;
pub(crate) mod error;
mod estimate;
mod model;
mod speed;
mod stream;
pub(crate) mod tensors;
mod trace;
mod voice;

pub use config::{ARCHITECTURE, ConfigWarning, S3GenConfig, SAMPLE_RATE, TOKEN_RATE, Variant};
pub use error::S3GenError;
pub use estimate::{MemoryEstimate, estimate};
pub use model::{LoadOptions, MAX_TOKENS, Request, S3Gen, Speech, StageTimes};
pub use speed::Speed;
pub use stream::{ChunkRule, S3Stream};
pub use trace::Trace;
pub use voice::S3Voice;
