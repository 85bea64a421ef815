//! Metal without a Mac: every kernel's Metal translation, compiled as C++ and run on a CPU.
//!
//! wgpu turns WGSL into the Metal Shading Language with naga when a Mac runs it. Here the same translation, made with the
//! options of wgpu's Metal backend, is compiled by clang against a small header that stands for Metal's library, and run with
//! one fiber per thread of a threadgroup. It is a [`mynah_gpu::Backend`], so the device above it is the one that ships.
//!
//! ```text
//! WGSL ─ translate ─► MSL ─ cpp ─► C++ ─ compiler ─► shared object ─ library ─► fibers over host memory
//! ```
//!
//! The header's fibers are those of POSIX, so there is nothing here elsewhere.

#![cfg(unix)]

mod backend;
mod compiler;
mod cpp;
mod library;
mod memory;
mod translate;

pub use backend::{MslBackend, MslBound, MslPipeline};
pub use compiler::{Arithmetic, Compiler, CompilerError, find_clang};
pub use library::Order;
pub use memory::MslBuffer;
pub use translate::{Translation, translate};
