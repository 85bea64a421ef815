//! Convolutions over channels-last input, computed directly: no patch matrix is ever built.

mod causal;
mod general;
mod geometry;
mod kernel;
mod line;
mod single;

pub(crate) use causal::compile as compile_causal;
pub(crate) use kernel::{compile_2d, compile_depthwise};
pub(crate) use line::{compile as compile_line, compile_transpose};
