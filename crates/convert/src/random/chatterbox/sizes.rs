//! Sizes of random Chatterboxes: the released ones, and two so small that tests make, run and say everything with them.

use crate::chatterbox::Variant;

/// All sizes of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::random) struct Size {
    /// What it is called.
    pub(in crate::random) name: &'static str,
    pub(super) variant: Variant,
    /// Width of T3's residual stream, in heads of 64.
    pub(super) width: usize,
    pub(super) layers: usize,
    /// Width within the feed-forward layers.
    pub(super) hidden: usize,
    pub(super) text: usize,
    pub(super) speech: usize,
    /// Rows of the tables of positions: GPT-2's one, or Llama's of text and of speech.
    pub(super) positions: [usize; 2],
    /// Speech tokens of the built-in voice, for T3 and for S3Gen.
    pub(super) prompt: [usize; 2],
    /// Added to the logit of the token that ends speech, where the head has a bias. Without it no random model ends before it must.
    pub(super) ending: f32,
    pub(super) encoder: VoiceEncoder,
    pub(super) s3gen: S3Gen,
}

/// The LSTM voice encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VoiceEncoder {
    pub(super) width: usize,
    pub(super) layers: usize,
}

/// What can be larger or smaller in S3Gen. Its mel bands, rates and codebook can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct S3Gen {
    pub(super) flow: Flow,
    pub(super) estimator: Estimator,
    pub(super) vocoder: Vocoder,
    pub(super) speaker: Speaker,
    pub(super) tokenizer: Tokenizer,
}

/// The encoder of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) width: usize,
    pub(super) heads: usize,
    /// Blocks before and after upsampling.
    pub(super) blocks: [usize; 2],
}

/// The estimator of the flow's velocity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Estimator {
    pub(super) width: usize,
    /// Channels of attention, in heads of 64.
    pub(super) attention: usize,
    /// Blocks between the first and the last.
    pub(super) middle: usize,
    /// Transformers after each residual block.
    pub(super) transformers: usize,
}

/// HiFT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vocoder {
    /// Channels before upsampling; each of three stages halves them.
    pub(super) channels: usize,
    /// Channels of the predictor of pitch.
    pub(super) pitch: usize,
}

/// CAMPPlus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Speaker {
    pub(super) head: usize,
    /// Channels before the first dense block.
    pub(super) channels: usize,
    /// Channels that a dense layer adds; four times as many are within it.
    pub(super) growth: usize,
    /// Layers of each dense block.
    pub(super) layers: [usize; 3],
}

/// S3TokenizerV2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tokenizer {
    /// Width of its residual stream, in heads of 64.
    pub(super) width: usize,
    pub(super) layers: usize,
}

const S3GEN: S3Gen = S3Gen {
    flow: Flow { width: 512, heads: 8, blocks: [6, 4] },
    estimator: Estimator { width: 256, attention: 512, middle: 12, transformers: 4 },
    vocoder: Vocoder { channels: 512, pitch: 512 },
    speaker: Speaker { head: 32, channels: 128, growth: 32, layers: [12, 24, 16] },
    tokenizer: Tokenizer { width: 1280, layers: 6 },
};

const GPT2: Size = Size {
    name: "",
    variant: Variant::Turbo,
    width: 1024,
    layers: 24,
    hidden: 4096,
    text: 50_276,
    speech: 6563,
    positions: [8196, 0],
    prompt: [375, 250],
    ending: 0.0,
    encoder: VoiceEncoder { width: 256, layers: 3 },
    s3gen: S3GEN,
};

const LLAMA: Size = Size {
    variant: Variant::Multilingual,
    layers: 30,
    text: 2454,
    speech: 8194,
    positions: [2050, 4100],
    prompt: [150, 250],
    ..GPT2
};

/// Turbo's kind with one or two of everything.
const TINY: Size = Size {
    name: "chatterbox-tiny",
    width: 64,
    layers: 2,
    hidden: 128,
    text: 600,
    positions: [2052, 0],
    prompt: [40, 30],
    ending: 10.0,
    encoder: VoiceEncoder { width: 16, layers: 2 },
    s3gen: S3Gen {
        flow: Flow { width: 32, heads: 2, blocks: [2, 1] },
        estimator: Estimator { width: 32, attention: 64, middle: 1, transformers: 1 },
        vocoder: Vocoder { channels: 32, pitch: 16 },
        speaker: Speaker { head: 4, channels: 16, growth: 4, layers: [2, 2, 2] },
        tokenizer: Tokenizer { width: 64, layers: 2 },
    },
    ..GPT2
};

/// All there are.
pub(in crate::random) const SIZES: [Size; 6] = [
    Size { name: "chatterbox-turbo", ..GPT2 },
    Size { name: "chatterbox-nano", width: 768, layers: 12, hidden: 3072, ..GPT2 },
    Size { name: "chatterbox-mtl", ..LLAMA },
    Size { name: "chatterbox-en", variant: Variant::English, text: 704, ..LLAMA },
    TINY,
    Size {
        name: "chatterbox-mtl-tiny",
        variant: Variant::Multilingual,
        text: 2454,
        positions: [514, 1028],
        ..TINY
    },
];
