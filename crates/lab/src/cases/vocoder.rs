//! Speech synthesis: convolutions over time and their transposes, full attention, the snake, samples of spectra.
//!
//! "hift", "cfm", "encoder", "campplus" and "tokenizer" stand for the parts of Chatterbox on a few frames.

use super::elementwise::unary;
use super::product::describe;
use super::{Cases, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::elements::Elements;
use crate::error::LabError;
use mynah_graph::{Activation, Attention, Conv1d, ConvTranspose1d, Epilogue, InverseStft, Op};
use mynah_tensor::DType;

/// Activations of vocoders and mel decoders.
pub(super) const ACTIVATIONS: [Activation; 7] = [
    Activation::LeakyRelu(0.1),
    Activation::Elu,
    Activation::Mish,
    Activation::Sin,
    Activation::Cos,
    Activation::Sqrt,
    Activation::Abs,
];

const PLAIN: Epilogue = Epilogue { bias: false, activation: None, scale: 1.0, residual: false };
const BIAS: Epilogue = Epilogue { bias: true, ..PLAIN };
const ALL: Epilogue = Epilogue { bias: true, activation: Some(Activation::Silu), scale: 0.5, residual: true };

fn then(activation: Activation) -> Epilogue {
    Epilogue { activation: Some(activation), ..BIAS }
}

/// A convolution over `x [B, T, Ci]` to `channels` with `taps` taps.
pub(super) fn conv1d(
    tag: &str,
    x: [usize; 3],
    [channels, taps]: [usize; 2],
    dtype: DType,
    conv: Conv1d,
) -> Result<OpCase, LabError> {
    let Conv1d { stride, dilation, pad, epilogue } = conv;
    let described = describe(&epilogue);
    let detail =
        format!("{tag}/{}*{channels}k{taps}/{dtype}/s{stride}d{dilation}p{}{described}", by(&x), by(&pad));
    let mut b = CaseBuilder::new("conv1d", &detail);
    let frames = b.input("x", &x, Fill::Normal(1.0));
    let deviation = 1.0 / ((x[2] * taps).max(1) as f32).sqrt();
    let w = b.weight("w", &[channels, x[2], taps], dtype, Fill::Normal(deviation));
    let out = [x[0], conv.frames(x[1], taps).unwrap_or(0), channels];
    let operands = operands(&mut b, &epilogue, vec![frames, w], &out);
    let y = b.op(Op::Conv1d(conv), &operands);
    b.finish(&[y], Bounds::product(dtype))
}

/// The transpose of a convolution, from `x [B, T, Ci]` to `channels` with `taps` taps.
pub(super) fn conv_transpose1d(
    tag: &str,
    x: [usize; 3],
    [channels, taps]: [usize; 2],
    dtype: DType,
    conv: ConvTranspose1d,
) -> Result<OpCase, LabError> {
    let ConvTranspose1d { stride, pad, epilogue } = conv;
    let described = describe(&epilogue);
    let detail = format!("{tag}/{}*{channels}k{taps}/{dtype}/s{stride}p{}{described}", by(&x), by(&pad));
    let mut b = CaseBuilder::new("conv_transpose1d", &detail);
    let frames = b.input("x", &x, Fill::Normal(1.0));
    let deviation = 1.0 / ((x[2] * taps.div_ceil(stride)).max(1) as f32).sqrt();
    let w = b.weight("w", &[x[2], channels, taps], dtype, Fill::Normal(deviation));
    let out = [x[0], conv.frames(x[1], taps).unwrap_or(0), channels];
    let operands = operands(&mut b, &epilogue, vec![frames, w], &out);
    let y = b.op(Op::ConvTranspose1d(conv), &operands);
    b.finish(&[y], Bounds::product(dtype))
}

/// Adds those of an epilogue.
fn operands(
    b: &mut CaseBuilder,
    e: &Epilogue,
    mut own: Vec<mynah_graph::ValueId>,
    out: &[usize; 3],
) -> Vec<mynah_graph::ValueId> {
    if e.bias {
        own.push(b.weight("bias", &out[2..], DType::F32, Fill::Normal(1.0)));
    }
    if e.residual {
        own.push(b.input("residual", out, Fill::Normal(1.0)));
    }
    own
}

/// One attention without positions.
pub(super) struct Full<'a> {
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) heads: usize,
    pub(super) width: usize,
    /// One for each sequence of the batch.
    pub(super) lengths: &'a [i32],
    /// Deviation of the queries; large ones make the softmax choose one key.
    pub(super) sharpness: f32,
}

impl Full<'_> {
    pub(super) fn case(&self, tag: &str) -> Result<OpCase, LabError> {
        let Self { queries, keys, heads, width, lengths, .. } = *self;
        let lens = lengths.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        let detail = format!("{tag}/{}x{queries}~{keys}x{heads}x{width}/len{lens}", lengths.len());
        let mut b = CaseBuilder::new("attention", &detail);
        let q = b.input("q", &[lengths.len(), queries, heads, width], Fill::Normal(self.sharpness));
        let [k, v] =
            ["k", "v"].map(|name| b.input(name, &[lengths.len(), keys, heads, width], Fill::Normal(1.0)));
        let lengths = b.ints("lengths", &[lengths.len()], lengths);
        let scale = 1.0 / (width as f32).sqrt();
        let y = b.op(Op::Attention(Attention { scale }), &[q, k, v, lengths]);
        b.finish(&[y], Bounds::ATTENTION.times(f64::from(self.sharpness.max(1.0)).powi(2)))
    }

    /// The same with keys and values of `value` at and past the lengths, where nothing may look.
    fn hidden(&self, tag: &str, value: f32) -> Result<OpCase, LabError> {
        let case = self.case(tag)?;
        let mut arguments = case.arguments.clone();
        let row = self.heads * self.width;
        for sequence in arguments.inputs.iter_mut().skip(1).take(2) {
            let Elements::F32(data) = sequence else { continue };
            for (clip, &length) in data.chunks_mut(self.keys * row).zip(self.lengths) {
                clip[length as usize * row..].fill(value);
            }
        }
        Ok(case.with_arguments(arguments))
    }
}

/// A wave with frequencies of `alpha`.
pub(super) fn snake(tag: &str, dims: &[usize], x: Fill, alpha: Fill) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("snake", &format!("{tag}/{}", by(dims)));
    let frames = b.input("x", dims, x);
    let alpha = b.weight("alpha", &dims[dims.len() - 1..], DType::F32, alpha);
    let y = b.op(Op::Snake, &[frames, alpha]);
    b.finish(&[y], Bounds::EXPONENTIAL)
}

pub(super) fn clamp(tag: &str, dims: &[usize], min: f32, max: f32) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("clamp", &format!("{tag}/{}/{min}..{max}", by(dims)));
    let x = b.input("x", dims, Fill::Normal(1.0));
    let y = b.op(Op::Clamp { min, max }, &[x]);
    b.finish(&[y], Bounds::MOVED)
}

pub(super) fn repeat_rows(tag: &str, dims: [usize; 3], times: usize) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("repeat_rows", &format!("{tag}/{}*{times}", by(&dims)));
    let x = b.input("x", &dims, Fill::Normal(1.0));
    let y = b.op(Op::RepeatRows { times }, &[x]);
    b.finish(&[y], Bounds::MOVED)
}

pub(super) fn segment_mean(tag: &str, dims: [usize; 3], len: usize) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("segment_mean", &format!("{tag}/{}/{len}", by(&dims)));
    let x = b.input("x", &dims, Fill::Around(1.0));
    let y = b.op(Op::SegmentMean { len }, &[x]);
    b.finish(&[y], Bounds::ROW)
}

/// Samples of `frames` frames of a window, `hop` apart.
pub(super) fn inverse_stft(
    tag: &str,
    [batch, frames]: [usize; 2],
    window: usize,
    hop: usize,
) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("inverse_stft", &format!("{tag}/{batch}x{frames}/n{window}h{hop}"));
    let x = b.input("x", &[batch, frames, window + 2], Fill::Normal(1.0));
    let y = b.op(Op::InverseStft(InverseStft { hop }), &[x]);
    b.finish(&[y], Bounds::ROW)
}

fn line(stride: usize, dilation: usize, pad: [usize; 2], epilogue: Epilogue) -> Conv1d {
    Conv1d { stride, dilation, pad, epilogue }
}

fn back(stride: usize, pad: [usize; 2], epilogue: Epilogue) -> ConvTranspose1d {
    ConvTranspose1d { stride, pad, epilogue }
}

fn convolutions() -> Cases {
    let f32 = DType::F32;
    let residual = Epilogue { residual: true, ..BIAS };
    let mut all = vec![
        conv1d("hift-pre", [1, 19, 80], [512, 7], f32, line(1, 1, [3, 3], BIAS))?,
        // Residual blocks: every kernel, width and dilation once.
        conv1d("hift-block", [1, 21, 256], [256, 3], f32, line(1, 1, [1, 1], BIAS))?,
        conv1d("hift-block", [1, 37, 128], [128, 7], f32, line(1, 3, [9, 9], residual))?,
        conv1d("hift-block", [1, 61, 64], [64, 11], f32, line(1, 5, [25, 25], BIAS))?,
        conv1d("hift-post", [1, 77, 64], [18, 7], f32, line(1, 1, [3, 3], BIAS))?,
        conv1d("hift-source", [1, 71, 18], [256, 30], f32, line(15, 1, [7, 7], BIAS))?,
        conv1d("hift-source", [1, 31, 18], [128, 6], f32, line(3, 1, [1, 1], BIAS))?,
        conv1d("hift-source", [1, 33, 18], [64, 1], f32, line(1, 1, [0, 0], BIAS))?,
        conv1d("hift-f0", [1, 17, 80], [512, 3], f32, line(1, 1, [1, 1], then(Activation::Elu)))?,
        conv1d("cfm-in", [2, 23, 320], [256, 3], f32, line(1, 1, [2, 0], BIAS))?,
        conv1d("cfm-up", [2, 9, 512], [256, 3], f32, line(1, 1, [2, 0], BIAS))?,
        conv1d("cfm-out", [2, 29, 256], [80, 1], f32, line(1, 1, [0, 0], BIAS))?,
        conv1d("encoder-ahead", [1, 19, 512], [512, 4], f32, {
            line(1, 1, [0, 3], then(Activation::LeakyRelu(0.01)))
        })?,
        conv1d("encoder-back", [1, 19, 512], [512, 3], f32, line(1, 1, [2, 0], residual))?,
        conv1d("encoder-up", [1, 14, 512], [512, 5], f32, line(1, 1, [4, 0], BIAS))?,
        conv1d("campplus-tdnn", [1, 41, 320], [128, 5], f32, line(2, 1, [2, 2], PLAIN))?,
        conv1d("campplus-local", [1, 87, 128], [32, 3], f32, line(1, 2, [2, 2], PLAIN))?,
        conv1d("tokenizer", [1, 18, 128], [1280, 3], f32, line(2, 1, [1, 1], then(Activation::Gelu)))?,
        // Sizes that fit nothing.
        conv1d("odd", [3, 7, 5], [7, 2], f32, line(1, 3, [1, 4], ALL))?,
        conv1d("odd", [2, 131, 17], [33, 5], f32, line(2, 3, [6, 5], ALL))?,
        conv1d("one-channel", [2, 33, 1], [1, 9], f32, line(1, 2, [8, 8], BIAS))?,
        conv1d("from-one", [1, 45, 1], [37, 7], f32, line(3, 1, [3, 3], BIAS))?,
        conv1d("to-one", [1, 45, 65], [1, 3], f32, line(1, 1, [1, 1], BIAS))?,
        conv1d("one-element", [1, 1, 1], [1, 1], f32, line(1, 1, [0, 0], BIAS))?,
        conv1d("one-frame", [2, 1, 19], [21, 3], f32, line(1, 4, [4, 4], BIAS))?,
        conv1d("unpadded", [1, 12, 6], [10, 12], f32, line(1, 1, [0, 0], PLAIN))?,
        conv1d("skips", [1, 50, 9], [11, 2], f32, line(7, 1, [0, 0], BIAS))?,
        conv1d("reaches-far", [1, 5, 8], [8, 3], f32, line(1, 40, [40, 40], BIAS))?,
        conv1d("padding-only", [1, 3, 4], [6, 2], f32, line(5, 1, [9, 9], BIAS))?,
        conv1d("no-frames", [2, 0, 4], [3, 2], f32, line(1, 1, [2, 1], BIAS))?,
        conv1d("nothing", [2, 5, 0], [3, 2], f32, line(1, 1, [0, 0], PLAIN))?,
        conv1d("long", [1, 1501, 3], [5, 3], f32, line(1, 1, [2, 0], BIAS))?,
        conv1d("long", [3, 350, 66], [65, 3], f32, line(1, 2, [2, 2], ALL))?,
        conv1d("deep", [1, 9, 1100], [40, 3], f32, line(1, 1, [1, 1], BIAS))?,
    ];
    for dtype in [DType::F16, DType::BF16] {
        all.push(conv1d("types", [1, 37, 63], [70, 3], dtype, line(1, 1, [1, 1], BIAS))?);
        all.push(conv1d("types", [2, 9, 32], [64, 7], dtype, line(1, 3, [9, 9], BIAS))?);
        all.push(conv1d("types", [2, 19, 18], [256, 6], dtype, line(3, 1, [1, 1], BIAS))?);
    }
    // Blocks lie along the taps.
    for dtype in [DType::Q8_0, DType::Q4_0] {
        all.push(conv1d("types", [1, 45, 9], [20, 32], dtype, line(1, 1, [16, 15], BIAS))?);
    }
    Ok(all)
}

fn transposes() -> Cases {
    let f32 = DType::F32;
    let mut all = vec![
        conv_transpose1d("hift-up", [1, 7, 512], [256, 16], f32, back(8, [4, 4], BIAS))?,
        conv_transpose1d("hift-up", [1, 11, 256], [128, 11], f32, back(5, [3, 3], BIAS))?,
        conv_transpose1d("hift-up", [1, 23, 128], [64, 7], f32, back(3, [2, 2], BIAS))?,
        conv_transpose1d("odd", [2, 19, 17], [33, 5], f32, back(2, [1, 3], ALL))?,
        conv_transpose1d("odd", [3, 9, 5], [7, 4], f32, back(3, [0, 0], PLAIN))?,
        conv_transpose1d("same", [2, 21, 16], [16, 3], f32, back(1, [1, 1], BIAS))?,
        // Frames that no tap reaches.
        conv_transpose1d("gaps", [1, 13, 8], [10, 2], f32, back(5, [0, 1], BIAS))?,
        conv_transpose1d("cut", [2, 6, 4], [6, 9], f32, back(2, [8, 7], BIAS))?,
        conv_transpose1d("one-frame", [1, 1, 12], [9, 6], f32, back(4, [1, 1], BIAS))?,
        conv_transpose1d("one-element", [1, 1, 1], [1, 1], f32, back(1, [0, 0], BIAS))?,
        conv_transpose1d("long", [1, 700, 4], [3, 4], f32, back(2, [1, 1], BIAS))?,
        conv_transpose1d("wide", [1, 5, 40], [130, 6], f32, back(3, [1, 2], ALL))?,
    ];
    for dtype in [DType::F16, DType::BF16] {
        all.push(conv_transpose1d("types", [2, 17, 63], [40, 7], dtype, back(3, [2, 2], BIAS))?);
    }
    all.push(conv_transpose1d("types", [1, 6, 9], [20, 32], DType::Q8_0, back(16, [8, 8], BIAS))?);
    Ok(all)
}

fn attentions() -> Cases {
    let base = Full { queries: 33, keys: 33, heads: 2, width: 16, lengths: &[33], sharpness: 1.0 };
    let same = |time: usize, lengths| Full { queries: time, keys: time, lengths, ..base };
    let list = [
        ("cfm", Full { heads: 8, width: 64, ..same(87, &[87, 80]) }),
        ("cfm-long", Full { heads: 8, width: 64, ..same(151, &[151, 97]) }),
        ("tokenizer", Full { heads: 20, width: 64, ..same(37, &[37]) }),
        ("perceiver", Full { queries: 32, keys: 150, heads: 4, width: 256, lengths: &[150], ..base }),
        ("perceiver-self", Full { heads: 4, width: 256, ..same(32, &[32]) }),
        ("batch", same(33, &[33, 20, 0, 1])),
        ("cross", Full { queries: 7, keys: 45, lengths: &[45, 3, 0], ..base }),
        ("cross-few", Full { queries: 61, keys: 5, lengths: &[4, 5], ..base }),
        ("odd", Full { heads: 3, width: 17, ..same(31, &[31, 17]) }),
        ("one-head", Full { heads: 1, width: 33, ..same(17, &[16]) }),
        ("width-one", Full { heads: 5, width: 1, ..same(9, &[9]) }),
        ("one-element", Full { heads: 1, width: 1, ..same(1, &[1]) }),
        ("two-frames", same(2, &[2, 1])),
        ("nothing", same(5, &[0])),
        ("nothing-cross", Full { queries: 2, keys: 5, lengths: &[0], ..base }),
        ("wide", Full { width: 397, heads: 1, ..same(19, &[19]) }),
        ("many-heads", Full { heads: 90, width: 4, ..same(70, &[70, 33, 1]) }),
        ("long", Full { width: 24, ..same(600, &[600, 513]) }),
        ("long-cross", Full { queries: 20, keys: 530, heads: 1, lengths: &[257, 256, 255], ..base }),
        ("sharp", Full { width: 64, sharpness: 30.0, ..same(64, &[64]) }),
        ("long-sharp", Full { heads: 1, sharpness: 30.0, ..same(520, &[520]) }),
        // Largest scores that grow from tile to tile, on matrix units of any size.
        ("wide-sharp", Full { width: 64, sharpness: 30.0, ..same(203, &[203, 130]) }),
    ];
    let mut all: Vec<OpCase> =
        list.into_iter().map(|(tag, full)| full.case(tag)).collect::<Result<_, _>>()?;
    all.push(same(33, &[33, 20, 0, 1]).hidden("hidden", f32::NAN)?);
    all.push(
        Full { queries: 9, keys: 150, lengths: &[149, 64, 65], ..base }.hidden("hidden", f32::INFINITY)?,
    );
    Ok(all)
}

pub(super) fn cases() -> Cases {
    let mut all = convolutions()?;
    all.extend(transposes()?);
    all.extend(attentions()?);
    for f in ACTIVATIONS {
        all.push(unary(f, "hift", &[1, 138, 64], Fill::Normal(2.0))?);
        all.push(unary(f, "odd", &[3, 17], Fill::Normal(1.0))?);
        all.push(unary(f, "scalar", &[], Fill::Within(0.5, 1.5))?);
        all.push(unary(f, "one-element", &[1], Fill::Within(0.5, 1.5))?);
        all.push(unary(f, "saturated", &[5, 33], Fill::Within(-80.0, 80.0))?);
        all.push(unary(f, "tiny", &[4, 31], Fill::Normal(1e-4))?);
    }
    all.push(unary(Activation::LeakyRelu(0.01), "encoder", &[1, 29, 512], Fill::Normal(1.0))?);
    // Angles beyond what a reduction in three parts takes, and some between.
    for f in [Activation::Sin, Activation::Cos] {
        all.push(unary(f, "turns", &[4, 33], Fill::Within(-20_000.0, 20_000.0))?);
        all.push(unary(f, "far", &[4, 33], Fill::Within(-1e8, 1e8))?);
    }
    let (normal, alpha) = (Fill::Normal(1.0), Fill::Within(0.2, 5.0));
    all.push(snake("hift", &[1, 61, 256], normal, alpha)?);
    all.push(snake("hift", &[1, 231, 64], Fill::Normal(3.0), alpha)?);
    all.push(snake("odd", &[2, 3, 37], normal, alpha)?);
    all.push(snake("row", &[19], normal, alpha)?);
    all.push(snake("one-element", &[1, 1, 1], normal, alpha)?);
    all.push(snake("large", &[3, 33], Fill::Within(-100.0, 100.0), Fill::Within(10.0, 100.0))?);
    all.push(snake("far", &[3, 33], Fill::Within(-3e3, 3e3), Fill::Within(10.0, 100.0))?);
    all.push(snake("negative", &[3, 33], normal, Fill::Within(-2.0, -0.5))?);
    all.push(clamp("hift", &[1, 4801], -0.99, 0.99)?);
    all.push(clamp("odd", &[3, 17], -0.25, 1.0)?);
    all.push(clamp("above", &[3, 17], f32::NEG_INFINITY, 0.5)?);
    all.push(clamp("below", &[3, 17], 0.5, f32::INFINITY)?);
    all.push(clamp("one-value", &[5], 0.75, 0.75)?);
    all.push(clamp("one-element", &[1], -0.5, 0.5)?);
    all.push(repeat_rows("encoder", [1, 17, 512], 2)?);
    all.push(repeat_rows("hift-f0", [1, 7, 1], 480)?);
    all.push(repeat_rows("odd", [3, 5, 7], 3)?);
    all.push(repeat_rows("once", [2, 5, 33], 1)?);
    all.push(repeat_rows("one-element", [1, 1, 1], 1)?);
    all.push(segment_mean("campplus", [1, 237, 128], 100)?);
    all.push(segment_mean("campplus", [1, 200, 128], 100)?);
    all.push(segment_mean("all", [2, 151, 32], 151)?);
    all.push(segment_mean("larger", [2, 15, 9], 1000)?);
    all.push(segment_mean("odd", [3, 7, 5], 2)?);
    all.push(segment_mean("single-rows", [2, 4, 17], 1)?);
    all.push(segment_mean("one-element", [1, 1, 1], 1)?);
    all.push(inverse_stft("hift", [1, 301], 16, 4)?);
    all.push(inverse_stft("hift-long", [2, 1201], 16, 4)?);
    all.push(inverse_stft("one-element", [1, 2], 2, 1)?);
    all.push(inverse_stft("smallest", [3, 4], 2, 1)?);
    all.push(inverse_stft("two-frames", [1, 2], 16, 8)?);
    all.push(inverse_stft("odd-hop", [2, 29], 20, 3)?);
    all.push(inverse_stft("odd-half", [1, 31], 22, 7)?);
    all.push(inverse_stft("overlap", [1, 40], 32, 1)?);
    all.push(inverse_stft("wide", [1, 7], 200, 50)?);
    Ok(all)
}

/// Ops at the full shapes of Chatterbox for a few seconds, to be timed.
pub(super) fn real() -> Cases {
    let f32 = DType::F32;
    let (normal, alpha) = (Fill::Normal(1.0), Fill::Within(0.2, 5.0));
    let mut all = Vec::new();
    // The three widths of the residual blocks, half a second of sound each.
    for (channels, frames) in [(256, 200), (128, 1000), (64, 3000)] {
        for (taps, dilation) in [(3, 1), (7, 3), (11, 5)] {
            let pad = dilation * (taps - 1) / 2;
            let conv = line(1, dilation, [pad; 2], BIAS);
            all.push(conv1d("hift-block", [1, frames, channels], [channels, taps], f32, conv)?);
        }
        all.push(snake("hift-block", &[1, frames, channels], normal, alpha)?);
    }
    all.push(conv1d("hift-pre", [1, 100, 80], [512, 7], f32, line(1, 1, [3, 3], BIAS))?);
    all.push(conv1d("hift-post", [1, 3000, 64], [18, 7], f32, line(1, 1, [3, 3], BIAS))?);
    all.push(conv1d("hift-source", [1, 3000, 18], [256, 30], f32, line(15, 1, [7, 7], BIAS))?);
    all.push(conv_transpose1d("hift-up", [1, 25, 512], [256, 16], f32, back(8, [4, 4], BIAS))?);
    all.push(conv_transpose1d("hift-up", [1, 200, 256], [128, 11], f32, back(5, [3, 3], BIAS))?);
    all.push(conv_transpose1d("hift-up", [1, 1000, 128], [64, 7], f32, back(3, [2, 2], BIAS))?);
    all.push(inverse_stft("hift", [1, 3001], 16, 4)?);
    for (tag, inputs) in [("cfm-in", 320), ("cfm-mid", 256), ("cfm-up", 512)] {
        all.push(conv1d(tag, [2, 780, inputs], [256, 3], f32, line(1, 1, [2, 0], BIAS))?);
    }
    all.push(conv1d("cfm-res", [2, 780, 320], [256, 1], f32, line(1, 1, [0, 0], BIAS))?);
    all.push(conv1d("encoder-up", [1, 780, 512], [512, 5], f32, line(1, 1, [4, 0], BIAS))?);
    all.push(conv1d("tokenizer", [1, 1000, 128], [1280, 3], f32, line(2, 1, [1, 1], BIAS))?);
    for time in [640, 780, 1000] {
        let lengths = &[time as i32; 2];
        let cfm = Full { queries: time, keys: time, heads: 8, width: 64, lengths, sharpness: 1.0 };
        all.push(cfm.case("cfm")?);
    }
    all.push(unary(Activation::Gelu, "cfm", &[2, 780, 1024], normal)?);
    for f in [Activation::Mish, Activation::Elu, Activation::Sin, Activation::Cos] {
        all.push(unary(f, "cfm", &[2, 780, 256], normal)?);
    }
    all.push(segment_mean("campplus", [1, 1000, 128], 100)?);
    all.push(repeat_rows("encoder", [1, 390, 512], 2)?);
    all.push(clamp("hift", &[1, 12000], -0.99, 0.99)?);
    Ok(all)
}
