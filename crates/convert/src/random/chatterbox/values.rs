//! Values of random Chatterboxes. Matrices and convolutions keep variances near one; branches of residual streams are
//! damped, so that depth changes what flows through them but does not blow it up; the vocoder speaks softly and voiced.

use mynah_tensor::Shape;

use super::super::values::{Kind, Random, seed_of};
use crate::source::{Source, Values};

/// Deviation of the logits of T3, whose best of some thousands is then about as likely as a trained model's.
const LOGITS: f32 = 3.0;
/// Gain of the projections back into a residual stream.
const BRANCH: f32 = 0.5;
/// Mean of the predicted pitch, Hz, and its deviation. The waveform hangs on the sum of all pitches so far: what moves the mel
/// spectrogram by a part moves the phase after seconds by many times that. A trained predictor sees through such movements (with
/// chatterbox.cpp's 8 steps in place of 10 the spectrogram is 7 % off and the cosine of the samples still 0.97), a random one answers
/// to all of them; so it may not say much.
const PITCH: (f32, f32) = (150.0, 0.5);
/// Mean of the logarithm of the vocoder's magnitudes: quiet enough never to be clamped.
const LOUDNESS: f32 = -0.5;

/// Ends of the names of projections back into a residual stream.
const BACK: [&str; 14] = [
    "o_proj.weight",
    "down_proj.weight",
    "c_proj.weight",
    "linear_out.weight",
    "w_2.weight",
    "to_out.0.weight",
    "ff.net.2.weight",
    "attn.out.weight",
    "mlp.2.weight",
    "convs2.0.weight",
    "convs2.1.weight",
    "convs2.2.weight",
    "fsmn_block.weight",
    "proj_out.weight",
];

/// `T3Config`: the token that ends speech.
const STOP_SPEECH: usize = 6562;

/// The source of a tensor; `ending` is added to the bias of the token that ends speech.
pub(super) fn source(name: &str, shape: Shape, seed: u64, ending: f32) -> Box<dyn Source> {
    let seed = seed_of(seed, name);
    let normal = |mean, deviation| Kind::Normal { mean, deviation };
    let outer = shape.dims().first().copied().unwrap_or(1).max(1);
    let fan_in = match *shape.dims() {
        // GPT-2's matrices have their inputs first; a transposed convolution adds up a few taps of every input.
        [inputs, _] if name.contains("tfmr.h.") => inputs,
        [inputs, _, taps] if name.starts_with("mel2wav.ups.") => inputs * taps.div_ceil(4),
        _ => shape.numel() / outer,
    };
    let unit = 1.0 / (fan_in.max(1) as f32).sqrt();
    let kind = match name {
        "speech_head.weight" | "text_head.weight" => normal(0.0, LOGITS * unit),
        "speech_head.bias" if ending != 0.0 => {
            let bias = |at| if at == STOP_SPEECH { ending } else { 0.0 };
            return Box::new(Values((0..shape.numel()).map(bias).collect()));
        }
        "mel2wav.f0_predictor.classifier.weight" => normal(0.0, PITCH.1 * unit),
        "mel2wav.f0_predictor.classifier.bias" => return Box::new(Values(vec![PITCH.0])),
        "mel2wav.conv_post.weight" => normal(0.0, 0.3 * unit),
        "mel2wav.conv_post.bias" => {
            let half = shape.numel() / 2;
            let bias = (0..shape.numel()).map(|at| if at < half { LOUDNESS } else { 0.0 });
            return Box::new(Values(bias.collect()));
        }
        _ if name.ends_with("alpha") || name.ends_with("running_var") => {
            Kind::Uniform { low: 0.7, high: 1.4 }
        }
        _ if name.contains("emb") && name.ends_with("emb.weight") || name.contains("wpe") => {
            normal(0.0, if name.contains("pos_emb") || name.contains("wpe") { 0.1 } else { 1.0 })
        }
        "flow.input_embedding.weight" => normal(0.0, 1.0),
        _ if name.ends_with("pre_attention_query") => normal(0.0, 1.0),
        _ if name.contains("pos_bias_") => normal(0.0, 0.1),
        _ if shape.rank() < 2 && name.ends_with("weight") => normal(1.0, 0.05),
        _ if shape.rank() < 2 => normal(0.0, 0.02),
        _ if BACK.iter().any(|end| name.ends_with(end)) => normal(0.0, BRANCH * unit),
        _ => normal(0.0, unit),
    };
    // Vectors are one row: nobody needs a part of them.
    let rows = if shape.rank() < 2 { 1 } else { outer };
    Box::new(Random::new(seed, rows, shape.numel() / rows, kind))
}
