//! What stands around the products of the other three families: norms, gates, convolutions, heads and vocabularies at their
//! own widths.
//!
//! Sequences are short; widths are whole, because they decide the kernel and the rounding.

use super::Cases;
use super::attention::Attention;
use super::convolution::{conv2d, depthwise};
use super::elementwise::{binary, glu, scale, unary};
use super::layout::{concat, gather, permute, slice};
use super::norm::{argmax, norm, softmax};
use super::sequence::{lstm_cell, state_append, state_gather};
use crate::bounds::Bounds;
use crate::case::{Fill, OpCase};
use mynah_graph::{Activation, BinaryOp, Conv2d, Epilogue, Op};
use mynah_tensor::DType;

const NORMAL: Fill = Fill::Normal(1.0);
const BIAS: Epilogue = Epilogue { bias: true, activation: None, scale: 1.0, residual: false };

pub(super) fn cases() -> Cases {
    let mut all = qwen()?;
    all.extend(chatterbox()?);
    all.extend(deepseek()?);
    Ok(all)
}

/// Qwen3.5: gated delta nets with a causal convolution of four taps before them, gated attention with heads of 256.
fn qwen() -> Cases {
    let rms = Op::RmsNorm { eps: 1e-6 };
    let silu = Epilogue { activation: Some(Activation::Silu), bias: false, ..BIAS };
    let mut all: Vec<OpCase> = Vec::new();
    for (tag, hidden) in [("0.8b", 1024), ("2b", 2048), ("4b", 2560), ("9b", 4096), ("27b", 5120)] {
        let tag = format!("qwen3.5-{tag}");
        all.push(norm(rms.clone(), &tag, &[1, 3, hidden], DType::F32, NORMAL, Bounds::ROW)?);
    }
    // Norms of heads, and of what the recurrence gives.
    all.push(norm(rms.clone(), "qwen3.5-heads", &[1, 5, 8, 256], DType::F32, NORMAL, Bounds::ROW)?);
    all.push(norm(rms, "qwen3.5-gated", &[1, 5, 16, 128], DType::F32, NORMAL, Bounds::ROW)?);
    for (tag, channels) in [("0.8b", 6144), ("4b", 8192), ("27b", 10240)] {
        let tag = format!("qwen3.5-{tag}");
        for time in [1, 6] {
            // Three frames of the state stand before the new ones.
            all.push(depthwise(&tag, [1, time + 3, channels], 4, DType::F32, [0, 0], silu)?);
        }
    }
    for (tag, width) in [("0.8b", 3584), ("4b", 9216), ("9b", 12288)] {
        let tag = format!("qwen3.5-{tag}-ff");
        all.push(unary(Activation::Silu, &tag, &[1, 3, width], NORMAL)?);
        all.push(binary(BinaryOp::Mul, &tag, &[1, 3, width], &[1, 3, width])?);
    }
    all.push(unary(Activation::Sigmoid, "qwen3.5-attention-gate", &[1, 3, 8 * 256], NORMAL)?);
    all.push(unary(Activation::Softplus, "qwen3.5-decay", &[1, 9, 32], Fill::Normal(3.0))?);
    all.push(unary(Activation::Exp, "qwen3.5-decay", &[32], NORMAL)?);
    all.push(binary(BinaryOp::Mul, "qwen3.5-decay", &[1, 9, 32], &[32])?);
    all.push(scale("qwen3.5-query", &[1, 3, 16, 128], 0.088_388_35)?);
    all.push(permute("qwen3.5-heads", &[1, 5, 8, 256], &[0, 2, 1, 3])?);
    all.push(slice("qwen3.5-value", &[1, 3, 6144], 2, 4096, 2048, false)?);
    all.push(concat("qwen3.5-conv-state", &[1, 0, 6144], 1, &[3, 2])?);
    all.push(state_append("qwen3.5-keys", 40, &[2, 256], 3, 31)?);
    for dtype in [DType::Q8_0, DType::Q4K, DType::Q6K] {
        all.push(gather("qwen3.5-embedding", [129, 1024], dtype, &[7])?);
    }
    all.push(softmax(Op::Softmax, "qwen3.5-keys", &[1, 8, 2, 1027], NORMAL)?);
    all.push(softmax(Op::Softmax, "qwen3.5-experts", &[5, 256], NORMAL)?);
    all.push(argmax("qwen3.5-vocabulary", &[1, 248_320], NORMAL)?);
    Ok(all)
}

/// Chatterbox: a language model, a conformer with a look ahead, a flow transformer over frames, a vocoder.
fn chatterbox() -> Cases {
    let f32 = DType::F32;
    let layer = |eps| Op::LayerNorm { eps };
    // One-dimensional convolutions are images one pixel wide; causal ones are padded before.
    let line = |pad, stride, epilogue| Conv2d {
        stride: [stride, 1],
        pad_height: pad,
        pad_width: [0, 0],
        groups: 1,
        epilogue,
    };
    let rel_pos = Attention {
        time: 87,
        heads: 8,
        head_width: 64,
        lengths: &[87],
        window: None,
        spare: 0,
        sharpness: 1.0,
    };
    let relu = Epilogue { activation: Some(Activation::Relu), ..BIAS };
    Ok(vec![
        norm(Op::RmsNorm { eps: 1e-5 }, "chatterbox-t3", &[2, 3, 1024], f32, NORMAL, Bounds::ROW)?,
        norm(layer(1e-5), "chatterbox-turbo", &[1, 3, 1024], f32, NORMAL, Bounds::ROW)?,
        norm(layer(1e-12), "chatterbox-encoder", &[1, 29, 512], f32, NORMAL, Bounds::ROW)?,
        norm(layer(1e-5), "chatterbox-flow", &[2, 29, 256], f32, NORMAL, Bounds::ROW)?,
        norm(layer(1e-5), "chatterbox-tokenizer", &[1, 9, 1280], f32, NORMAL, Bounds::ROW)?,
        unary(Activation::Gelu, "chatterbox-flow", &[2, 87, 1024], NORMAL)?,
        unary(Activation::GeluTanh, "chatterbox-turbo", &[1, 3, 4096], NORMAL)?,
        unary(Activation::Silu, "chatterbox-t3", &[2, 3, 4096], NORMAL)?,
        glu("chatterbox-encoder", &[1, 29, 1024], NORMAL)?,
        binary(BinaryOp::Add, "chatterbox-time", &[2, 29, 256], &[2, 1, 256])?,
        softmax(Op::Softmax, "chatterbox-flow", &[2, 8, 87, 87], NORMAL)?,
        argmax("chatterbox-speech", &[2, 8194], NORMAL)?,
        gather("chatterbox-speech", [6561, 512], f32, &[11])?,
        gather("chatterbox-text", [2454, 64], DType::F16, &[9])?,
        rel_pos.case("chatterbox-encoder")?,
        conv2d("chatterbox-look-ahead", [1, 19, 1, 512], [512, 512, 4, 1], f32, line([0, 3], 1, BIAS))?,
        conv2d("chatterbox-look-back", [1, 19, 1, 512], [512, 512, 3, 1], f32, line([2, 0], 1, BIAS))?,
        conv2d("chatterbox-flow-in", [2, 29, 1, 320], [256, 320, 3, 1], f32, line([2, 0], 1, BIAS))?,
        conv2d("chatterbox-flow-out", [2, 29, 1, 256], [80, 256, 1, 1], f32, line([0, 0], 1, BIAS))?,
        conv2d("chatterbox-vocoder-in", [1, 19, 1, 80], [512, 80, 7, 1], f32, line([3, 3], 1, BIAS))?,
        conv2d("chatterbox-vocoder-out", [1, 133, 1, 64], [18, 64, 7, 1], f32, line([3, 3], 1, BIAS))?,
        conv2d("chatterbox-tokenizer", [1, 18, 1, 128], [1280, 128, 3, 1], f32, line([1, 1], 2, relu))?,
        depthwise("chatterbox-memory", [1, 37, 1280], 31, f32, [15, 15], Epilogue { bias: false, ..BIAS })?,
        lstm_cell("chatterbox-voice", 3, 256, NORMAL)?,
        state_append("chatterbox-keys", 70, &[16, 64], 1, 43)?,
    ])
}

/// DeepSeek V4: a latent query, shared keys of 512, streams that are mixed, hundreds of experts.
fn deepseek() -> Cases {
    let rms = Op::RmsNorm { eps: 1e-6 };
    let plain = |tag: &str, dims: &[usize]| norm(rms.clone(), tag, dims, DType::F32, NORMAL, Bounds::ROW);
    Ok(vec![
        plain("deepseek4", &[1, 3, 4096])?,
        plain("deepseek4-query", &[1, 3, 1024])?,
        plain("deepseek4-keys", &[1, 7, 512])?,
        plain("deepseek4-streams", &[1, 2, 16384])?,
        unary(Activation::Silu, "deepseek4-expert", &[6, 2048], NORMAL)?,
        unary(Activation::Softplus, "deepseek4-router", &[3, 256], NORMAL)?,
        binary(BinaryOp::Mul, "deepseek4-streams", &[1, 3, 4, 4096], &[1, 3, 4, 1])?,
        softmax(Op::Softmax, "deepseek4-window", &[1, 64, 1, 129], NORMAL)?,
        argmax("deepseek4-vocabulary", &[2, 129_280], NORMAL)?,
        gather("deepseek4-embedding", [33, 4096], DType::F16, &[5])?,
        state_append("deepseek4-ring", 128, &[512], 2, 126)?,
        state_gather("deepseek4-compressed", 40, &[512], &[39, 0, 17, 4, 4])?,
    ])
}
