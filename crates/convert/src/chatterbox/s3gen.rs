//! S3Gen, speech tokens to waveform: encoder, flow decoder, vocoder, and what makes a voice of a recording, under the
//! names of chatterbox.cpp. Where that copies a whole module under another name, so does this.

use mynah_tensor::Shape;

use super::error::ChatterboxError;
use super::state::{Found, Part, State};
use super::{banks, speaker};

/// Tensors of a conformer layer: name in the checkpoint and in the file.
const LAYER: [(&str, &str); 19] = [
    ("norm_mha.weight", "norm_mha/w"),
    ("norm_mha.bias", "norm_mha/b"),
    ("norm_ff.weight", "norm_ff/w"),
    ("norm_ff.bias", "norm_ff/b"),
    ("self_attn.linear_q.weight", "attn/q/w"),
    ("self_attn.linear_q.bias", "attn/q/b"),
    ("self_attn.linear_k.weight", "attn/k/w"),
    ("self_attn.linear_k.bias", "attn/k/b"),
    ("self_attn.linear_v.weight", "attn/v/w"),
    ("self_attn.linear_v.bias", "attn/v/b"),
    ("self_attn.linear_out.weight", "attn/o/w"),
    ("self_attn.linear_out.bias", "attn/o/b"),
    ("self_attn.linear_pos.weight", "attn/pos/w"),
    ("self_attn.pos_bias_u", "attn/pos_bias_u"),
    ("self_attn.pos_bias_v", "attn/pos_bias_v"),
    ("feed_forward.w_1.weight", "ff/w1/w"),
    ("feed_forward.w_1.bias", "ff/w1/b"),
    ("feed_forward.w_2.weight", "ff/w2/w"),
    ("feed_forward.w_2.bias", "ff/w2/b"),
];

/// Single tensors of the flow: name in the file and in the checkpoint.
const FLOW: [(&str, &str); 25] = [
    ("flow/input_embedding", "flow.input_embedding.weight"),
    ("flow/spk_embed_affine/w", "flow.spk_embed_affine_layer.weight"),
    ("flow/spk_embed_affine/b", "flow.spk_embed_affine_layer.bias"),
    ("flow/encoder_proj/w", "flow.encoder_proj.weight"),
    ("flow/encoder_proj/b", "flow.encoder_proj.bias"),
    ("flow/encoder/embed/linear/w", "flow.encoder.embed.out.0.weight"),
    ("flow/encoder/embed/linear/b", "flow.encoder.embed.out.0.bias"),
    ("flow/encoder/embed/norm/w", "flow.encoder.embed.out.1.weight"),
    ("flow/encoder/embed/norm/b", "flow.encoder.embed.out.1.bias"),
    ("flow/encoder/pre_lookahead/conv1/w", "flow.encoder.pre_lookahead_layer.conv1.weight"),
    ("flow/encoder/pre_lookahead/conv1/b", "flow.encoder.pre_lookahead_layer.conv1.bias"),
    ("flow/encoder/pre_lookahead/conv2/w", "flow.encoder.pre_lookahead_layer.conv2.weight"),
    ("flow/encoder/pre_lookahead/conv2/b", "flow.encoder.pre_lookahead_layer.conv2.bias"),
    ("flow/encoder/up_layer/conv/w", "flow.encoder.up_layer.conv.weight"),
    ("flow/encoder/up_layer/conv/b", "flow.encoder.up_layer.conv.bias"),
    ("flow/encoder/up_embed/linear/w", "flow.encoder.up_embed.out.0.weight"),
    ("flow/encoder/up_embed/linear/b", "flow.encoder.up_embed.out.0.bias"),
    ("flow/encoder/up_embed/norm/w", "flow.encoder.up_embed.out.1.weight"),
    ("flow/encoder/up_embed/norm/b", "flow.encoder.up_embed.out.1.bias"),
    ("flow/encoder/after_norm/w", "flow.encoder.after_norm.weight"),
    ("flow/encoder/after_norm/b", "flow.encoder.after_norm.bias"),
    // One of each module that is copied whole, so that a checkpoint without the module is an error.
    ("cfm/time_mlp/linear_1/weight", "flow.decoder.estimator.time_mlp.linear_1.weight"),
    ("cfm/final_proj/weight", "flow.decoder.estimator.final_proj.weight"),
    ("hift/conv_pre/weight", "mel2wav.conv_pre.weight"),
    ("hift/conv_post/weight", "mel2wav.conv_post.weight"),
];

/// Modules that are copied whole: prefix in the checkpoint and in the file.
const WHOLE: [(&str, &str); 2] = [("flow.decoder.estimator.", "cfm/"), ("mel2wav.", "hift/")];

/// The tensor that only an estimator of mean flow has.
const MIXER: &str = "flow.decoder.estimator.time_embed_mixer.weight";

/// Fills a file with all of an S3Gen but its voice.
pub(super) fn convert(
    state: &mut State,
    name: Option<&str>,
    quantization: &str,
) -> Result<Part, ChatterboxError> {
    let mut part = Part::default();
    let meanflow = state.has(MIXER);
    let title = if meanflow { "Chatterbox Turbo S3Gen" } else { "Chatterbox Multilingual S3Gen" };
    part.set("general.architecture", "chatterbox-s3gen");
    part.set("general.name", name.unwrap_or(title));
    part.set("general.description", "Speech tokens to waveform: flow matching and the HiFT vocoder.");
    part.set("s3gen.quantization", quantization);
    part.set("s3gen.variant", if meanflow { "turbo" } else { "mtl" });
    part.set("s3gen.meanflow", meanflow);
    part.set("s3gen.n_timesteps", if meanflow { 2u32 } else { 10 });
    part.set("s3gen.cfg_rate", if meanflow { 0f32 } else { 0.7 });
    flow(state, &mut part)?;
    for (from, to) in WHOLE {
        for name in state.under(from) {
            let rest = name.strip_prefix(from).unwrap_or_default().replace('.', "/");
            part.add(format!("{to}{rest}"), state.take(&name)?);
        }
    }
    let bank = banks::slaney(24_000.0, 1920, 80, 8000.0);
    part.add("s3gen/mel_fb/24k_80", Found::values(Shape::from([80, 961]), bank));
    speaker::convert(state, &mut part)?;
    tokenizer(state, &mut part)?;
    Ok(part)
}

fn flow(state: &mut State, part: &mut Part) -> Result<(), ChatterboxError> {
    let [vocabulary, width] = state.dims("flow.input_embedding.weight")?;
    let [output, _] = state.dims::<2>("flow.encoder_proj.weight")?;
    let [_, speaker] = state.dims::<2>("flow.spk_embed_affine_layer.weight")?;
    let [heads, head_dim] = state.dims("flow.encoder.encoders.0.self_attn.pos_bias_u")?;
    let [hidden, _] = state.dims::<2>("flow.encoder.encoders.0.feed_forward.w_1.weight")?;
    let [_, _, ahead] = state.dims::<3>("flow.encoder.pre_lookahead_layer.conv1.weight")?;
    let (blocks, up_blocks) =
        (state.count("flow.encoder.encoders."), state.count("flow.encoder.up_encoders."));
    part.count("s3gen.speech_vocab_size", vocabulary);
    part.count("s3gen.input_size", width);
    part.count("s3gen.output_size", output);
    part.count("s3gen.encoder.n_blocks", blocks);
    part.count("s3gen.encoder.up_n_blocks", up_blocks);
    part.count("s3gen.encoder.attention_heads", heads);
    part.count("s3gen.encoder.head_dim", head_dim);
    part.count("s3gen.encoder.ff_size", hidden);
    part.set("s3gen.encoder.token_mel_ratio", 2u32);
    part.count("s3gen.encoder.pre_lookahead_len", ahead.saturating_sub(1));
    part.set("s3gen.layer_norm_eps", 1e-12f32);
    part.count("s3gen.spk_embed_dim", speaker);
    for (to, from) in FLOW {
        part.add(to, state.take(from)?);
    }
    for (from, to, count) in [("encoders", "block", blocks), ("up_encoders", "up_block", up_blocks)] {
        for index in 0..count {
            for (part_from, part_to) in LAYER {
                let found = state.take(&format!("flow.encoder.{from}.{index}.{part_from}"))?;
                part.add(format!("flow/encoder/{to}{index}/{part_to}"), found);
            }
        }
    }
    Ok(())
}

/// S3TokenizerV2, waveform to speech tokens.
fn tokenizer(state: &mut State, part: &mut Part) -> Result<(), ChatterboxError> {
    const HEAD_DIM: usize = 64;
    let [width, mels, _] = state.dims("tokenizer.encoder.conv1.weight")?;
    let [hidden, _] = state.dims::<2>("tokenizer.encoder.blocks.0.mlp.0.weight")?;
    let [_, _, memory] = state.dims::<3>("tokenizer.encoder.blocks.0.attn.fsmn_block.weight")?;
    let [digits, _] = state.dims::<2>("tokenizer.quantizer._codebook.project_down.weight")?;
    let layers = state.count("tokenizer.encoder.blocks.");
    let codebook = u32::try_from(digits).ok().and_then(|digits| 3usize.checked_pow(digits));
    part.count("s3tokv2.n_mels", mels);
    part.count("s3tokv2.n_audio_state", width);
    part.count("s3tokv2.n_audio_head", width / HEAD_DIM);
    part.count("s3tokv2.n_audio_layer", layers);
    part.count("s3tokv2.head_dim", HEAD_DIM);
    part.count("s3tokv2.mlp_ratio", hidden / width.max(1));
    part.count("s3tokv2.fsmn_kernel", memory);
    part.set("s3tokv2.fsq_levels", 3u32);
    part.count("s3tokv2.fsq_dim", digits);
    part.count("s3tokv2.codebook_size", codebook.unwrap_or(usize::MAX));
    part.set("s3tokv2.conv_stride", 2u32);
    part.set("s3tokv2.n_fft", 400u32);
    part.set("s3tokv2.hop", 160u32);
    part.set("s3tokv2.sample_rate", 16_000u32);
    part.set("s3tokv2.rope_theta", 1e4f32);
    part.set("s3tokv2.rope_max_pos", 2048u32);
    let bank = match state.has("tokenizer._mel_filters") {
        true => state.take("tokenizer._mel_filters")?,
        false => Found::values(Shape::from([mels, 201]), banks::slaney(16_000.0, 400, mels, 8000.0)),
    };
    part.add("s3tokv2/mel_fb", bank);
    for name in state.under("tokenizer.") {
        if !is_left_out(&name) {
            let rest = name.strip_prefix("tokenizer.").unwrap_or_default().replace('.', "/");
            part.add(format!("s3tokv2/{rest}"), state.take(&name)?);
        }
    }
    Ok(())
}

/// A window that every reader computes, and counters of training steps.
pub(super) fn is_left_out(name: &str) -> bool {
    name == "tokenizer.window" || name.ends_with("num_batches_tracked")
}

/// Adds S3Gen's half of the built-in voice.
pub(super) fn built_in(state: &mut State, part: &mut Part) -> Result<(), ChatterboxError> {
    const FEATURES: &str = "gen.prompt_feat";
    const EMBEDDING: &str = "gen.embedding";
    let tokens = state.tokens("gen.prompt_token")?;
    let features = state.take(FEATURES)?;
    let (mels, frames) = match *features.shape.dims() {
        [1, frames, mels] | [frames, mels] => (mels, frames),
        _ => return Err(state.wrong(FEATURES, &[1, 2 * tokens.len(), 80], features.shape)),
    };
    let embedding = state.take(EMBEDDING)?;
    let size = embedding.shape.numel();
    part.count("s3gen.builtin.prompt_token_len", tokens.len());
    part.count("s3gen.builtin.prompt_feat_frames", frames);
    part.add_tokens("s3gen/builtin/prompt_token", tokens);
    part.add("s3gen/builtin/prompt_feat", Found { shape: Shape::from([frames, mels]), ..features });
    part.add("s3gen/builtin/embedding", Found { shape: Shape::from([size]), ..embedding });
    Ok(())
}
