//! Random models of the released shapes: exact tensor names, shapes and counts, values that keep activations sane and
//! make decoders emit at a realistic rate. For measuring without any download, and for tests of whole models.

mod shapes;
mod subsampling;
mod values;
mod vocabulary;

pub use shapes::{SHAPES, Shape, UnknownShape, shape};

use mynah_tensor::DType;

use crate::parakeet::{self, Checkpoint, Role};
use crate::source::{Source, Tensor, Values};

/// A checkpoint whose values are made when they are read.
pub(crate) fn checkpoint(shape: &Shape, seed: u64) -> Checkpoint {
    let config = shape.config();
    let mut fixed = subsampling::values(&config, seed);
    let tensors = parakeet::tensors(&config).into_iter().map(|expected| {
        if matches!(expected.role, Role::Window | Role::Filters) {
            return parakeet::front_end(&config, expected);
        }
        let source: Box<dyn Source> = match fixed.remove(&expected.name) {
            Some(values) => Box::new(Values(values)),
            None => values::source(&config, &expected, seed),
        };
        Tensor { name: expected.name, shape: expected.shape, stored: DType::F32, source }
    });
    let tensors = tensors.collect();
    Checkpoint { config, tensors, ignored: Vec::new(), unknown: Vec::new(), warnings: Vec::new() }
}
