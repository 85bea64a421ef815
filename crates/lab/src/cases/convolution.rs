//! Convolutions of the subsampling and of the conformer block.

use super::product::describe;
use super::{Cases, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Activation, Conv2d, Epilogue, Op};
use mynah_tensor::DType;

const PLAIN: Epilogue = Epilogue { bias: false, activation: None, scale: 1.0, residual: false };
const BIAS: Epilogue = Epilogue { bias: true, ..PLAIN };
const BIAS_RELU: Epilogue = Epilogue { bias: true, activation: Some(Activation::Relu), ..PLAIN };
const BIAS_SILU: Epilogue = Epilogue { bias: true, activation: Some(Activation::Silu), ..PLAIN };
const ALL: Epilogue = Epilogue { bias: true, activation: Some(Activation::Silu), scale: 0.5, residual: true };

/// A 2-D convolution over `x` with a kernel `w` of this type.
pub(super) fn conv2d(
    tag: &str,
    x: [usize; 4],
    w: [usize; 4],
    dtype: DType,
    conv: Conv2d,
) -> Result<OpCase, LabError> {
    let e = &conv.epilogue;
    let detail = format!(
        "{tag}/{}*{}/{dtype}/s{}p{}g{}{}",
        by(&x),
        by(&w),
        by(&conv.stride),
        by(&[conv.pad_height, conv.pad_width].concat()),
        conv.groups,
        describe(e)
    );
    let mut b = CaseBuilder::new("conv2d", &detail);
    let image = b.input("x", &x, Fill::Normal(1.0));
    let fan_in = (w[1] * w[2] * w[3]) as f32;
    let kernel = b.weight("w", &w, dtype, Fill::Normal(1.0 / fan_in.sqrt()));
    let mut operands = vec![image, kernel];
    if e.bias {
        operands.push(b.weight("bias", &[w[0]], DType::F32, Fill::Normal(1.0)));
    }
    if e.residual {
        let height = (x[1] + conv.pad_height[0] + conv.pad_height[1] - w[2]) / conv.stride[0] + 1;
        let width = (x[2] + conv.pad_width[0] + conv.pad_width[1] - w[3]) / conv.stride[1] + 1;
        operands.push(b.input("residual", &[x[0], height, width, w[0]], Fill::Normal(1.0)));
    }
    let y = b.op(Op::Conv2d(conv), &operands);
    b.finish(&[y], Bounds::PRODUCT)
}

/// A depthwise convolution over `x` with `taps` taps.
pub(super) fn depthwise(
    tag: &str,
    x: [usize; 3],
    taps: usize,
    dtype: DType,
    pad: [usize; 2],
    epilogue: Epilogue,
) -> Result<OpCase, LabError> {
    let detail = format!("{tag}/{}/k{taps}/{dtype}/p{}{}", by(&x), by(&pad), describe(&epilogue));
    let mut b = CaseBuilder::new("depthwise_conv1d", &detail);
    let frames = b.input("x", &x, Fill::Normal(1.0));
    let w = b.weight("w", &[x[2], 1, taps], dtype, Fill::Normal(1.0 / (taps as f32).sqrt()));
    let mut operands = vec![frames, w];
    if epilogue.bias {
        operands.push(b.weight("bias", &[x[2]], DType::F32, Fill::Normal(1.0)));
    }
    if epilogue.residual {
        let time = x[1] + pad[0] + pad[1] + 1 - taps;
        operands.push(b.input("residual", &[x[0], time, x[2]], Fill::Normal(1.0)));
    }
    let y = b.op(Op::DepthwiseConv1d { pad, epilogue }, &operands);
    b.finish(&[y], Bounds::PRODUCT)
}

/// A square stride and the same padding on all sides.
pub(super) fn square(stride: usize, pad: usize, groups: usize, epilogue: Epilogue) -> Conv2d {
    Conv2d { stride: [stride; 2], pad_height: [pad; 2], pad_width: [pad; 2], groups, epilogue }
}

pub(super) fn cases() -> Cases {
    let f32 = DType::F32;
    let mut all = vec![
        // Subsampling: 128 or 80 mels, 256 channels; a full convolution, then depthwise and pointwise pairs.
        conv2d("0.6b-sub0", [1, 25, 128, 1], [256, 1, 3, 3], f32, square(2, 1, 1, BIAS_RELU))?,
        conv2d("110m-sub0", [2, 16, 80, 1], [256, 1, 3, 3], f32, square(2, 1, 1, BIAS_RELU))?,
        conv2d("0.6b-sub2", [1, 13, 64, 256], [256, 1, 3, 3], f32, square(2, 1, 256, BIAS))?,
        conv2d("0.6b-sub3", [1, 7, 32, 256], [256, 256, 1, 1], f32, square(1, 0, 1, BIAS_RELU))?,
        conv2d("110m-sub5", [1, 9, 20, 256], [256, 1, 3, 3], f32, square(2, 1, 256, BIAS))?,
        conv2d("0.6b-sub5", [1, 7, 32, 256], [256, 1, 3, 3], f32, square(2, 1, 256, BIAS))?,
        conv2d("110m-sub2", [2, 8, 40, 256], [256, 1, 3, 3], f32, square(2, 1, 256, BIAS))?,
        conv2d("110m-sub6", [1, 5, 10, 256], [256, 256, 1, 1], f32, square(1, 0, 1, BIAS_RELU))?,
        // A line of one pixel, and more lines than one pass over a large adapter takes.
        conv2d("narrow", [1, 4099, 1, 64], [64, 1, 3, 1], f32, square(1, 0, 64, BIAS))?,
        conv2d("wide", [1, 5, 37, 3], [3, 1, 5, 5], f32, square(1, 2, 3, BIAS_RELU))?,
        // A stride longer than the kernel leaves pixels out.
        conv2d("skips", [2, 9, 23, 4], [4, 1, 2, 2], f32, square(3, 0, 4, BIAS))?,
        // More taps than registers should hold.
        conv2d("taps", [1, 9, 10, 2], [6, 1, 7, 7], f32, square(1, 3, 2, BIAS))?,
        conv2d("one-element", [1, 1, 1, 1], [1, 1, 1, 1], f32, square(1, 0, 1, BIAS))?,
        conv2d("padding-only", [1, 1, 1, 2], [2, 1, 2, 2], f32, square(3, 2, 2, BIAS))?,
        // Many channels: whole tiles, tiles with edges on every side, groups, all terms of a tap of the next.
        conv2d("tile", [1, 8, 8, 64], [64, 64, 3, 3], f32, square(1, 1, 1, BIAS_SILU))?,
        conv2d("tile-edges", [3, 5, 9, 17], [67, 17, 3, 2], f32, square(2, 1, 1, ALL))?,
        conv2d("tile-groups", [2, 6, 7, 40], [66, 20, 3, 3], f32, square(1, 1, 2, BIAS))?,
        conv2d("tile-one-row", [1, 1, 5, 256], [33, 256, 1, 5], f32, square(1, 0, 1, BIAS))?,
        // General ones.
        conv2d("full", [2, 9, 11, 6], [10, 6, 3, 3], f32, square(1, 1, 1, PLAIN))?,
        conv2d("groups", [1, 8, 9, 6], [9, 2, 3, 2], f32, square(1, 1, 3, BIAS))?,
        conv2d("multiplier", [1, 6, 7, 5], [10, 1, 3, 3], f32, square(1, 1, 5, BIAS))?,
        conv2d("one-pixel", [1, 1, 1, 3], [5, 3, 3, 3], f32, square(2, 1, 1, BIAS))?,
        conv2d("unpadded", [1, 5, 5, 2], [3, 2, 5, 5], f32, square(1, 0, 1, PLAIN))?,
        conv2d("epilogue", [2, 7, 6, 8], [12, 8, 3, 3], f32, square(2, 1, 1, ALL))?,
        conv2d("epilogue", [2, 7, 6, 8], [12, 8, 1, 1], f32, square(1, 0, 1, ALL))?,
        conv2d("epilogue", [2, 7, 6, 8], [8, 1, 3, 3], f32, square(1, 1, 8, ALL))?,
    ];
    // Causal subsampling pads two before and one after.
    let causal =
        |groups, epilogue| Conv2d { pad_height: [2, 1], pad_width: [2, 1], ..square(2, 1, groups, epilogue) };
    all.push(conv2d("causal-sub0", [1, 25, 128, 1], [64, 1, 3, 3], f32, causal(1, BIAS_RELU))?);
    all.push(conv2d("causal-sub2", [1, 13, 65, 64], [64, 1, 3, 3], f32, causal(64, BIAS))?);
    for dtype in [DType::F16, DType::BF16] {
        all.push(conv2d("types", [1, 12, 16, 1], [32, 1, 3, 3], dtype, square(2, 1, 1, BIAS_RELU))?);
        all.push(conv2d("types", [1, 12, 16, 32], [32, 1, 3, 3], dtype, square(2, 1, 32, BIAS))?);
        all.push(conv2d("types", [1, 6, 8, 32], [48, 32, 1, 1], dtype, square(1, 0, 1, BIAS))?);
        all.push(depthwise("types", [1, 33, 64], 9, dtype, [4, 4], BIAS)?);
    }
    all.push(depthwise("0.6b", [1, 138, 1024], 9, f32, [4, 4], PLAIN)?);
    all.push(depthwise("0.6b", [1, 138, 1024], 9, f32, [4, 4], BIAS_SILU)?);
    all.push(depthwise("110m", [3, 46, 512], 9, f32, [4, 4], BIAS_SILU)?);
    all.push(depthwise("causal", [1, 46, 512], 9, f32, [8, 0], BIAS)?);
    all.push(depthwise("stream", [1, 10, 512], 9, f32, [0, 0], BIAS_SILU)?);
    all.push(depthwise("one-frame", [1, 1, 512], 9, f32, [4, 4], BIAS)?);
    all.push(depthwise("short", [2, 3, 17], 9, f32, [4, 4], PLAIN)?);
    all.push(depthwise("epilogue", [2, 19, 33], 5, f32, [2, 2], ALL)?);
    all.push(depthwise("long", [1, 40, 31], 31, f32, [15, 15], BIAS)?);
    // The kernels of the larger conformers, and lengths around windows of frames.
    all.push(depthwise("conformer", [1, 70, 512], 31, f32, [15, 15], BIAS_SILU)?);
    all.push(depthwise("conformer", [2, 33, 1024], 31, f32, [15, 15], BIAS)?);
    all.push(depthwise("batch", [4, 17, 1024], 9, f32, [4, 4], BIAS_SILU)?);
    all.push(depthwise("many", [1030, 9, 33], 9, f32, [4, 4], ALL)?);
    all.push(depthwise("pointwise", [2, 7, 65], 1, f32, [0, 0], BIAS)?);
    all.push(depthwise("even", [1, 21, 40], 8, f32, [3, 4], BIAS)?);
    all.push(depthwise("longest", [1, 75, 66], 64, f32, [63, 0], BIAS)?);
    all.push(depthwise("longer", [1, 12, 70], 71, f32, [35, 35], BIAS)?);
    all.push(depthwise("one-element", [1, 1, 1], 1, f32, [0, 0], BIAS)?);
    all.push(depthwise("more-padding", [2, 2, 5], 3, f32, [6, 7], BIAS)?);
    Ok(all)
}
