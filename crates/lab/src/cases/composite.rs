//! A few ops together, as a planner sees them: something to fuse, something to run in place, something to share.

use super::Cases;
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Activation, Attention, BinaryOp, Epilogue, Op, RelPosAttention, Start};
use mynah_tensor::DType;

/// Several products in a row add their errors.
const SEVERAL: Bounds = Bounds { exact: 1e-10, fast: 1e-3 };
const LAYER_NORM: Op = Op::LayerNorm { eps: 1e-5 };

pub(super) fn cases() -> Cases {
    Ok(vec![
        feed_forward(DType::F32)?,
        feed_forward(DType::Q8_0)?,
        conv_module()?,
        lstm_step()?,
        write_then_read()?,
        diamond()?,
        kept_value()?,
        attention(DType::F16)?,
        attention(DType::Q8_0)?,
        full_attention()?,
        read_twice()?,
        siblings(1)?,
        siblings(2)?,
        siblings(8)?,
        siblings(40)?,
    ])
}

fn product() -> Op {
    Op::MatMul(Epilogue::default())
}

/// The projections of a layer: products of one value by weights of several types and heights, with
/// epilogues of their own.
fn siblings(rows: usize) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("composite", &format!("siblings/{rows}"));
    let x = b.input("x", &[rows, 256], Fill::Normal(1.0));
    let residual = b.input("residual", &[rows, 96], Fill::Normal(1.0));
    let types = [DType::Q8_0, DType::Q8_0, DType::Q4K, DType::F16, DType::Q6K, DType::F32];
    let mut outputs = Vec::new();
    for (i, (dtype, height)) in types.into_iter().zip([320, 96, 16, 1, 64, 33]).enumerate() {
        let w = b.weight(&format!("w{i}"), &[height, 256], dtype, Fill::Normal(0.06));
        outputs.push(b.op(product(), &[x, w]));
    }
    outputs[1] = b.op(Op::Binary(BinaryOp::Add), &[outputs[1], residual]);
    for (output, activation) in [(2, Activation::Sigmoid), (4, Activation::Gelu)] {
        outputs[output] = b.op(Op::Unary(activation), &[outputs[output]]);
    }
    b.finish(&outputs, SEVERAL)
}

/// `x + ½·W₂·silu(W₁·LN(x) + b₁) + …` of a conformer block.
fn feed_forward(dtype: DType) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("composite", &format!("feed-forward/{dtype}"));
    let x = b.input("x", &[1, 17, 128], Fill::Normal(1.0));
    let gain = b.weight("gain", &[128], DType::F32, Fill::Around(1.0));
    let shift = b.weight("shift", &[128], DType::F32, Fill::Normal(0.2));
    let w1 = b.weight("w1", &[512, 128], dtype, Fill::Normal(0.09));
    let b1 = b.weight("b1", &[512], DType::F32, Fill::Normal(0.5));
    let w2 = b.weight("w2", &[128, 512], dtype, Fill::Normal(0.05));
    let b2 = b.weight("b2", &[128], DType::F32, Fill::Normal(0.5));
    let y = b.op(LAYER_NORM, &[x, gain, shift]);
    let y = b.op(product(), &[y, w1]);
    let y = b.op(Op::Binary(BinaryOp::Add), &[y, b1]);
    let y = b.op(Op::Unary(Activation::Silu), &[y]);
    let y = b.op(product(), &[y, w2]);
    let y = b.op(Op::Binary(BinaryOp::Add), &[y, b2]);
    let y = b.op(Op::Scale(0.5), &[y]);
    let y = b.op(Op::Binary(BinaryOp::Add), &[x, y]);
    b.finish(&[y], SEVERAL)
}

/// Pointwise, gate, mask, depthwise, batch norm, silu, pointwise, residual: the convolution module.
fn conv_module() -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("composite", "conv-module");
    let x = b.input("x", &[2, 19, 64], Fill::Normal(1.0));
    let lengths = b.ints("lengths", &[2], &[19, 8]);
    let w1 = b.weight("w1", &[128, 64], DType::F32, Fill::Normal(0.125));
    let taps = b.weight("taps", &[64, 1, 9], DType::F32, Fill::Normal(0.33));
    let [gain, mean] = ["gain", "mean"].map(|n| b.weight(n, &[64], DType::F32, Fill::Normal(1.0)));
    let shift = b.weight("shift", &[64], DType::F32, Fill::Normal(0.3));
    let variance = b.weight("variance", &[64], DType::F32, Fill::Within(0.2, 2.0));
    let w2 = b.weight("w2", &[64, 64], DType::F32, Fill::Normal(0.125));
    let y = b.op(product(), &[x, w1]);
    let y = b.op(Op::Glu, &[y]);
    let y = b.op(Op::MaskRows, &[y, lengths]);
    let y = b.op(Op::DepthwiseConv1d { pad: [4, 4], epilogue: Epilogue::default() }, &[y, taps]);
    let y = b.op(Op::BatchNorm { eps: 1e-5 }, &[y, gain, shift, mean, variance]);
    let y = b.op(Op::Unary(Activation::Silu), &[y]);
    let y = b.op(product(), &[y, w2]);
    let y = b.op(Op::Binary(BinaryOp::Add), &[x, y]);
    b.finish(&[y], SEVERAL)
}

/// One step of a prediction network: embedding, gates, cell, states written back.
fn lstm_step() -> Result<OpCase, LabError> {
    let (hidden, dtype) = (96, DType::F32);
    let mut b = CaseBuilder::new("composite", "lstm-step");
    let [h_state, c_state] = ["h", "c"].map(|n| b.state(n, 4, &[hidden]));
    let ids = b.ints("ids", &[2], &[6, 0]);
    let rows = b.ints("rows", &[2], &[3, 1]);
    let table = b.weight("embedding", &[9, hidden], dtype, Fill::Normal(1.0));
    let [wi, wh] = ["wi", "wh"].map(|n| b.weight(n, &[4 * hidden, hidden], dtype, Fill::Normal(0.1)));
    let [bi, bh] = ["bi", "bh"].map(|n| b.weight(n, &[4 * hidden], dtype, Fill::Normal(0.5)));
    let x = b.op(Op::Gather, &[table, ids]);
    let h = b.op(Op::StateGather(h_state), &[rows]);
    let c = b.op(Op::StateGather(c_state), &[rows]);
    let from_x = b.op(product(), &[x, wi]);
    let from_x = b.op(Op::Binary(BinaryOp::Add), &[from_x, bi]);
    let from_h = b.op(product(), &[h, wh]);
    let from_h = b.op(Op::Binary(BinaryOp::Add), &[from_h, bh]);
    let gates = b.op(Op::Binary(BinaryOp::Add), &[from_x, from_h]);
    let both = b.op(Op::LstmCell, &[gates, c]);
    let cut = |start| Op::Slice { axis: 1, start: Start::Fixed(start), len: hidden };
    let new_h = b.op(cut(0), &[both]);
    let new_c = b.op(cut(hidden), &[both]);
    b.op(Op::StateScatter(h_state), &[rows, new_h]);
    b.op(Op::StateScatter(c_state), &[rows, new_c]);
    b.finish(&[new_h], SEVERAL)
}

/// A read before, a write, and a read after see what their order says.
fn write_then_read() -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("composite", "write-then-read");
    let state = b.state("cache", 6, &[17]);
    let at = b.slot("at", 2);
    let all = b.ints("all", &[6], &[0, 1, 2, 3, 4, 5]);
    let value = b.input("value", &[3, 17], Fill::Normal(1.0));
    let before = b.op(Op::StateGather(state), &[all]);
    b.op(Op::StateAppend { state, at }, &[value]);
    let after = b.op(Op::StateGather(state), &[all]);
    let difference = b.op(Op::Binary(BinaryOp::Sub), &[after, before]);
    b.finish(&[before, after, difference], Bounds::ROUNDED)
}

/// One value read by three ops, so that none of the first two may work in place on it.
fn diamond() -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("composite", "diamond");
    let x = b.input("x", &[7, 33], Fill::Normal(1.0));
    let base = b.op(Op::Scale(1.5), &[x]);
    let left = b.op(Op::Unary(Activation::Relu), &[base]);
    let right = b.op(Op::Scale(-2.0), &[base]);
    let sum = b.op(Op::Binary(BinaryOp::Add), &[left, right]);
    let flat = b.op(Op::Reshape(vec![33, 7]), &[base]);
    let turned = b.op(Op::Permute(vec![1, 0]), &[flat]);
    let y = b.op(Op::Binary(BinaryOp::Mul), &[sum, turned]);
    b.finish(&[y], Bounds::ROUNDED.times(10.0))
}

/// Intermediate values that are outputs survive what comes after them; an input is not written to.
fn kept_value() -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("composite", "kept-values");
    let x = b.input("x", &[5, 31], Fill::Normal(1.0));
    let a = b.op(Op::Unary(Activation::Relu), &[x]);
    let c = b.op(Op::Scale(3.0), &[a]);
    let d = b.op(Op::Binary(BinaryOp::Add), &[c, x]);
    let e = b.op(Op::Reshape(vec![31, 5]), &[d]);
    let g = b.op(Op::Unary(Activation::Relu), &[e]);
    b.finish(&[a, c, d, g], Bounds::ROUNDED)
}

/// Layer norm, queries, keys and values, attention, output: values between a norm and products, and between attention and a product.
fn attention(dtype: DType) -> Result<OpCase, LabError> {
    let (time, width) = (21, 64);
    let mut b = CaseBuilder::new("composite", &format!("attention/{dtype}"));
    let x = b.input("x", &[2, time, width], Fill::Normal(1.0));
    let table = b.input("table", &[2 * time - 1, width], Fill::Normal(1.0));
    let lengths = b.ints("lengths", &[2], &[21, 13]);
    let gain = b.weight("gain", &[width], DType::F32, Fill::Around(1.0));
    let shift = b.weight("shift", &[width], DType::F32, Fill::Normal(0.2));
    let [wq, wk, wv, wp, wo] =
        ["q", "k", "v", "p", "o"].map(|n| b.weight(n, &[width, width], dtype, Fill::Normal(0.125)));
    let [u, w] = ["u", "w"].map(|name| b.weight(name, &[4, 16], DType::F32, Fill::Normal(0.5)));
    let normed = b.op(LAYER_NORM, &[x, gain, shift]);
    let [q, k, v] = [wq, wk, wv].map(|weight| b.op(product(), &[normed, weight]));
    let positions = b.op(product(), &[table, wp]);
    let heads = RelPosAttention { heads: 4, scale: 0.25, first_offset: time as i64 - 1, window: None };
    let y = b.op(Op::RelPosAttention(heads), &[q, k, v, positions, u, w, lengths]);
    let y = b.op(product(), &[y, wo]);
    let y = b.op(Op::Binary(BinaryOp::Add), &[x, y]);
    b.finish(&[y], SEVERAL)
}

/// Queries, keys and values by products, heads of them by reshapes, attention without positions, output.
fn full_attention() -> Result<OpCase, LabError> {
    let (time, width) = (41, 128);
    let mut b = CaseBuilder::new("composite", "full-attention");
    let x = b.input("x", &[2, time, width], Fill::Normal(1.0));
    let lengths = b.ints("lengths", &[2], &[41, 27]);
    let weights = ["q", "k", "v", "o"];
    let [wq, wk, wv, wo] = weights.map(|n| b.weight(n, &[width, width], DType::F16, Fill::Normal(0.09)));
    let [q, k, v] = [wq, wk, wv].map(|weight| {
        let y = b.op(product(), &[x, weight]);
        b.op(Op::Reshape(vec![2, time, 2, width / 2]), &[y])
    });
    let y = b.op(Op::Attention(Attention { scale: 0.125 }), &[q, k, v, lengths]);
    let y = b.op(Op::Reshape(vec![2, time, width]), &[y]);
    let y = b.op(product(), &[y, wo]);
    b.finish(&[y], SEVERAL)
}

/// A value that a product reads and something else as well, with numbers beyond f16, and one that a product reads as its weight's
/// partner and as its residual.
fn read_twice() -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("composite", "read-twice");
    let x = b.input("x", &[23, 64], Fill::Normal(1.0));
    let gain = b.weight("gain", &[64], DType::F32, Fill::Around(1.0));
    let square = b.weight("square", &[64, 64], DType::F16, Fill::Normal(0.125));
    let y = b.op(Op::RmsNorm { eps: 1e-6 }, &[x, gain]);
    let large = b.op(Op::Scale(1e5), &[y]);
    let z = b.op(product(), &[y, square]);
    let sum = b.op(Op::Binary(BinaryOp::Add), &[z, y]);
    b.finish(&[sum, large], SEVERAL)
}
