//! Weights on the GPU: each brought once into the layout that its use wants.

mod layout;
mod matrix;
mod store;

pub(crate) use layout::{Layout, MatrixType, plan};
pub(crate) use matrix::{Strides, element_planes, has_factors};
pub(crate) use store::Store;
