//! Operations on each element alone: activations, scales, arithmetic with broadcasting, gated units, masking.

mod binary;
mod gated;
mod glu;
mod mask;
mod snake;
mod unary;

pub(crate) use binary::compile as compile_binary;
pub(crate) use gated::compile as compile_gated;
pub(crate) use glu::compile as compile_glu;
pub(crate) use mask::compile as compile_mask;
pub(crate) use snake::compile as compile_snake;
pub(crate) use unary::{compile_clamp, compile_scale, compile_unary};

/// Elements worth a task of their own.
pub(crate) const GRAIN: usize = 16384;

/// Rows of `len` elements that make a task.
pub(crate) fn rows_per_task(len: usize) -> usize {
    (GRAIN / len.max(1)).max(1)
}
