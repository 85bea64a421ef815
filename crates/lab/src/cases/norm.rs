//! Normalisations, softmax, and the largest element.

use super::{Cases, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::elements::Elements;
use crate::error::LabError;
use mynah_graph::Op;
use mynah_tensor::{DType, Shape};

/// A normalisation with the parameters its op takes, stored as `dtype`.
pub(super) fn norm(
    op: Op,
    tag: &str,
    dims: &[usize],
    dtype: DType,
    fill: Fill,
    bounds: Bounds,
) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new(op.name(), &format!("{tag}/{}/{dtype}", by(dims)));
    let channels = &dims[dims.len().saturating_sub(1)..];
    let x = b.input("x", dims, fill);
    let mut operands = vec![x, b.weight("gain", channels, dtype, Fill::Around(1.0))];
    if !matches!(op, Op::RmsNorm { .. }) {
        operands.push(b.weight("bias", channels, dtype, Fill::Normal(1.0)));
    }
    if matches!(op, Op::BatchNorm { .. }) {
        operands.push(b.weight("mean", channels, dtype, Fill::Normal(1.0)));
        operands.push(b.weight("variance", channels, dtype, Fill::Within(0.1, 3.0)));
    }
    let y = b.op(op, &operands);
    b.finish(&[y], bounds)
}

pub(super) fn batch_norm_scale(tag: &str, channels: usize) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("batch_norm_scale", &format!("{tag}/{channels}"));
    // Weights alone would be folded by the planner, and nothing left to run.
    let gain = b.input("gain", &[channels], Fill::Around(1.0));
    let variance = b.weight("variance", &[channels], DType::F32, Fill::Within(0.1, 3.0));
    let y = b.op(Op::BatchNormScale { eps: 1e-5 }, &[gain, variance]);
    b.finish(&[y], Bounds::ROW)
}

pub(super) fn softmax(op: Op, tag: &str, dims: &[usize], fill: Fill) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new(op.name(), &format!("{tag}/{}", by(dims)));
    let x = b.input("x", dims, fill);
    let y = b.op(op, &[x]);
    b.finish(&[y], Bounds::ROW)
}

pub(super) fn argmax(tag: &str, dims: &[usize], fill: Fill) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("argmax", &format!("{tag}/{}", by(dims)));
    let x = b.input("x", dims, fill);
    let y = b.op(Op::Argmax, &[x]);
    b.finish(&[y], Bounds::MOVED)
}

pub(super) fn cases() -> Cases {
    let (f32, normal) = (DType::F32, Fill::Normal(1.0));
    let mut all = Vec::new();
    let ops = [Op::LayerNorm { eps: 1e-5 }, Op::RmsNorm { eps: 1e-6 }, Op::BatchNorm { eps: 1e-5 }];
    for op in ops {
        all.push(norm(op.clone(), "0.6b", &[1, 138, 1024], f32, normal, Bounds::ROW)?);
        all.push(norm(op.clone(), "110m", &[2, 46, 512], DType::F16, normal, Bounds::ROW)?);
        all.push(norm(op.clone(), "large", &[5, 512], f32, Fill::Normal(1e4), Bounds::ROW)?);
        all.push(norm(op.clone(), "tiny", &[5, 512], f32, Fill::Normal(1e-3), Bounds::ROW)?);
        all.push(norm(op.clone(), "long", &[2, 100_003], f32, normal, Bounds::ROW)?);
        all.push(norm(op.clone(), "many", &[1100, 68], f32, normal, Bounds::ROW)?);
        for channels in [3, 17, 33] {
            all.push(norm(op.clone(), "odd", &[3, channels], f32, normal, Bounds::ROW)?);
        }
        all.push(norm(op.clone(), "one-channel", &[21, 1], f32, Fill::Within(0.5, 3.0), Bounds::ROW)?);
    }
    let layer_norm = Op::LayerNorm { eps: 1e-5 };
    // A mean a thousand deviations away: the mean of squares minus the square of the mean would lose six of f32's
    // seven digits. Centring first loses u·1000 of each element.
    let offset = Fill::Around(1000.0);
    all.push(norm(layer_norm.clone(), "offset", &[5, 1024], f32, offset, Bounds::ROW.times(1e4))?);
    // No variance at all: what is left of x is the rounding of its mean, times 1/sqrt(eps).
    let flat = Bounds { exact: 1e-6, fast: 1e-6 };
    all.push(norm(layer_norm, "equal-rows", &[6, 512], f32, Fill::EqualRows, flat)?);
    all.push(batch_norm_scale("110m", 512)?);
    all.push(batch_norm_scale("odd", 17)?);
    for op in [Op::Softmax, Op::LogSoftmax] {
        all.push(softmax(op.clone(), "ctc", &[1, 138, 1025], Fill::Normal(3.0))?);
        all.push(softmax(op.clone(), "joint", &[1, 8198], Fill::Normal(3.0))?);
        all.push(softmax(op.clone(), "tokens", &[5, 8193], Fill::Normal(3.0))?);
        all.push(softmax(op.clone(), "vocabulary", &[1, 151_936], Fill::Normal(1.0))?);
        all.push(softmax(op.clone(), "attention", &[1, 8, 33, 33], Fill::Normal(1.0))?);
        all.push(softmax(op.clone(), "large", &[4, 65], Fill::Normal(1e4))?);
        all.push(softmax(op.clone(), "equal-rows", &[4, 31], Fill::EqualRows)?);
        all.push(softmax(op, "odd", &[3, 17], Fill::Normal(1.0))?);
    }
    all.push(softmax(Op::Softmax, "single", &[5, 1], Fill::Normal(1.0))?);
    all.push(masked_softmax()?);
    all.push(argmax("joint", &[3, 8198], normal)?);
    all.push(argmax("tokens", &[5, 8193], normal)?);
    all.push(argmax("vocabulary", &[2, 151_936], normal)?);
    all.push(argmax("ctc", &[1, 138, 1025], normal)?);
    all.push(argmax("durations", &[7, 5], normal)?);
    all.push(argmax("single", &[5, 1], normal)?);
    all.push(argmax("vector", &[33], normal)?);
    all.push(argmax("equal-rows", &[9, 70], Fill::EqualRows)?);
    all.push(argmax("negative", &[4, 70], Fill::Within(-9.0, -8.0))?);
    all.push(ties("ties", [40, 133], 9.0)?);
    all.push(ties("ties", [9, 8198], 9.0)?);
    all.push(ties("ties", [7, 9000], f32::INFINITY)?);
    all.push(ties("no-number", [40, 133], f32::NAN)?);
    all.push(ties("no-number", [5, 8198], f32::NAN)?);
    all.push(hardly_any_number()?);
    Ok(all)
}

/// Rows of which a part is masked with negative infinity, which gets no share; at least one element is not.
fn masked_softmax() -> Result<OpCase, LabError> {
    let (rows, width) = (12, 70);
    let mut b = CaseBuilder::new("softmax", &format!("masked/{rows}x{width}"));
    let mut data: Vec<f32> = (0..rows * width).map(|_| b.rng.normal()).collect();
    for (i, row) in data.chunks_mut(width).enumerate() {
        // Behind, before, and all but one.
        row[..[0, 33, 69][i % 3]].fill(f32::NEG_INFINITY);
        row[[1, 50, 70][i % 3]..].fill(f32::NEG_INFINITY);
    }
    let x = b.given("x", Shape::from([rows, width]), Elements::F32(data));
    let y = b.op(Op::Softmax, &[x]);
    b.finish(&[y], Bounds::ROW)
}

/// Rows of negative infinities, of what is no number, or of both, with nothing else or one finite number.
fn hardly_any_number() -> Result<OpCase, LabError> {
    let (rows, width) = (24, 140);
    let mut b = CaseBuilder::new("argmax", &format!("hardly-any-number/{rows}x{width}"));
    let mut data = vec![f32::NEG_INFINITY; rows * width];
    for (i, row) in data.chunks_mut(width).enumerate() {
        let some = b.rng.below(width);
        match i % 6 {
            0 => {}
            1 => row.fill(f32::NAN),
            2 => {
                row.fill(f32::NAN);
                row[some] = -3e38;
            }
            3 => row[some] = -3e38,
            // No number is the largest here either, and the index of nothing is 0, whichever comes first.
            4 => row[..=some].fill(f32::NAN),
            _ => row[some..].fill(f32::NAN),
        }
    }
    let x = b.given("x", Shape::from([rows, width]), Elements::F32(data));
    let y = b.op(Op::Argmax, &[x]);
    b.finish(&[y], Bounds::MOVED)
}

/// One value stands twice in each row, at places that fall into different lanes and blocks of any kernel.
fn ties(tag: &str, [rows, width]: [usize; 2], value: f32) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("argmax", &format!("{tag}/{rows}x{width}"));
    let mut data: Vec<f32> = (0..rows * width).map(|_| b.rng.normal()).collect();
    for row in data.chunks_mut(width) {
        let places = [b.rng.below(width), b.rng.below(width)];
        places.into_iter().for_each(|i| row[i] = value);
    }
    let x = b.given("x", Shape::from([rows, width]), Elements::F32(data));
    let y = b.op(Op::Argmax, &[x]);
    b.finish(&[y], Bounds::MOVED)
}
