//! What goes on from step to step of a language model: convolutions over the last inputs, attention over a paged cache. Both write
//! their state in the dispatch that reads it.

mod attention;
mod conv;
mod few;
pub(super) mod tiled;

pub(super) use attention::{compile as compile_attention, compile_heads};
pub(super) use conv::compile as compile_conv;
