//! The ops of speech synthesis: their shape rules, what they refuse, and how a dump tells them apart.

#![allow(clippy::unwrap_used)] // helpers of tests, where a panic is a failure

use mynah_graph::{
    Activation, Attention, Conv1d, ConvTranspose1d, ElemType, Epilogue, GraphBuilder, GraphError,
    InverseStft, Op, ValueId,
};
use mynah_tensor::Shape;

type Operand<'a> = (ElemType, &'a [usize]);

fn f(dims: &[usize]) -> Operand<'_> {
    (ElemType::F32, dims)
}

fn i(dims: &[usize]) -> Operand<'_> {
    (ElemType::I32, dims)
}

fn infer(op: Op, operands: &[Operand<'_>]) -> Result<Vec<usize>, GraphError> {
    let mut b = GraphBuilder::new("test");
    let input = |(n, (elem, dims)): (usize, &Operand<'_>)| {
        b.input(&format!("x{n}"), *elem, Shape::new(dims).unwrap())
    };
    let ids: Vec<ValueId> = operands.iter().enumerate().map(input).collect();
    let y = b.op(op, &ids);
    let graph = b.finish()?;
    Ok(graph.shape(y).dims().to_vec())
}

#[track_caller]
fn gives(op: Op, operands: &[Operand<'_>], wanted: &[usize]) {
    assert_eq!(infer(op, operands).unwrap(), wanted);
}

/// Every list of operands is refused, with a message that has this in it.
#[track_caller]
fn refuses(op: &Op, text: &str, lists: &[&[Operand<'_>]]) {
    for operands in lists {
        let error = infer(op.clone(), operands).unwrap_err().to_string();
        assert!(error.contains(op.name()) && error.contains(text), "{operands:?}: {error}");
    }
}

const PLAIN: Epilogue = Epilogue { bias: false, activation: None, scale: 1.0, residual: false };

fn line(stride: usize, dilation: usize, pad: [usize; 2]) -> Op {
    Op::Conv1d(Conv1d { stride, dilation, pad, epilogue: PLAIN })
}

fn back(stride: usize, pad: [usize; 2]) -> Op {
    Op::ConvTranspose1d(ConvTranspose1d { stride, pad, epilogue: PLAIN })
}

#[test]
fn conv1d() {
    let operands = [f(&[2, 20, 4]), f(&[6, 4, 3])];
    gives(line(1, 1, [2, 0]), &operands, &[2, 20, 6]);
    // (20 + 1 + 2 − 3·2 − 1)/2 + 1 = 9.
    gives(line(2, 3, [1, 2]), &operands, &[2, 9, 6]);
    gives(line(1, 1, [1, 1]), &[f(&[1, 1, 4]), f(&[6, 4, 3])], &[1, 1, 6]);
    refuses(&line(1, 1, [0, 0]), "longer than the padded", &[&[f(&[1, 2, 4]), f(&[6, 4, 3])]]);
    refuses(&line(1, 10, [0, 0]), "longer than the padded", &[&operands]);
    refuses(
        &line(1, 1, [0, 0]),
        "[Co, Ci, K]",
        &[
            &[f(&[2, 20, 4]), f(&[6, 3, 3])],
            &[f(&[20, 4]), f(&[6, 4, 3])],
            &[f(&[2, 20, 4]), f(&[6, 4])],
            &[f(&[2, 20, 4]), f(&[6, 4, 0])],
        ],
    );
    refuses(&line(0, 1, [0, 0]), "stride and dilation > 0", &[&operands]);
    refuses(&line(1, 0, [0, 0]), "stride and dilation > 0", &[&operands]);
    for endless in [line(1, usize::MAX, [0, 0]), line(1, 1, [usize::MAX, 1])] {
        assert!(infer(endless, &operands).is_err());
    }
    let epilogue = Epilogue { bias: true, residual: true, ..PLAIN };
    let op = Op::Conv1d(Conv1d { epilogue, ..Conv1d::padded(1, 1) });
    gives(op.clone(), &[operands[0], operands[1], f(&[6]), f(&[2, 20, 6])], &[2, 20, 6]);
    refuses(&op, "the bias must be [6]", &[&[operands[0], operands[1], f(&[4]), f(&[2, 20, 6])]]);
}

#[test]
fn conv_transpose1d() {
    let operands = [f(&[2, 7, 4]), f(&[4, 6, 16])];
    // (7 − 1)·8 + 16 − 4 − 4 = 56.
    gives(back(8, [4, 4]), &operands, &[2, 56, 6]);
    gives(back(20, [0, 3]), &operands, &[2, 133, 6]);
    refuses(&back(1, [20, 3]), "more is cut off", &[&operands]);
    refuses(&back(1, [0, 0]), "more is cut off", &[&[f(&[2, 0, 4]), f(&[4, 6, 16])]]);
    refuses(&back(0, [0, 0]), "stride > 0", &[&operands]);
    refuses(
        &back(1, [0, 0]),
        "[Ci, Co, K]",
        &[&[f(&[2, 7, 6]), f(&[4, 6, 16])], &[f(&[7, 4]), f(&[4, 6, 16])]],
    );
    assert!(infer(back(usize::MAX, [0, 0]), &operands).is_err());
}

#[test]
fn attention() {
    let op = Op::Attention(Attention { scale: 0.5 });
    let (q, k) = (f(&[2, 7, 3, 8]), f(&[2, 9, 3, 8]));
    gives(op.clone(), &[q, k, k, i(&[2])], &[2, 7, 3, 8]);
    refuses(
        &op.clone(),
        "k and v must be one",
        &[
            &[q, k, f(&[2, 8, 3, 8]), i(&[2])],
            &[q, f(&[1, 9, 3, 8]), f(&[1, 9, 3, 8]), i(&[2])],
            &[q, f(&[2, 9, 1, 8]), f(&[2, 9, 1, 8]), i(&[2])],
        ],
    );
    refuses(&op.clone(), "[batch, time, heads, width]", &[&[f(&[2, 7, 24]), k, k, i(&[2])]]);
    refuses(&op.clone(), "lengths must be [batch]", &[&[q, k, k, i(&[7])]]);
    refuses(&op, "operand 3 must be I32", &[&[q, k, k, f(&[2])]]);
}

#[test]
fn elements_and_rows() {
    gives(Op::Snake, &[f(&[2, 3, 5]), f(&[5])], &[2, 3, 5]);
    refuses(&Op::Snake, "[5]", &[&[f(&[2, 3, 5]), f(&[3])], &[f(&[2, 3, 5]), f(&[1])]]);
    gives(Op::Clamp { min: -1.0, max: 1.0 }, &[f(&[4])], &[4]);
    refuses(&Op::Clamp { min: 1.0, max: -1.0 }, "no number lies between", &[&[f(&[4])]]);
    refuses(&Op::Clamp { min: f32::NAN, max: 1.0 }, "no number lies between", &[&[f(&[4])]]);
    gives(Op::RepeatRows { times: 3 }, &[f(&[2, 4, 5])], &[2, 12, 5]);
    refuses(&Op::RepeatRows { times: 0 }, "once or more", &[&[f(&[2, 4, 5])]]);
    refuses(&Op::RepeatRows { times: 2 }, "[B, T, C]", &[&[f(&[4, 5])]]);
    assert!(infer(Op::RepeatRows { times: usize::MAX }, &[f(&[2, 4, 5])]).is_err());
    gives(Op::SegmentMean { len: 100 }, &[f(&[1, 237, 8])], &[1, 3, 8]);
    gives(Op::SegmentMean { len: 100 }, &[f(&[1, 200, 8])], &[1, 2, 8]);
    refuses(&Op::SegmentMean { len: 0 }, "a row or more", &[&[f(&[1, 237, 8])]]);
}

#[test]
fn inverse_stft() {
    let op = |hop| Op::InverseStft(InverseStft { hop });
    gives(op(4), &[f(&[2, 121, 18])], &[2, 480]);
    gives(op(1), &[f(&[1, 1, 4])], &[1, 0]);
    refuses(&op(4), "real and imaginary", &[&[f(&[2, 121, 17])], &[f(&[2, 121, 2])], &[f(&[2, 121, 0])]]);
    refuses(&op(9), "1 to 8 samples apart", &[&[f(&[2, 121, 18])]]);
    refuses(&op(0), "1 to 8 samples apart", &[&[f(&[2, 121, 18])]]);
    refuses(&op(4), "there must be a frame", &[&[f(&[2, 0, 18])]]);
}

#[test]
fn a_dump_tells_them_apart() {
    let mut b = GraphBuilder::new("vocoder");
    let x = b.input("x", ElemType::F32, [1, 6, 4]);
    let w = b.input("w", ElemType::F32, [4, 4, 3]);
    let alpha = b.input("alpha", ElemType::F32, [4]);
    let lengths = b.input("lengths", ElemType::I32, [1]);
    let then = Epilogue { activation: Some(Activation::LeakyRelu(0.1)), ..PLAIN };
    b.op(Op::Conv1d(Conv1d { epilogue: then, dilation: 2, ..Conv1d::padded(4, 0) }), &[x, w]);
    b.conv_transpose1d(x, w, None, ConvTranspose1d { stride: 2, pad: [1, 0], epilogue: PLAIN });
    b.snake(x, alpha);
    b.clamp(x, -0.99, 0.99);
    b.unary(Activation::LeakyRelu(0.01), x);
    b.gated(Activation::LeakyRelu(0.2), x, x);
    let heads = b.reshape(x, &[1, 6, 2, 2]);
    b.attention(heads, heads, heads, lengths, 0.25);
    b.repeat_rows(x, 2);
    b.segment_mean(x, 4);
    b.inverse_stft(x, 1);
    let text = b.finish().unwrap().to_string();
    let lines: Vec<&str> = text.lines().skip_while(|l| !l.contains(" = ")).map(str::trim).collect();
    let wanted = [
        "conv1d [1, 6, 4] = conv1d<stride=1 dilation=2 pad=[4, 0] +leaky_relu(0.1)>(x, w)",
        "conv_transpose1d [1, 12, 4] = conv_transpose1d<stride=2 pad=[1, 0]>(x, w)",
        "snake [1, 6, 4] = snake(x, alpha)",
        "clamp [1, 6, 4] = clamp<-0.99..=0.99>(x)",
        "leaky_relu [1, 6, 4] = leaky_relu<slope=0.01>(x)",
        "gated [1, 6, 4] = gated<leaky_relu(0.2)>(x, x)",
        "reshape [1, 6, 2, 2] = reshape(x)",
        "attention [1, 6, 2, 2] = attention<scale=0.25>(reshape, reshape, reshape, lengths)",
        "repeat_rows [1, 12, 4] = repeat_rows<times=2>(x)",
        "segment_mean [1, 2, 4] = segment_mean<len=4>(x)",
        "inverse_stft [1, 5] = inverse_stft<hop=1>(x)",
    ];
    assert_eq!(lines, wanted);
}
