//! Element types, shapes and block formats: what a tensor's bytes mean.
//!
//! Everything above this crate that touches weights or host buffers agrees on these four things: a [`DType`] says how
//! many bytes a row of elements takes, a [`Shape`] how many rows there are, [`formats`] what the bytes of a block
//! stand for, and a [`HostTensor`] carries all three. Files come in through `mynah-gguf`; devices repack from here.

#[cfg(target_endian = "big")]
compile_error!("mynah reads weights in place from little-endian files; big-endian hosts are not supported");

mod dtype;
mod error;
pub mod formats;
mod host;
mod levels;
mod rng;
mod shape;

pub use dtype::{DType, ParseDTypeError};
pub use error::TensorError;
pub use formats::{decode_row, dot_row, encode_row};
pub use host::HostTensor;
pub use levels::{LevelFormat, RowLevels};
pub use rng::Rng;
pub use shape::{MAX_RANK, Shape};
