//! Ops over the last dimension: normalisations, softmax and its logarithm, the largest element.

mod argmax;
mod batch;
mod layer;
mod rows;
mod segments;
mod softmax;

pub(super) use argmax::compile_argmax;
pub(super) use batch::{compile_batch, compile_batch_scale};
pub(super) use layer::{compile_l2, compile_layer, compile_rms};
pub(super) use segments::compile_segments;
pub(super) use softmax::compile_softmax;
