//! Random Chatterboxes of the released shapes: state dicts with the reference's names and shapes, which go through the
//! same code as a checkpoint's, with made-up vocabularies of the true sizes and a made-up voice.

mod names;
mod values;
mod vocabulary;

use mynah_tensor::{DType, Rng, Shape};

use super::values::seed_of;
use crate::chatterbox::{Chatterbox, ChatterboxError, State, Variant, assemble};
use crate::source::{Source, Tensor, Values};

/// A released T3; its S3Gen follows from the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// What it is called.
    pub name: &'static str,
    variant: Variant,
    /// Width of the residual stream.
    width: usize,
    layers: usize,
    /// Width within the feed-forward layers.
    hidden: usize,
    text: usize,
    speech: usize,
    /// Speech tokens of the built-in voice.
    prompt: usize,
}

const GPT2: Size = Size {
    name: "",
    variant: Variant::Turbo,
    width: 1024,
    layers: 24,
    hidden: 4096,
    text: 50_276,
    speech: 6563,
    prompt: 375,
};

const LLAMA: Size = Size {
    name: "",
    variant: Variant::Multilingual,
    width: 1024,
    layers: 30,
    hidden: 4096,
    text: 2454,
    speech: 8194,
    prompt: 150,
};

/// All there are.
pub(super) const SIZES: [Size; 4] = [
    Size { name: "chatterbox-turbo", ..GPT2 },
    Size { name: "chatterbox-nano", width: 768, layers: 12, hidden: 3072, ..GPT2 },
    Size { name: "chatterbox-mtl", ..LLAMA },
    Size { name: "chatterbox-en", variant: Variant::English, text: 704, ..LLAMA },
];

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
            let source = values::source(&name, shape, seed_of(seed, file));
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
        state("s3gen", names::s3gen(meanflow))?,
        Some(state("ve", names::voice_encoder())?),
        Some(State::new("conds", voice(size.prompt, seed_of(seed, "conds")))?),
        vocabulary::tokenizer(size.variant, size.text),
        name.or(Some(size.name)),
        quantization,
    )
}

/// A voice: a direction for T3 and one for S3Gen, ten seconds of tokens and of a loud and a soft band.
fn voice(prompt: usize, seed: u64) -> Vec<Tensor> {
    const TOKENS: usize = 250;
    const SPEAKER: usize = 256;
    let mut rng = Rng::new(seed);
    let mut tokens = |count: usize| (0..count).map(|_| rng.below(6561) as f32).collect::<Vec<f32>>();
    let (conditioning, flow) = (tokens(prompt), tokens(TOKENS));
    // The encoder ends in a ReLU and a norm of one.
    let mut speaker: Vec<f32> = (0..SPEAKER).map(|_| rng.normal().max(0.0)).collect();
    let norm = speaker.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
    speaker.iter_mut().for_each(|x| *x /= norm);
    let features = (0..2 * TOKENS * 80).map(|_| -4.0 + 1.5 * rng.normal()).collect();
    let embedding = (0..192).map(|_| rng.normal()).collect();
    let tensor = |name: &str, dims: &[usize], values: Vec<f32>| {
        let source: Box<dyn Source> = Box::new(Values(values));
        let shape = Shape::new(dims).unwrap_or_default();
        Tensor { name: name.to_owned(), shape, stored: DType::F32, source }
    };
    vec![
        tensor("t3.speaker_emb", &[1, SPEAKER], speaker),
        tensor("t3.cond_prompt_speech_tokens", &[1, prompt], conditioning),
        tensor("gen.prompt_token", &[1, TOKENS], flow),
        tensor("gen.prompt_feat", &[1, 2 * TOKENS, 80], features),
        tensor("gen.embedding", &[1, 192], embedding),
    ]
}
