//! Ops at the full shapes of the models, to be timed, and a handful of small cases that say in seconds whether a device
//! computes at all.
//!
//! "0.6b" is Parakeet TDT 0.6b v3 on 11 s of audio. The references of these cases would take minutes, and nobody asks
//! for them.

use super::attention::Attention;
use super::convolution::{conv2d, depthwise, square};
use super::decoder::{Causal, causal_conv, gated, l2_norm, rope};
use super::delta::Delta;
use super::elementwise::{binary, glu, scale, unary};
use super::layout::{gather, permute};
use super::norm::{norm, softmax};
use super::product::Product;
use super::sequence::{lstm_cell, mask_rows};
use super::{Cases, cases, transducer};
use crate::bounds::Bounds;
use crate::case::{Expect, Fill};
use mynah_graph::{Activation, BinaryOp, Epilogue, Op, Rope, StateElem};
use mynah_tensor::DType;
use std::collections::BTreeMap;

/// Encoder frames of 11 s, a bucket.
const FRAMES: usize = 144;
/// Output elements of a case that is small.
const SMALL: usize = 20_000;
/// Small cases of each op.
const EACH: usize = 2;

/// Every op at the shape of a real model.
///
/// # Errors
/// When a case can't be built, which would be a mistake in this crate.
pub fn real() -> Cases {
    let (normal, plain) = (Fill::Normal(1.0), Epilogue::default());
    let mut all = Vec::new();
    for dtype in [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0, DType::Q4K, DType::Q6K] {
        for rows in [1, 8, FRAMES, 1024] {
            let product = Product { x: &[rows, 1024], rows: 4096, dtype, epilogue: plain, fill: normal };
            all.push(product.case("0.6b-ff1")?);
        }
    }
    let attention = Attention {
        time: FRAMES,
        heads: 8,
        head_width: 128,
        lengths: &[FRAMES as i32],
        window: None,
        spare: 0,
        sharpness: 1.0,
    };
    all.push(attention.case("0.6b")?);
    all.push(Attention { lengths: &[FRAMES as i32; 64], ..attention }.case("0.6b-batch")?);
    let bias = Epilogue { bias: true, activation: Some(Activation::Relu), ..plain };
    all.push(conv2d("0.6b-first", [1, 1112, 128, 1], [256, 1, 3, 3], DType::F32, square(2, 1, 1, bias))?);
    all.push(conv2d(
        "0.6b-depthwise",
        [1, 556, 64, 256],
        [256, 1, 3, 3],
        DType::F32,
        square(2, 1, 256, plain),
    )?);
    all.push(depthwise("0.6b", [1, FRAMES, 1024], 9, DType::F32, [4, 4], plain)?);
    let wide = [1, FRAMES, 1024];
    let gain = |op: Op| norm(op, "0.6b", &wide, DType::F32, normal, Bounds::ROW);
    all.push(gain(Op::LayerNorm { eps: 1e-5 })?);
    all.push(gain(Op::RmsNorm { eps: 1e-6 })?);
    all.push(softmax(Op::Softmax, "0.6b", &[8, FRAMES, FRAMES], normal)?);
    all.push(softmax(Op::LogSoftmax, "0.6b-ctc", &[FRAMES, 8193], normal)?);
    all.push(glu("0.6b", &[1, FRAMES, 2048], normal)?);
    all.push(unary(Activation::Silu, "0.6b-ff", &[1, FRAMES, 4096], normal)?);
    all.push(unary(Activation::Gelu, "chatterbox-ff", &[2, 87, 1024], normal)?);
    all.push(binary(BinaryOp::Add, "0.6b", &wide, &wide)?);
    all.push(scale("stream", &[4096, 4096], 0.5)?);
    all.push(mask_rows("0.6b", &wide, &[FRAMES as i32 - 6])?);
    all.push(permute("0.6b-heads", &[FRAMES, 8, 128], &[1, 0, 2])?);
    all.push(gather("0.6b-embedding", [8193, 640], DType::F16, &[64])?);
    all.push(lstm_cell("0.6b", 32, 640, normal)?);
    all.extend(transducer::real()?);
    // What ggml times: heads of 128 as in Qwen3.5, one token and a prompt.
    for time in [1, 512] {
        all.push(Delta::of(32, 128, time, 1).case("ggml")?);
    }
    // A token and a prompt of Qwen3.5 0.8B.
    for time in [1, 512] {
        let tag = "qwen3.5-0.8b";
        all.push(gated(Activation::Silu, tag, &[1, time, 3584], normal)?);
        all.push(l2_norm(tag, &[1, time, 16, 128], 1e-6, normal)?);
        let positions: Vec<i32> = (0..time as i32).collect();
        all.push(rope(tag, [1, time, 8, 256], Rope::new(64, 1e7), &positions)?);
        let silu = Some(Activation::Silu);
        all.push(causal_conv(tag, [time, 6144, 4], 1, silu, &[[0, time as i32, 0]])?);
        for past in [0, 8192 - time] {
            all.push(Causal::one([8, 2], 256, 64, [past, time]).case(tag)?);
        }
    }
    // A speech token of Chatterbox Turbo, in the middle of a sentence.
    all.push(Causal::one([16, 16], 64, 64, [511, 1]).stored("chatterbox-turbo", StateElem::F16)?);
    all.extend(super::experts::real()?);
    all.extend(super::vocoder::real()?);
    Ok(all)
}

/// A few small fixed cases of every op.
///
/// # Errors
/// As [`cases`].
pub fn quick() -> Cases {
    let mut taken: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut all = cases()?;
    all.retain(|case| {
        let outputs = case.graph.outputs().iter();
        let elements: usize = outputs.map(|(_, value)| case.graph.shape(*value).numel()).sum();
        let count = taken.entry(case.op).or_default();
        let take = *count < EACH && elements <= SMALL && case.expect == Expect::Values;
        *count += usize::from(take);
        take
    });
    Ok(all)
}
