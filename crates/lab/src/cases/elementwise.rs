//! Activations, arithmetic with broadcasting, scale and the gated unit.

use super::{Cases, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Activation, BinaryOp, Op};
use mynah_tensor::DType;

/// The activations of recognisers and language models; those of vocoders have a list of their own.
pub(super) const ACTIVATIONS: [Activation; 9] = [
    Activation::Relu,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Exp,
    Activation::Softplus,
    Activation::Rsqrt,
];

/// All operations on two elements.
pub(super) const BINARY: [BinaryOp; 4] = [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div];

pub(super) fn unary(f: Activation, tag: &str, dims: &[usize], fill: Fill) -> Result<OpCase, LabError> {
    let op = Op::Unary(f);
    let mut b = CaseBuilder::new(op.name(), &format!("{tag}/{}", by(dims)));
    // The square root wants positive elements; some only pick.
    let root = matches!(f, Activation::Rsqrt | Activation::Sqrt);
    let fill = if root { Fill::Within(0.01, 9.0) } else { fill };
    let bounds = match f {
        Activation::Relu | Activation::Abs => Bounds::MOVED,
        Activation::LeakyRelu(_) | Activation::Sqrt => Bounds::ROUNDED,
        _ => Bounds::EXPONENTIAL,
    };
    let x = b.input("x", dims, fill);
    let y = b.op(op, &[x]);
    b.finish(&[y], bounds)
}

pub(super) fn binary(f: BinaryOp, tag: &str, left: &[usize], right: &[usize]) -> Result<OpCase, LabError> {
    let op = Op::Binary(f);
    let mut b = CaseBuilder::new(op.name(), &format!("{tag}/{}~{}", by(left), by(right)));
    let x = b.input("x", left, Fill::Normal(1.0));
    let fill = if f == BinaryOp::Div { Fill::Within(0.25, 4.0) } else { Fill::Normal(1.0) };
    let z = b.input("z", right, fill);
    let y = b.op(op, &[x, z]);
    b.finish(&[y], Bounds::ROUNDED)
}

pub(super) fn glu(tag: &str, dims: &[usize], fill: Fill) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("glu", &format!("{tag}/{}", by(dims)));
    let x = b.input("x", dims, fill);
    let y = b.op(Op::Glu, &[x]);
    b.finish(&[y], Bounds::EXPONENTIAL)
}

pub(super) fn scale(tag: &str, dims: &[usize], factor: f32) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("scale", &format!("{tag}/{}*{factor}", by(dims)));
    let x = b.input("x", dims, Fill::Normal(1.0));
    let y = b.op(Op::Scale(factor), &[x]);
    b.finish(&[y], Bounds::ROUNDED)
}

pub(super) fn cases() -> Cases {
    let mut all = Vec::new();
    for f in ACTIVATIONS {
        all.push(unary(f, "110m", &[1, 138, 512], Fill::Normal(2.0))?);
        all.push(unary(f, "odd", &[3, 17], Fill::Normal(1.0))?);
        all.push(unary(f, "scalar", &[], Fill::Within(0.5, 1.5))?);
        all.push(unary(f, "one-element", &[1], Fill::Within(0.5, 1.5))?);
        all.push(unary(f, "after-vectors", &[2, 131], Fill::Normal(1.0))?);
        // Far into saturation; exp stays within the range of f32.
        all.push(unary(f, "saturated", &[5, 33], Fill::Within(-80.0, 80.0))?);
        // Where 1 − exp(x) and the like cancel.
        all.push(unary(f, "tiny", &[4, 31], Fill::Normal(1e-4))?);
    }
    for f in BINARY {
        all.push(binary(f, "0.6b", &[1, 138, 1024], &[1, 138, 1024])?);
        all.push(binary(f, "bias", &[2, 17, 512], &[512])?);
        all.push(binary(f, "per-row", &[2, 17, 33], &[17, 1])?);
        all.push(binary(f, "per-batch", &[3, 5, 31], &[3, 1, 1])?);
        all.push(binary(f, "middle", &[3, 5, 31], &[3, 1, 31])?);
        all.push(binary(f, "one", &[7, 19], &[1])?);
        all.push(binary(f, "scalar", &[7, 19], &[])?);
        all.push(binary(f, "rank4", &[2, 3, 4, 5], &[3, 1, 5])?);
        // The same where rows are whole vectors.
        all.push(binary(f, "per-row", &[2, 17, 32], &[17, 1])?);
        all.push(binary(f, "per-batch", &[3, 5, 32], &[3, 1, 1])?);
        all.push(binary(f, "middle", &[3, 5, 32], &[3, 1, 32])?);
        all.push(binary(f, "rank4", &[2, 3, 4, 8], &[3, 1, 8])?);
        all.push(binary(f, "one", &[8, 20], &[1, 1])?);
        // Steps of the second operand that are no whole vectors while rows are.
        all.push(binary(f, "columns", &[5, 2, 4], &[5, 2, 1])?);
        all.push(binary(f, "same-odd", &[3, 7], &[3, 7])?);
        all.push(binary(f, "one-element", &[1], &[1])?);
    }
    all.push(binary_with_weight()?);
    all.push(same_operand()?);
    all.push(glu("0.6b", &[1, 138, 2048], Fill::Normal(1.0))?);
    all.push(glu("odd", &[3, 5, 34], Fill::Normal(1.0))?);
    all.push(glu("vectors", &[3, 5, 72], Fill::Normal(1.0))?);
    all.push(glu("pair", &[4, 2], Fill::Normal(1.0))?);
    all.push(glu("saturated", &[2, 66], Fill::Within(-80.0, 80.0))?);
    // The factor of models that scale their input: sqrt(1024).
    all.push(scale("xscale", &[1, 138, 1024], 32.0)?);
    all.push(scale("odd", &[3, 17], -0.3)?);
    all.push(scale("one-element", &[1], 0.7)?);
    Ok(all)
}

/// A bias is a weight more often than an input.
fn binary_with_weight() -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("add", "weight/2x17x512~512");
    let x = b.input("x", &[2, 17, 512], Fill::Normal(1.0));
    let bias = b.weight("bias", &[512], DType::F32, Fill::Normal(1.0));
    let y = b.op(Op::Binary(BinaryOp::Add), &[x, bias]);
    b.finish(&[y], Bounds::ROUNDED)
}

/// One value on both sides, where working in place would be wrong in general.
fn same_operand() -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("mul", "same/5x33");
    let x = b.input("x", &[5, 33], Fill::Normal(1.0));
    let y = b.op(Op::Binary(BinaryOp::Mul), &[x, x]);
    b.finish(&[y], Bounds::ROUNDED)
}
