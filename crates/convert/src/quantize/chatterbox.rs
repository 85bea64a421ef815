//! Which tensor of a Chatterbox gets which type. Patterns name whole tensors, so that each means what it says: in
//! chatterbox.cpp's list of substrings, `/b` for biases holds back every `block` of the encoder (82 MB) and `/g` for
//! gains every `gate` (252 MB), while the projection of the speaker and the learned queries, which its reader takes for
//! plain floats, are let through.

use mynah_tensor::Shape;

use super::glob::Glob;
use super::rules::Class;

/// Stay as they are: tables that rows or positions are taken from, voices and their encoders, filter banks, what a host
/// multiplies with or adds, and matrices so small that nothing is won.
const KEPT: [&str; 16] = [
    "*/builtin/*",
    "*/mel_fb*",
    "voice_encoder/*",
    "campplus/*",
    "model/wpe",
    "chatterbox/*_pos_emb",
    "chatterbox/cond_spkr/*",
    "chatterbox/emotion_adv_fc/*",
    "chatterbox/perceiver/pre_attention_query",
    "flow/input_embedding",
    "flow/spk_embed_affine/*",
    "*/pos_bias_?",
    "*/alpha",
    "hift/m_source/*",
    "hift/f0_predictor/classifier/*",
    "s3tokv2/quantizer/*",
];

/// Go no lower than F16: embeddings; convolutions, whose rows are kernels and no whole number of blocks; and the speech
/// tokenizer, whose tokens flip when it is quantised in blocks.
const FINE: [&str; 9] = [
    "chatterbox/text_emb",
    "chatterbox/speech_emb",
    "hift/*/weight",
    "flow/encoder/pre_lookahead/conv?/w",
    "flow/encoder/up_layer/conv/w",
    "cfm/*/block/0/weight",
    "cfm/*/res_conv/weight",
    "cfm/final_proj/weight",
    "s3tokv2/*/weight",
];

/// Matrices that are worth fewer bits have at least this many elements, as in chatterbox.cpp.
const SMALLEST: usize = 1024;

/// What a tensor of either file is.
pub(super) fn class(name: &str, shape: Shape) -> Class {
    let one_of = |patterns: &[&str]| patterns.iter().any(|&pattern| Glob::from(pattern).matches(name));
    if shape.rank() < 2 || shape.numel() < SMALLEST || one_of(&KEPT) {
        Class::Other
    } else if one_of(&FINE) || shape.rank() > 2 {
        Class::Floor(mynah_tensor::DType::F16)
    } else {
        Class::Matrix
    }
}
