//! Attention with relative positions.

mod rel_pos;
pub(super) mod unroll;

pub(super) use rel_pos::compile;
