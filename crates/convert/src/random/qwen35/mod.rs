//! Random language models of the Qwen3.5 family: true shapes, names and vocabulary sizes, values that keep activations
//! and logits as lively as in a trained model. A name with `+mtp` behind it has the predicting layer as well.

mod bpe;
mod sizes;
mod values;

pub(super) use bpe::text_tokens;
pub(super) use sizes::{SIZES, Size};

use mynah_tensor::DType;

use crate::qwen35::{LanguageModel, tensors};
use crate::source::Tensor;

/// A model whose values are made when they are read.
pub(super) fn model(size: &Size, predicting: bool, seed: u64) -> LanguageModel {
    let config = size.config(predicting);
    let vocabulary = bpe::vocabulary(&config);
    let tensors = tensors(&config).into_iter().map(|expected| {
        let source = values::source(&config, &expected, seed);
        Tensor { name: expected.name, shape: expected.shape, stored: DType::F32, source }
    });
    let tensors = tensors.collect();
    LanguageModel { config, vocabulary, tensors, ignored: Vec::new(), warnings: Vec::new() }
}
