//! Functions of single elements, pairs of elements and halves of rows.

mod binary;
mod glu;
mod mask;
mod unary;

pub(super) use binary::compile_binary;
pub(super) use glu::compile_glu;
pub(super) use mask::compile_mask;
pub(super) use unary::{compile_scale, compile_unary};

/// Threads of a workgroup, each with one element.
const THREADS: u32 = 256;
