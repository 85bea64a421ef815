//! Random Chatterboxes of the released shapes and of tiny ones: state dicts with the reference's names and shapes, which go through the
//! same code as a checkpoint's, with made-up vocabularies of the true sizes and a made-up voice.

mod names;
mod sizes;
mod values;
mod vocabulary;

use mynah_tensor::{DType, Rng, Shape};

use super::values::seed_of;
use crate::chatterbox::{Chatterbox, ChatterboxError, State, Variant, assemble};
use crate::source::{Source, Tensor, Values};
use names::{EMBEDDING, SPEAKER};

pub(super) use sizes::{SIZES, Size};

/// A model whose values are made when they are read.
pub(super) fn model(
    size: &Size,
    seed: u64,
    name: Option<&str>,
    quantization: &str,
) -> Result<Chatterbox, ChatterboxError> {
    let state = |file: &str, list: Vec<(String, Vec<usize>)>| {
        let tensor = |(name, dims): (String, Vec<usize>)| {
            let shape = Shape::new(&dims).unwrap_or_default();
            let source = values::source(&name, shape, seed_of(seed, file), size.ending);
            Tensor { name, shape, stored: DType::F32, source }
        };
        State::new(file, list.into_iter().map(tensor).collect())
    };
    let meanflow = size.variant == Variant::Turbo;
    let t3 = match size.variant {
        Variant::Turbo => names::gpt2(size),
        Variant::Multilingual | Variant::English => names::llama(size),
    };
    assemble(
        size.variant,
        state("t3", t3)?,
        state("s3gen", names::s3gen(&size.s3gen, meanflow))?,
        Some(state("ve", names::voice_encoder(&size.encoder))?),
        Some(State::new("conds", voice(size.prompt, seed_of(seed, "conds")))?),
        vocabulary::tokenizer(size.variant, size.text),
        name.or(Some(size.name)),
        quantization,
    )
}

/// A voice: a direction for T3 and one for S3Gen, and tokens for each, with mel frames to the latter.
fn voice([prompt, tokens_of_flow]: [usize; 2], seed: u64) -> Vec<Tensor> {
    let mut rng = Rng::new(seed);
    let mut tokens = |count: usize| (0..count).map(|_| rng.below(6561) as f32).collect::<Vec<f32>>();
    let (conditioning, flow) = (tokens(prompt), tokens(tokens_of_flow));
    // The encoder ends in a ReLU and a norm of one.
    let mut speaker: Vec<f32> = (0..SPEAKER).map(|_| rng.normal().max(0.0)).collect();
    let norm = speaker.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
    speaker.iter_mut().for_each(|x| *x /= norm);
    let features = (0..2 * tokens_of_flow * 80).map(|_| -4.0 + 1.5 * rng.normal()).collect();
    let embedding = (0..EMBEDDING).map(|_| rng.normal()).collect();
    let tensor = |name: &str, dims: &[usize], values: Vec<f32>| {
        let source: Box<dyn Source> = Box::new(Values(values));
        let shape = Shape::new(dims).unwrap_or_default();
        Tensor { name: name.to_owned(), shape, stored: DType::F32, source }
    };
    vec![
        tensor("t3.speaker_emb", &[1, SPEAKER], speaker),
        tensor("t3.cond_prompt_speech_tokens", &[1, prompt], conditioning),
        tensor("gen.prompt_token", &[1, tokens_of_flow], flow),
        tensor("gen.prompt_feat", &[1, 2 * tokens_of_flow, 80], features),
        tensor("gen.embedding", &[1, EMBEDDING], embedding),
    ]
}
