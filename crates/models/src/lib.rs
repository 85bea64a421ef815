//! Model families: configuration from GGUF, a graph that reads like the paper, and the host loop around it.
//!
//! One folder per family. Nothing here names a device: graphs go to a `mynah_plan::Executor`, which runs them.

pub mod chatterbox;
mod error;
pub mod language;
pub mod parakeet;
mod params;
pub mod perth;
pub mod qwen35;
mod weights;

pub use error::ModelError;
pub use weights::GgufWeights;
