//! Convolutions over channels-last input, computed directly: no patch matrix is ever built.

mod causal;
mod general;
mod geometry;
mod kernel;
mod single;
mod transpose;

pub(crate) use causal::compile as compile_causal;
pub(crate) use kernel::{compile_1d, compile_2d, compile_depthwise};
pub(crate) use transpose::compile as compile_transpose;
