//! The text form of a graph, as `--dump graph` prints it.

#![allow(clippy::unwrap_used)] // helpers of tests, where a panic is a failure

use mynah_graph::{
    Activation, Conv2d, ElemType, Epilogue, ExpertChoice, ExpertGateUp, ExpertWeights, GraphBuilder, Op,
    RelPosAttention, RouterScore, Start, WeightSpec,
};
use mynah_tensor::{DType, Shape};

fn weight(b: &mut GraphBuilder, name: &str, shape: &[usize], dtype: DType) -> mynah_graph::ValueId {
    b.weight(&WeightSpec { name: name.into(), shape: Shape::new(shape).unwrap(), dtype })
}

#[test]
fn every_line_says_what_is_computed_from_what() {
    let mut b = GraphBuilder::new("small");
    let x = b.input("x", ElemType::F32, [1, 4, 8]);
    let rows = b.input("rows", ElemType::I32, [1]);
    let cache = b.state("cache", [8]);
    let at = b.slot("at");
    let y = b.scope("ff", |b| {
        let w = weight(b, "ff.weight", &[8, 8], DType::Q8_0);
        let bias = weight(b, "ff.bias", &[8], DType::F32);
        let e = Epilogue { bias: true, activation: Some(Activation::Silu), scale: 0.5, residual: true };
        b.op(Op::MatMul(e), &[x, w, bias, x])
    });
    let y = b.reshape(y, &[4, 8]);
    let written = b.op(Op::StateAppend { state: cache, at }, &[y]);
    let old = b.op(Op::StateGather(cache), &[rows]);
    let cut = b.op(Op::Slice { axis: 0, start: Start::Slot(at), len: 1 }, &[written]);
    let sum = b.add(cut, old);
    b.output("sum", sum);
    let text = b.finish().unwrap().to_string();
    let wanted = "\
graph small
  input  x F32 [1, 4, 8]
  input  rows I32 [1]
  state  cache rows of [8]
  slot   at
  ff.matmul [1, 4, 8] = matmul<+bias +silu *0.5 +residual>(x, ff.weight:Q8_0, ff.bias:F32, x)
  reshape [4, 8] = reshape(ff.matmul)
  state_append [4, 8] = state_append<state0 at slot0>(reshape)
  state_gather [1, 8] = state_gather<state0>(rows)
  slice [1, 8] = slice<axis=0 slot0..+1>(state_append)
  add [1, 8] = add(slice, state_gather)
  output sum = add
";
    assert_eq!(text, wanted);
}

#[test]
fn attributes_tell_ops_apart() {
    let mut b = GraphBuilder::new("attributes");
    let image = b.input("image", ElemType::F32, [1, 5, 5, 2]);
    let kernel = weight(&mut b, "kernel", &[4, 1, 3, 3], DType::F16);
    let conv = Conv2d {
        stride: [2, 2],
        pad_height: [1, 1],
        pad_width: [0, 2],
        groups: 2,
        epilogue: Epilogue { activation: Some(Activation::Relu), ..Epilogue::default() },
    };
    b.conv2d(image, kernel, None, conv);
    let x = b.input("x", ElemType::F32, [1, 3, 4]);
    let taps = weight(&mut b, "taps", &[4, 1, 3], DType::F32);
    b.depthwise_conv1d(x, taps, None, [2, 0]);
    b.scale(x, 0.25);
    let gain = weight(&mut b, "gain", &[4], DType::F32);
    b.op(Op::RmsNorm { eps: 1e-6 }, &[x, gain]);
    b.permute(x, &[1, 0, 2]);
    let lengths = b.input("lengths", ElemType::I32, [1]);
    let p = weight(&mut b, "p", &[5, 4], DType::F32);
    let u = weight(&mut b, "u", &[2, 2], DType::F32);
    for window in [None, Some([1, 2])] {
        let a = RelPosAttention { heads: 2, scale: 0.5, first_offset: 2, window };
        b.rel_pos_attention(a, &[x, x, x, p, u, u, lengths]);
    }
    b.op(Op::Concat { axis: 2 }, &[x, x]);
    b.slice(x, 1, 1, 2);
    let text = b.finish().unwrap().to_string();
    let lines: Vec<&str> = text.lines().skip_while(|l| !l.contains(" = ")).map(str::trim).collect();
    let wanted = [
        "conv2d [1, 3, 3, 4] = conv2d<stride=[2, 2] pad=[1, 1][0, 2] groups=2 +relu>(image, kernel:F16)",
        "depthwise_conv1d [1, 3, 4] = depthwise_conv1d<pad=[2, 0]>(x, taps:F32)",
        "scale [1, 3, 4] = scale<0.25>(x)",
        "rms_norm [1, 3, 4] = rms_norm<eps=1e-6>(x, gain:F32)",
        "permute [3, 1, 4] = permute<[1, 0, 2]>(x)",
        "rel_pos_attention [1, 3, 4] = rel_pos_attention<heads=2>(x, x, x, p:F32, u:F32, u:F32, lengths)",
        "rel_pos_attention#2 [1, 3, 4] = rel_pos_attention<heads=2 window=1,2>(x, x, x, p:F32, u:F32, u:F32, lengths)",
        "concat [1, 3, 8] = concat<axis=2>(x, x)",
        "slice [1, 2, 4] = slice<axis=1 1..+2>(x)",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn experts_say_how_they_are_chosen_and_what_they_compute() {
    let mut b = GraphBuilder::new("experts");
    let x = b.input("x", ElemType::F32, [3, 8]);
    let logits = b.input("logits", ElemType::F32, [3, 4]);
    let bias = weight(&mut b, "bias", &[4], DType::F32);
    let (softmax, roots) = (RouterScore::Softmax, RouterScore::SqrtSoftplus);
    let ids = b.op(Op::ExpertChoice(ExpertChoice { used: 2, score: roots, bias: true }), &[logits, bias]);
    b.op(Op::ExpertChoice(ExpertChoice { used: 2, score: softmax, bias: false }), &[logits]);
    let plain = ExpertWeights { score: softmax, normalise: None, scale: 1.0 };
    b.op(Op::ExpertWeights(plain), &[logits, ids]);
    let w = ExpertWeights { score: roots, normalise: Some(0.25), scale: 1.5 };
    let w = b.op(Op::ExpertWeights(w), &[logits, ids]);
    let stack = weight(&mut b, "stack", &[4, 8, 8], DType::Q8_0);
    let unit = ExpertGateUp { activation: Activation::Silu, limit: None, fused: false };
    let h = b.op(Op::ExpertGateUp(unit), &[x, ids, stack, stack]);
    b.op(Op::ExpertGateUp(ExpertGateUp { limit: Some(10.0), fused: true, ..unit }), &[x, ids, stack]);
    b.op(Op::ExpertDown, &[h, ids, w, stack]);
    let text = b.finish().unwrap().to_string();
    let lines: Vec<&str> = text.lines().skip_while(|l| !l.contains(" = ")).map(str::trim).collect();
    let wanted = [
        "expert_choice [3, 2] = expert_choice<sqrt_softplus used=2 +bias>(logits, bias:F32)",
        "expert_choice#2 [3, 2] = expert_choice<softmax used=2>(logits)",
        "expert_weights [3, 2] = expert_weights<softmax *1>(logits, expert_choice)",
        "expert_weights#2 [3, 2] = expert_weights<sqrt_softplus sum>=0.25 *1.5>(logits, expert_choice)",
        "expert_gate_up [3, 2, 8] = expert_gate_up<silu>(x, expert_choice, stack:Q8_0, stack:Q8_0)",
        "expert_gate_up#2 [3, 2, 4] = expert_gate_up<silu limit=10 fused>(x, expert_choice, stack:Q8_0)",
        "expert_down [3, 8] = expert_down(expert_gate_up, expert_choice, expert_weights#2, stack:Q8_0)",
    ];
    assert_eq!(lines, wanted);
}
