//! Read GGUF v2/v3 by mmap and write v3, with checks against hostile files.
//!
//! [`GgufFile::open`] maps a file and checks everything its table of contents says before anything else sees it: after
//! a file has opened, every tensor of a known type lies inside the file, apart from the others, with a size that fits
//! its shape. Model code asks for keys and tensors by name and turns a missing or ill-typed one into an error that
//! names it. [`GgufWriter`] writes such files, tensor by tensor, without holding them in memory.
//!
//! ```no_run
//! use mynah_gguf::GgufFile;
//!
//! let file = GgufFile::open("model.gguf")?;
//! let layers = file.get_u32("parakeet.encoder.n_layers")?.unwrap_or(17);
//! let weight = file.require("joint.enc.weight", [640, 512])?;
//! println!("{layers} layers; {} bytes of {}", file.data(weight)?.len(), weight.dtype()?);
//! # Ok::<(), mynah_gguf::GgufError>(())
//! ```

mod atomic;
mod bytes;
mod cursor;
mod error;
mod file;
mod index;
pub mod inspect;
mod metadata;
mod parse;
mod tensor;
mod value;
mod writer;

pub use bytes::Bytes;
pub use error::GgufError;
pub use file::GgufFile;
pub use metadata::Metadata;
pub use tensor::TensorInfo;
pub use value::{Array, Value, ValueType};
pub use writer::GgufWriter;

/// Alignment of the data section and of every tensor in it, when `general.alignment` does not say otherwise.
pub const DEFAULT_ALIGNMENT: u64 = 32;
