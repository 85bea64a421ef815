//! Operations that only move elements. Floats and integers are moved alike: both take four bytes.

mod concat;
mod copy;
mod gather;
mod permute;
mod repeat;
mod slice;

pub(crate) use concat::compile as compile_concat;
pub(crate) use copy::compile as compile_copy;
pub(crate) use gather::compile as compile_gather;
pub(crate) use permute::compile as compile_permute;
pub(crate) use repeat::compile as compile_repeat;
pub(crate) use slice::compile as compile_slice;

use mynah_tensor::Shape;

/// Elements before, along and after an axis: the tensor as `[outer, extent, inner]`.
fn around(shape: Shape, axis: usize) -> (usize, usize, usize) {
    let dims = shape.dims();
    let outer = dims[..axis].iter().product();
    let inner = dims[axis + 1..].iter().product();
    (outer, dims[axis], inner)
}
