//! Names and shapes of the reference's state dicts, weight norm folded.

use super::sizes::{Estimator, Flow, S3Gen, Size, Speaker, Tokenizer, Vocoder, VoiceEncoder};

/// Numbers of a speaker embedding of T3 and of S3Gen.
pub(super) const SPEAKER: usize = 256;
pub(super) const EMBEDDING: usize = 192;

type List = Vec<(String, Vec<usize>)>;

/// A list under construction.
#[derive(Default)]
struct Names(List);

impl Names {
    fn add(&mut self, name: impl Into<String>, dims: &[usize]) {
        self.0.push((name.into(), dims.to_vec()));
    }

    /// A weight and a bias for each of its outputs.
    fn layer(&mut self, stem: &str, dims: &[usize]) {
        self.add(format!("{stem}.weight"), dims);
        self.add(format!("{stem}.bias"), dims.get(..1).unwrap_or_default());
    }

    fn norm(&mut self, stem: &str, width: usize) {
        self.layer(stem, &[width]);
    }

    fn batch_norm(&mut self, stem: &str, width: usize) {
        self.norm(stem, width);
        self.statistics(stem, width);
    }

    fn statistics(&mut self, stem: &str, width: usize) {
        self.add(format!("{stem}.running_mean"), &[width]);
        self.add(format!("{stem}.running_var"), &[width]);
    }
}

pub(super) fn llama(size: &Size) -> List {
    let Size { width, layers, hidden, text, speech, positions, .. } = *size;
    let mut names = Names::default();
    for layer in 0..layers {
        let stem = format!("tfmr.layers.{layer}");
        for side in ["q", "k", "v", "o"] {
            names.add(format!("{stem}.self_attn.{side}_proj.weight"), &[width, width]);
        }
        names.add(format!("{stem}.mlp.gate_proj.weight"), &[hidden, width]);
        names.add(format!("{stem}.mlp.up_proj.weight"), &[hidden, width]);
        names.add(format!("{stem}.mlp.down_proj.weight"), &[width, hidden]);
        names.add(format!("{stem}.input_layernorm.weight"), &[width]);
        names.add(format!("{stem}.post_attention_layernorm.weight"), &[width]);
    }
    names.add("tfmr.norm.weight", &[width]);
    names.layer("cond_enc.spkr_enc", &[width, SPEAKER]);
    names.add("cond_enc.emotion_adv_fc.weight", &[width, 1]);
    names.add("cond_enc.perceiver.pre_attention_query", &[1, 32, width]);
    names.norm("cond_enc.perceiver.attn.norm", width);
    for side in ["to_q", "to_k", "to_v", "proj_out"] {
        names.layer(&format!("cond_enc.perceiver.attn.{side}"), &[width, width]);
    }
    for (name, rows) in [
        ("text_emb", text),
        ("speech_emb", speech),
        ("text_pos_emb.emb", positions[0]),
        ("speech_pos_emb.emb", positions[1]),
        ("text_head", text),
        ("speech_head", speech),
    ] {
        names.add(format!("{name}.weight"), &[rows, width]);
    }
    names.0
}

pub(super) fn gpt2(size: &Size) -> List {
    let Size { width, layers, hidden, text, speech, positions, .. } = *size;
    let mut names = Names::default();
    names.add("tfmr.wpe.weight", &[positions[0], width]);
    for layer in 0..layers {
        let stem = format!("tfmr.h.{layer}");
        names.norm(&format!("{stem}.ln_1"), width);
        names.norm(&format!("{stem}.ln_2"), width);
        // Inputs first, unlike everywhere else.
        for (part, inputs, outputs) in [
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, hidden),
            ("mlp.c_proj", hidden, width),
        ] {
            names.add(format!("{stem}.{part}.weight"), &[inputs, outputs]);
            names.add(format!("{stem}.{part}.bias"), &[outputs]);
        }
    }
    names.norm("tfmr.ln_f", width);
    names.layer("cond_enc.spkr_enc", &[width, SPEAKER]);
    names.add("text_emb.weight", &[text, width]);
    names.add("speech_emb.weight", &[speech, width]);
    names.layer("speech_head", &[speech, width]);
    names.0
}

pub(super) fn voice_encoder(size: &VoiceEncoder) -> List {
    let VoiceEncoder { width, layers } = *size;
    let mut names = Names::default();
    for layer in 0..layers {
        let inputs = if layer == 0 { 40 } else { width };
        names.add(format!("lstm.weight_ih_l{layer}"), &[4 * width, inputs]);
        names.add(format!("lstm.weight_hh_l{layer}"), &[4 * width, width]);
        names.add(format!("lstm.bias_ih_l{layer}"), &[4 * width]);
        names.add(format!("lstm.bias_hh_l{layer}"), &[4 * width]);
    }
    names.layer("proj", &[SPEAKER, width]);
    names.0
}

pub(super) fn s3gen(size: &S3Gen, meanflow: bool) -> List {
    let mut names = Names::default();
    flow(&mut names, &size.flow);
    estimator(&mut names, &size.estimator, meanflow);
    vocoder(&mut names, &size.vocoder);
    speaker(&mut names, &size.speaker);
    tokenizer(&mut names, &size.tokenizer);
    names.0
}

fn flow(names: &mut Names, size: &Flow) {
    let Flow { width, heads, blocks: [blocks, up_blocks] } = *size;
    names.add("flow.input_embedding.weight", &[6561, width]);
    names.layer("flow.spk_embed_affine_layer", &[80, EMBEDDING]);
    names.layer("flow.encoder_proj", &[80, width]);
    for embed in ["embed", "up_embed"] {
        names.layer(&format!("flow.encoder.{embed}.out.0"), &[width, width]);
        names.norm(&format!("flow.encoder.{embed}.out.1"), width);
    }
    names.layer("flow.encoder.pre_lookahead_layer.conv1", &[width, width, 4]);
    names.layer("flow.encoder.pre_lookahead_layer.conv2", &[width, width, 3]);
    names.layer("flow.encoder.up_layer.conv", &[width, width, 5]);
    names.norm("flow.encoder.after_norm", width);
    for (kind, count) in [("encoders", blocks), ("up_encoders", up_blocks)] {
        for index in 0..count {
            let stem = format!("flow.encoder.{kind}.{index}");
            names.norm(&format!("{stem}.norm_mha"), width);
            names.norm(&format!("{stem}.norm_ff"), width);
            for side in ["q", "k", "v", "out"] {
                names.layer(&format!("{stem}.self_attn.linear_{side}"), &[width, width]);
            }
            names.add(format!("{stem}.self_attn.linear_pos.weight"), &[width, width]);
            names.add(format!("{stem}.self_attn.pos_bias_u"), &[heads, width / heads]);
            names.add(format!("{stem}.self_attn.pos_bias_v"), &[heads, width / heads]);
            names.layer(&format!("{stem}.feed_forward.w_1"), &[4 * width, width]);
            names.layer(&format!("{stem}.feed_forward.w_2"), &[width, 4 * width]);
        }
    }
}

fn estimator(names: &mut Names, size: &Estimator, meanflow: bool) {
    let Estimator { width, attention, middle, transformers } = *size;
    let time = 4 * width;
    let stem = "flow.decoder.estimator";
    names.layer(&format!("{stem}.time_mlp.linear_1"), &[time, 320]);
    names.layer(&format!("{stem}.time_mlp.linear_2"), &[time, time]);
    if meanflow {
        names.add(format!("{stem}.time_embed_mixer.weight"), &[time, 2 * time]);
    }
    let blocks = [("down_blocks", 1, 320), ("mid_blocks", middle, width), ("up_blocks", 1, 2 * width)];
    for (kind, count, inputs) in blocks {
        for index in 0..count {
            let stem = format!("{stem}.{kind}.{index}");
            for (block, inputs) in [("block1", inputs), ("block2", width)] {
                names.layer(&format!("{stem}.0.{block}.block.0"), &[width, inputs, 3]);
                names.norm(&format!("{stem}.0.{block}.block.2"), width);
            }
            names.layer(&format!("{stem}.0.mlp.1"), &[width, time]);
            names.layer(&format!("{stem}.0.res_conv"), &[width, inputs, 1]);
            for transformer in 0..transformers {
                let stem = format!("{stem}.1.{transformer}");
                names.norm(&format!("{stem}.norm1"), width);
                names.norm(&format!("{stem}.norm3"), width);
                for side in ["q", "k", "v"] {
                    names.add(format!("{stem}.attn1.to_{side}.weight"), &[attention, width]);
                }
                names.layer(&format!("{stem}.attn1.to_out.0"), &[width, attention]);
                names.layer(&format!("{stem}.ff.net.0.proj"), &[time, width]);
                names.layer(&format!("{stem}.ff.net.2"), &[width, time]);
            }
            if kind != "mid_blocks" {
                names.layer(&format!("{stem}.2"), &[width, width, 3]);
            }
        }
    }
    names.layer(&format!("{stem}.final_block.block.0"), &[width, width, 3]);
    names.norm(&format!("{stem}.final_block.block.2"), width);
    names.layer(&format!("{stem}.final_proj"), &[80, width, 1]);
}

fn vocoder(names: &mut Names, size: &Vocoder) {
    let Vocoder { channels, pitch } = *size;
    names.layer("mel2wav.m_source.l_linear", &[1, 9]);
    names.layer("mel2wav.conv_pre", &[channels, 80, 7]);
    names.layer("mel2wav.conv_post", &[18, channels / 8, 7]);
    for index in 0..5 {
        let inputs = if index == 0 { 80 } else { pitch };
        names.layer(&format!("mel2wav.f0_predictor.condnet.{}", 2 * index), &[pitch, inputs, 3]);
    }
    names.layer("mel2wav.f0_predictor.classifier", &[1, pitch]);
    let stages = [(channels / 2, 16, 30, 7), (channels / 4, 11, 6, 7), (channels / 8, 7, 1, 11)];
    for (stage, (channels, up, down, source)) in stages.into_iter().enumerate() {
        // A transposed convolution has its inputs first, and its biases are of the outputs.
        names.add(format!("mel2wav.ups.{stage}.weight"), &[2 * channels, channels, up]);
        names.add(format!("mel2wav.ups.{stage}.bias"), &[channels]);
        names.layer(&format!("mel2wav.source_downs.{stage}"), &[channels, 18, down]);
        resblock(names, &format!("mel2wav.source_resblocks.{stage}"), channels, source);
        for (index, kernel) in [3, 7, 11].into_iter().enumerate() {
            resblock(names, &format!("mel2wav.resblocks.{}", 3 * stage + index), channels, kernel);
        }
    }
}

fn resblock(names: &mut Names, stem: &str, channels: usize, kernel: usize) {
    for index in 0..3 {
        for side in [1, 2] {
            names.layer(&format!("{stem}.convs{side}.{index}"), &[channels, channels, kernel]);
            names.add(format!("{stem}.activations{side}.{index}.alpha"), &[channels]);
        }
    }
}

fn speaker(names: &mut Names, size: &Speaker) {
    let Speaker { head, mut channels, growth, layers } = *size;
    let inner = 4 * growth;
    let stem = "speaker_encoder";
    names.add(format!("{stem}.head.conv1.weight"), &[head, 1, 3, 3]);
    names.batch_norm(&format!("{stem}.head.bn1"), head);
    for layer in [1, 2] {
        for block in 0..2 {
            let stem = format!("{stem}.head.layer{layer}.{block}");
            for side in [1, 2] {
                names.add(format!("{stem}.conv{side}.weight"), &[head, head, 3, 3]);
                names.batch_norm(&format!("{stem}.bn{side}"), head);
            }
            if block == 0 {
                names.add(format!("{stem}.shortcut.0.weight"), &[head, head, 1, 1]);
                names.batch_norm(&format!("{stem}.shortcut.1"), head);
            }
        }
    }
    names.add(format!("{stem}.head.conv2.weight"), &[head, head, 3, 3]);
    names.batch_norm(&format!("{stem}.head.bn2"), head);
    let stem = "speaker_encoder.xvector";
    names.add(format!("{stem}.tdnn.linear.weight"), &[channels, 10 * head, 5]);
    names.batch_norm(&format!("{stem}.tdnn.nonlinear.batchnorm"), channels);
    for (block, layers) in (1..).zip(layers) {
        for layer in 1..=layers {
            let stem = format!("{stem}.block{block}.tdnnd{layer}");
            names.batch_norm(&format!("{stem}.nonlinear1.batchnorm"), channels);
            names.add(format!("{stem}.linear1.weight"), &[inner, channels, 1]);
            names.batch_norm(&format!("{stem}.nonlinear2.batchnorm"), inner);
            names.add(format!("{stem}.cam_layer.linear_local.weight"), &[growth, inner, 3]);
            names.layer(&format!("{stem}.cam_layer.linear1"), &[inner / 2, inner, 1]);
            names.layer(&format!("{stem}.cam_layer.linear2"), &[growth, inner / 2, 1]);
            channels += growth;
        }
        names.batch_norm(&format!("{stem}.transit{block}.nonlinear.batchnorm"), channels);
        names.add(format!("{stem}.transit{block}.linear.weight"), &[channels / 2, channels, 1]);
        channels /= 2;
    }
    names.batch_norm(&format!("{stem}.out_nonlinear.batchnorm"), channels);
    names.add(format!("{stem}.dense.linear.weight"), &[EMBEDDING, 2 * channels, 1]);
    names.statistics(&format!("{stem}.dense.nonlinear.batchnorm"), EMBEDDING);
}

fn tokenizer(names: &mut Names, size: &Tokenizer) {
    let Tokenizer { width, layers } = *size;
    names.layer("tokenizer.encoder.conv1", &[width, 128, 3]);
    names.layer("tokenizer.encoder.conv2", &[width, width, 3]);
    for block in 0..layers {
        let stem = format!("tokenizer.encoder.blocks.{block}");
        for side in ["query", "value", "out"] {
            names.layer(&format!("{stem}.attn.{side}"), &[width, width]);
        }
        names.add(format!("{stem}.attn.key.weight"), &[width, width]);
        names.add(format!("{stem}.attn.fsmn_block.weight"), &[width, 1, 31]);
        names.norm(&format!("{stem}.attn_ln"), width);
        names.norm(&format!("{stem}.mlp_ln"), width);
        names.layer(&format!("{stem}.mlp.0"), &[4 * width, width]);
        names.layer(&format!("{stem}.mlp.2"), &[width, 4 * width]);
    }
    names.layer("tokenizer.quantizer._codebook.project_down", &[8, width]);
}
