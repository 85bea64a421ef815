//! Attention over whole sequences, with relative positions and without.

mod full;
mod rel_pos;
pub(super) mod unroll;

pub(super) use full::compile as compile_full;
pub(super) use rel_pos::compile;
