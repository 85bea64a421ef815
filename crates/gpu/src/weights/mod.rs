//! Weights on the GPU: each brought once into the layout that its use wants.

mod layout;
mod matrix;
mod store;
mod taps;

pub(crate) use layout::{Layout, MatrixType, plan};
pub(crate) use matrix::{Strides, element_planes, has_factors};
pub(crate) use store::Store;
pub(crate) use taps::padded as padded_channels;
