//! The heads of a language model's layer as models write them, op by op: what a planner may put one op in place of.

use super::Cases;
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{
    Activation, BinaryOp, CausalAttention, CausalConv1d, GatedDeltaNet, Op, Rope, Start, StateElem, ValueId,
};
use mynah_tensor::DType;

/// Entries of an axis.
fn cut(b: &mut CaseBuilder, x: ValueId, axis: usize, from: usize, len: usize) -> ValueId {
    b.op(Op::Slice { axis, start: Start::Fixed(from), len }, &[x])
}

/// Value and key heads of a width, behind a convolution of some taps unless they are none; a row, a length and a snapshot for each
/// sequence.
fn delta(
    tag: &str,
    [heads, key_heads, width, taps]: [usize; 4],
    time: usize,
    snapshots: usize,
    sequences: &[[i32; 3]],
) -> Result<OpCase, LabError> {
    let batch = sequences.len();
    let name =
        format!("delta-heads/{tag}/{batch}x{time}/h{heads}-{key_heads}x{width}/taps{taps}/k{snapshots}");
    let mut b = CaseBuilder::new("composite", &name);
    let rows = sequences.iter().map(|s| s[0] as usize + 1).max().unwrap_or(1);
    let state = b.state("matrices", rows, &[snapshots * heads, width, width]);
    let (keys, values) = (key_heads * width, heads * width);
    let channels = 2 * keys + values;
    let mut mixed = b.input("mixed", &[batch, time, channels], Fill::Normal(1.0));
    let steps = b.input("steps", &[batch, time, heads], Fill::Within(0.0, 1.0));
    let beta = b.input("beta", &[batch, time, heads], Fill::Within(0.0, 1.0));
    let z = b.input("z", &[batch, time, values], Fill::Normal(2.0));
    let rates = b.weight("rates", &[heads], DType::F32, Fill::Within(-2.0, -0.05));
    let gain = b.weight("gain", &[width], DType::F32, Fill::Around(1.0));
    let sequences = b.ints("sequences", &[batch, 3], &sequences.concat());
    if taps > 0 {
        let state = b.state("inputs", rows, &[taps - 2 + snapshots, channels]);
        let kernel = b.weight("kernel", &[channels, 1, taps], DType::F32, Fill::Normal(0.7));
        let conv = CausalConv1d { state, snapshots, activation: Some(Activation::Silu) };
        mixed = b.op(Op::CausalConv1d(conv), &[mixed, kernel, sequences]);
    }
    let mut part = |from: usize, count: usize| {
        let part = cut(&mut b, mixed, 2, from, count * width);
        b.op(Op::Reshape(vec![batch, time, count, width]), &[part])
    };
    let (q, k, v) = (part(0, key_heads), part(keys, key_heads), part(2 * keys, heads));
    let [q, k] = [q, k].map(|x| b.op(Op::L2Norm { eps: 1e-6 }, &[x]));
    let decay = b.op(Op::Binary(BinaryOp::Mul), &[steps, rates]);
    let y = b.op(Op::GatedDeltaNet(GatedDeltaNet { state, snapshots }), &[q, k, v, decay, beta, sequences]);
    let y = b.op(Op::RmsNorm { eps: 1e-6 }, &[y, gain]);
    let z = b.op(Op::Reshape(vec![batch, time, heads, width]), &[z]);
    let y = b.op(Op::Gated(Activation::Silu), &[y, z]);
    b.finish(&[y], Bounds::RECURRENCE)
}

/// Query and key heads of a width of which some channels turn; tokens before and new ones of each sequence.
fn attention(
    tag: &str,
    [heads, key_heads, width, turned]: [usize; 4],
    [time, places]: [usize; 2],
    sequences: &[[i32; 2]],
) -> Result<OpCase, LabError> {
    let sizes = [heads, key_heads, width, turned];
    stored_attention(tag, StateElem::F32, sizes, [time, places], sequences)
}

/// The same over a cache that is stored so.
fn stored_attention(
    tag: &str,
    elem: StateElem,
    [heads, key_heads, width, turned]: [usize; 4],
    [time, places]: [usize; 2],
    sequences: &[[i32; 2]],
) -> Result<OpCase, LabError> {
    let batch = sequences.len();
    let most = sequences.iter().map(|s| (s[0] + s[1]) as usize).max().unwrap_or(0);
    let listed = most.div_ceil(places);
    let name = format!(
        "attention-heads/{tag}/{batch}x{time}/h{heads}-{key_heads}x{width}/{turned}/pages{listed}x{places}"
    );
    let mut b = CaseBuilder::new("composite", &name);
    let row = [key_heads, places, width];
    let [keys, values] = ["keys", "values"].map(|name| b.stored_state(name, batch * listed, &row, elem));
    let both = b.input("both", &[batch, time, heads, 2 * width], Fill::Normal(1.0));
    let [k, v] = ["k", "v"].map(|name| b.input(name, &[batch, time, key_heads, width], Fill::Normal(1.0)));
    let [q_gain, k_gain] =
        ["q_gain", "k_gain"].map(|name| b.weight(name, &[width], DType::F32, Fill::Around(1.0)));
    // What a sequence lacks of the step has positions too.
    let positions: Vec<i32> =
        sequences.iter().flat_map(|s| (0..time as i32).map(|t| 100_000 + s[0] + t)).collect();
    let positions = b.ints("positions", &[batch, time], &positions);
    let pages: Vec<i32> = (0..(batch * listed) as i32).rev().collect();
    let sequences = b.ints("sequences", &[batch, 2], &sequences.concat());
    let pages = b.ints("pages", &[batch, listed], &pages);
    let (q, gate) = (cut(&mut b, both, 3, 0, width), cut(&mut b, both, 3, width, width));
    let rope = Rope::new(turned, 1e7);
    let [q, k] = [(q, q_gain), (k, k_gain)].map(|(x, gain)| {
        let x = b.op(Op::RmsNorm { eps: 1e-6 }, &[x, gain]);
        b.op(Op::Rope(rope), &[x, positions])
    });
    let scale = 1.0 / (width as f32).sqrt();
    let op = Op::CausalAttention(CausalAttention { keys, values, scale });
    let y = b.op(op, &[q, k, v, sequences, pages]);
    let y = b.op(Op::Gated(Activation::Sigmoid), &[y, gate]);
    let bounds = if elem == StateElem::F16 { Bounds::ATTENTION_HALVES } else { Bounds::ATTENTION };
    b.finish(&[y], bounds)
}

/// Single tokens and a few, of one sequence and of several; what kernels for few tokens leave to others.
pub(super) fn cases() -> Cases {
    use StateElem::F16;
    Ok(vec![
        delta("qwen3.5-0.8b", [16, 16, 128, 4], 1, 1, &[[0, 1, 0]])?,
        delta("qwen3.5-4b", [32, 16, 128, 4], 1, 1, &[[1, 1, 0], [0, 1, 0]])?,
        delta("snapshots", [4, 2, 32, 0], 3, 3, &[[1, 3, 2], [0, 1, 0], [3, 0, 1], [2, 2, 1]])?,
        delta("conv-snapshots", [3, 3, 32, 4], 3, 3, &[[1, 3, 2], [0, 1, 2], [3, 0, 1], [2, 2, 0]])?,
        delta("two-taps", [2, 2, 16, 2], 2, 1, &[[0, 2, 0], [1, 1, 0]])?,
        delta("narrow", [2, 2, 16, 3], 5, 1, &[[0, 5, 0]])?,
        delta("odd", [3, 1, 20, 0], 2, 2, &[[0, 2, 1]])?,
        delta("many-tokens", [2, 1, 32, 4], 20, 2, &[[0, 20, 0], [1, 7, 1]])?,
        attention("qwen3.5-0.8b", [8, 2, 256, 64], [1, 64], &[[100, 1]])?,
        attention("qwen3.5-0.8b-deep", [8, 2, 256, 64], [1, 64], &[[700, 1]])?,
        attention("first", [8, 2, 256, 64], [1, 64], &[[0, 1]])?,
        attention("27b", [24, 4, 256, 64], [1, 64], &[[65, 1], [130, 1]])?,
        attention("few", [4, 2, 32, 8], [3, 16], &[[30, 3], [0, 1], [5, 0], [14, 2]])?,
        attention("few-deep", [4, 2, 64, 64], [4, 16], &[[500, 4], [63, 3], [250, 4], [0, 2]])?,
        attention("wide-group", [16, 1, 24, 16], [1, 5], &[[7, 1]])?,
        attention("odd", [3, 1, 18, 6], [2, 4], &[[9, 2]])?,
        attention("many-tokens", [4, 2, 32, 8], [21, 16], &[[30, 21], [3, 5]])?,
        stored_attention("halves", F16, [8, 2, 256, 64], [1, 64], &[[100, 1]])?,
        stored_attention("halves-deep", F16, [8, 2, 256, 64], [1, 64], &[[700, 1]])?,
        stored_attention("halves-few", F16, [4, 2, 64, 64], [4, 16], &[[500, 4], [63, 3], [250, 4], [0, 2]])?,
        stored_attention("halves-many", F16, [4, 2, 32, 8], [21, 16], &[[30, 21], [3, 5]])?,
    ])
}
