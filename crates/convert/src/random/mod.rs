//! Random models of the released shapes: exact tensor names, shapes and counts, values that keep activations sane and
//! make decoders emit at a realistic rate. For measuring without any download, and for tests of whole models.

mod chatterbox;
mod perth;
mod qwen35;
mod shapes;
mod subsampling;
mod values;
mod vocabulary;

pub use shapes::{SHAPES, Shape, UnknownShape, shape};

/// Behind the name of a language model: with the layer that predicts a token further ahead.
const WITH_PREDICTING: &str = "+mtp";

use mynah_tensor::DType;

use crate::chatterbox::{Chatterbox, ChatterboxError};
use crate::parakeet::{self, Checkpoint, Role};
use crate::perth::{Perth, PerthError};
use crate::qwen35::LanguageModel;
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

/// Names of all models there are, those of [`SHAPES`] first.
pub fn names() -> impl Iterator<Item = &'static str> {
    let spoken = chatterbox::SIZES.iter().map(|size| size.name);
    SHAPES
        .iter()
        .map(|shape| shape.name)
        .chain(qwen35::SIZES.iter().map(|size| size.name))
        .chain(spoken)
        .chain(perth::SIZES.iter().map(|&(name, _)| name))
}

/// A Chatterbox by its name, `None` if none has it. `title` and `quantization` go into the files.
pub(crate) fn speaker(
    name: &str,
    seed: u64,
    title: Option<&str>,
    quantization: &str,
) -> Option<Result<Chatterbox, ChatterboxError>> {
    let size = chatterbox::SIZES.iter().find(|size| size.name == name)?;
    Some(chatterbox::model(size, seed, title, quantization))
}

/// A watermark by its name, `None` if none has it. `title` goes into the file.
pub(crate) fn watermark(name: &str, seed: u64, title: Option<&str>) -> Option<Result<Perth, PerthError>> {
    let (name, hparams) = perth::SIZES.iter().find(|(known, _)| *known == name)?;
    Some(perth::model(hparams, seed, title.unwrap_or(name)))
}

/// A language model by its name, `None` if no language model has it.
pub(crate) fn language_model(name: &str, seed: u64) -> Option<LanguageModel> {
    let (plain, predicting) = name.strip_suffix(WITH_PREDICTING).map_or((name, false), |plain| (plain, true));
    let size = qwen35::SIZES.iter().find(|size| size.name == plain)?;
    Some(qwen35::model(size, predicting, seed))
}
