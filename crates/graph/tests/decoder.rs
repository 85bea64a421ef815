//! The ops of decoder language models: what their shape rules accept and refuse, and how they are printed.

#![allow(clippy::unwrap_used)] // helpers of tests, where a panic is a failure

use mynah_graph::{
    Activation, CausalAttention, CausalConv1d, ElemType, Graph, GraphBuilder, GraphError, Op, Rope,
    RopeScaling, StateId,
};
use mynah_tensor::Shape;

/// One op over inputs of these shapes, integers where it says so, with states for a convolution of four taps over six channels and
/// for pages of eight tokens of two heads of four.
fn build(op: Op, operands: &[&[usize]], integers: &[usize]) -> Result<Graph, GraphError> {
    let mut b = GraphBuilder::new("test");
    b.state("inputs", [3, 6]);
    b.state("keys", [2, 8, 4]);
    b.state("values", [2, 8, 4]);
    b.state("wide", [2, 8, 5]);
    let ids: Vec<_> = operands
        .iter()
        .enumerate()
        .map(|(n, dims)| {
            let elem = if integers.contains(&n) { ElemType::I32 } else { ElemType::F32 };
            b.input(&format!("x{n}"), elem, Shape::new(dims).unwrap())
        })
        .collect();
    let y = b.op(op, &ids);
    b.output("y", y);
    b.finish()
}

#[track_caller]
fn gives(op: &Op, operands: &[&[usize]], integers: &[usize], wanted: &[usize]) {
    let graph = build(op.clone(), operands, integers).unwrap();
    assert_eq!(graph.shape(graph.outputs()[0].1).dims(), wanted);
}

#[track_caller]
fn refuses(op: &Op, words: &str, operands: &[&[usize]], integers: &[usize]) {
    let error = build(op.clone(), operands, integers).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn gates_and_lengths() {
    let gated = Op::Gated(Activation::Silu);
    gives(&gated, &[&[2, 3], &[2, 3]], &[], &[2, 3]);
    refuses(&gated, "one shape", &[&[2, 3], &[3]], &[]);
    refuses(&gated, "takes 2 operands", &[&[2, 3]], &[]);
    gives(&Op::L2Norm { eps: 1e-6 }, &[&[2, 3]], &[], &[2, 3]);
    refuses(&Op::L2Norm { eps: 1e-6 }, "must be F32", &[&[2, 3]], &[0]);
}

#[test]
fn rotary_positions() {
    let rope = |dims| Op::Rope(Rope::new(dims, 1e4));
    gives(&rope(4), &[&[2, 3, 5, 6], &[2, 3]], &[1], &[2, 3, 5, 6]);
    refuses(&rope(4), "positions [batch, time]", &[&[2, 3, 5, 6], &[2, 5]], &[1]);
    refuses(&rope(4), "positions [batch, time]", &[&[2, 3, 6], &[2, 3]], &[1]);
    refuses(&rope(4), "operand 1 must be I32", &[&[2, 3, 5, 6], &[2, 3]], &[]);
    refuses(&rope(8), "8 of 6 channels", &[&[2, 3, 5, 6], &[2, 3]], &[1]);
}

#[test]
fn causal_convolutions() {
    let conv = |state, snapshots| {
        Op::CausalConv1d(CausalConv1d { state: StateId(state), snapshots, activation: None })
    };
    let good: [&[usize]; 3] = [&[2, 9, 6], &[6, 1, 4], &[2, 3]];
    gives(&conv(0, 1), &good, &[2], &[2, 9, 6]);
    gives(&conv(0, 2), &[&[2, 9, 6], &[6, 1, 3], &[2, 3]], &[2], &[2, 9, 6]);
    for snapshots in [0, 2, usize::MAX] {
        refuses(&conv(0, snapshots), "state rows must be", &good, &[2]);
    }
    refuses(&conv(0, 1), "at least two taps", &[&[2, 9, 6], &[6, 1, 1], &[2, 3]], &[2]);
    refuses(&conv(0, 1), "weight [C, 1, K]", &[&[2, 9, 6], &[5, 1, 4], &[2, 3]], &[2]);
    refuses(&conv(0, 1), "[batch, 3]", &[&[2, 9, 6], &[6, 1, 4], &[2, 2]], &[2]);
    refuses(&conv(0, 1), "operand 2 must be I32", &good, &[]);
    refuses(&conv(7, 1), "no state 7", &good, &[2]);
}

#[test]
fn causal_attention() {
    let attention = |keys, values| {
        Op::CausalAttention(CausalAttention { keys: StateId(keys), values: StateId(values), scale: 1.0 })
    };
    let of = |key_heads, width| [[2, 3, 6, width], [2, 3, key_heads, width], [2, 3, key_heads, width]];
    let with = |[q, k, v]: [[usize; 4]; 3], sequences: [usize; 2], pages: [usize; 2]| {
        [q.to_vec(), k.to_vec(), v.to_vec(), sequences.to_vec(), pages.to_vec()]
    };
    let check = |op: Op, operands: &[Vec<usize>; 5]| {
        let operands: Vec<&[usize]> = operands.iter().map(Vec::as_slice).collect();
        build(op, &operands, &[3, 4]).map(|g| g.shape(g.outputs()[0].1)).map_err(|e| e.to_string())
    };
    let good = with(of(2, 4), [2, 2], [2, 5]);
    assert_eq!(check(attention(1, 2), &good).unwrap().dims(), [2, 3, 6, 4]);
    let refused = |op, operands: &[Vec<usize>; 5], words: &str| {
        let error = check(op, operands).unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    refused(attention(1, 1), &good, "can't be both");
    refused(attention(1, 3), &good, "state rows must be");
    refused(attention(0, 1), &good, "state rows must be");
    refused(attention(1, 2), &with(of(3, 4), [2, 2], [2, 5]), "state rows must be");
    refused(attention(1, 2), &with(of(4, 4), [2, 2], [2, 5]), "multiple of the key heads");
    refused(attention(1, 2), &with(of(0, 4), [2, 2], [2, 5]), "multiple of the key heads");
    refused(attention(1, 2), &with(of(2, 4), [2, 3], [2, 5]), "sequences must be [batch, 2]");
    refused(attention(1, 2), &with(of(2, 4), [2, 2], [3, 5]), "pages must be [batch, N]");
    let mut uneven = good.clone();
    uneven[2][1] = 4;
    refused(attention(1, 2), &uneven, "k and v must be one");
}

#[test]
fn lines_say_what_sets_them_apart() {
    let line = |op: Op, operands: &[&[usize]], integers: &[usize]| {
        let text = build(op, operands, integers).unwrap().to_string();
        text.lines().find(|l| l.contains(" = ")).unwrap().trim().to_owned()
    };
    let gated = line(Op::Gated(Activation::Sigmoid), &[&[3], &[3]], &[]);
    assert_eq!(gated, "gated [3] = gated<sigmoid>(x0, x1)");
    let rope =
        |scaling| line(Op::Rope(Rope { scaling, ..Rope::new(2, 1e4) }), &[&[1, 1, 1, 4], &[1, 1]], &[1]);
    assert_eq!(rope(None), "rope [1, 1, 1, 4] = rope<dims=2 theta=10000>(x0, x1)");
    let scaling = RopeScaling { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
    let scaled = "rope [1, 1, 1, 4] = rope<dims=2 theta=10000 *8 1..4/8192>(x0, x1)";
    assert_eq!(rope(Some(scaling)), scaled);
    let conv = CausalConv1d { state: StateId(0), snapshots: 1, activation: Some(Activation::Silu) };
    let conv = line(Op::CausalConv1d(conv), &[&[1, 2, 6], &[6, 1, 4], &[1, 3]], &[2]);
    assert_eq!(conv, "causal_conv1d [1, 2, 6] = causal_conv1d<state0 snapshots=1 +silu>(x0, x1, x2)");
}
