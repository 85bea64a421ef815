//! Convolutions over channels-last input, computed directly: no patch matrix is ever built.

mod depthwise;
mod general;
mod geometry;
mod kernel;

pub(crate) use kernel::{compile_2d, compile_depthwise};
