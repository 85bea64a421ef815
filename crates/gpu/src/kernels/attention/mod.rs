//! Attention with relative positions.

mod rel_pos;
mod unroll;

pub(super) use rel_pos::compile;
