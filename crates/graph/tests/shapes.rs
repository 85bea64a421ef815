//! The shape rule of every op: what it accepts, what comes out, and what it refuses.

#![allow(clippy::unwrap_used)] // helpers of tests, where a panic is a failure

use mynah_graph::{
    Activation, BinaryOp, Conv2d, ElemType, Epilogue, ExpertChoice, ExpertGateUp, ExpertWeights,
    GraphBuilder, GraphError, Op, RelPosAttention, RouterScore, SlotId, Start, StateId, ValueId,
};
use mynah_tensor::Shape;

type Operand<'a> = (ElemType, &'a [usize]);

fn f(dims: &[usize]) -> Operand<'_> {
    (ElemType::F32, dims)
}

fn i(dims: &[usize]) -> Operand<'_> {
    (ElemType::I32, dims)
}

/// What the builder says of one op over inputs of these types and shapes, with a state of rows `[4]` and a slot.
fn infer(op: Op, operands: &[Operand<'_>]) -> Result<(Vec<usize>, ElemType), GraphError> {
    let mut b = GraphBuilder::new("test");
    b.state("s", [4]);
    b.slot("at");
    let mut input = |(n, (elem, dims)): (usize, &Operand<'_>)| {
        b.input(&format!("x{n}"), *elem, Shape::new(dims).unwrap())
    };
    let ids: Vec<ValueId> = operands.iter().enumerate().map(&mut input).collect();
    let y = b.op(op, &ids);
    let graph = b.finish()?;
    Ok((graph.shape(y).dims().to_vec(), graph.value(y).elem))
}

#[track_caller]
fn gives(op: Op, operands: &[Operand<'_>], wanted: &[usize]) {
    let (shape, _) = infer(op, operands).unwrap();
    assert_eq!(shape, wanted);
}

/// Every list of operands is refused, with a message that has this in it.
#[track_caller]
fn refuses(op: &Op, text: &str, lists: &[&[Operand<'_>]]) {
    for operands in lists {
        let error = infer(op.clone(), operands).unwrap_err().to_string();
        assert!(error.contains(op.name()) && error.contains(text), "{operands:?}: {error}");
    }
}

fn conv(groups: usize, stride: [usize; 2]) -> Conv2d {
    Conv2d { stride, pad_height: [1, 1], pad_width: [2, 1], groups, epilogue: Epilogue::default() }
}

const FULL: Epilogue =
    Epilogue { bias: true, activation: Some(Activation::Relu), scale: 1.0, residual: true };

#[test]
fn matmul() {
    let op = Op::MatMul(Epilogue::default());
    gives(op.clone(), &[f(&[2, 3, 8]), f(&[5, 8])], &[2, 3, 5]);
    gives(op.clone(), &[f(&[8]), f(&[5, 8])], &[5]);
    refuses(
        &op,
        "[.., K]",
        &[&[f(&[2, 8]), f(&[8, 5])], &[f(&[2, 8]), f(&[1, 5, 8])], &[f(&[]), f(&[5, 1])]],
    );
    refuses(&op, "takes 2 operands, 1", &[&[f(&[2, 8])]]);
    refuses(&op, "operand 0 must be F32", &[&[i(&[2, 8]), f(&[5, 8])]]);
    let op = Op::MatMul(FULL);
    gives(op.clone(), &[f(&[2, 8]), f(&[5, 8]), f(&[5]), f(&[2, 5])], &[2, 5]);
    refuses(&op, "the bias must be [5]", &[&[f(&[2, 8]), f(&[5, 8]), f(&[1]), f(&[2, 5])]]);
    refuses(&op, "the residual must be [2, 5]", &[&[f(&[2, 8]), f(&[5, 8]), f(&[5]), f(&[5])]]);
    refuses(&op, "takes 4 operands, 3", &[&[f(&[2, 8]), f(&[5, 8]), f(&[5])]]);
}

#[test]
fn conv2d() {
    let op = Op::Conv2d(conv(2, [2, 1]));
    // Height (7 + 2 − 3)/2 + 1 = 4, width 6 + 3 − 4 + 1 = 6.
    gives(op.clone(), &[f(&[2, 7, 6, 4]), f(&[8, 2, 3, 4])], &[2, 4, 6, 8]);
    refuses(
        &op,
        "divide into 2 groups",
        &[&[f(&[2, 7, 6, 4]), f(&[8, 4, 3, 4])], &[f(&[2, 7, 6, 4]), f(&[7, 2, 3, 4])]],
    );
    refuses(
        &op,
        "larger than the padded",
        &[&[f(&[2, 7, 6, 4]), f(&[8, 2, 10, 4])], &[f(&[2, 7, 0, 4]), f(&[8, 2, 3, 4])]],
    );
    refuses(&op, "[B, H, W, C]", &[&[f(&[7, 6, 4]), f(&[8, 2, 3, 4])]]);
    refuses(&Op::Conv2d(conv(0, [1, 1])), "groups > 0", &[&[f(&[2, 7, 6, 4]), f(&[8, 2, 3, 4])]]);
    refuses(&Op::Conv2d(conv(2, [0, 1])), "stride", &[&[f(&[2, 7, 6, 4]), f(&[8, 2, 3, 4])]]);
    let endless = Conv2d { pad_height: [usize::MAX, 1], ..conv(2, [1, 1]) };
    assert!(infer(Op::Conv2d(endless), &[f(&[2, 7, 6, 4]), f(&[8, 2, 3, 4])]).is_err());
}

#[test]
fn depthwise_conv1d() {
    let op = Op::DepthwiseConv1d { pad: [4, 4], epilogue: Epilogue { bias: true, ..Epilogue::default() } };
    gives(op.clone(), &[f(&[2, 3, 8]), f(&[8, 1, 9]), f(&[8])], &[2, 3, 8]);
    refuses(
        &op,
        "weight [C, 1, K]",
        &[&[f(&[2, 3, 8]), f(&[8, 9]), f(&[8])], &[f(&[2, 3, 8]), f(&[8, 2, 9]), f(&[8])]],
    );
    refuses(&op, "longer than the padded", &[&[f(&[2, 0, 8]), f(&[8, 1, 9]), f(&[8])]]);
}

#[test]
fn elementwise_ops() {
    let add = Op::Binary(BinaryOp::Add);
    for b in [&[2, 3, 4][..], &[4], &[3, 1], &[1, 3, 4], &[1], &[]] {
        gives(add.clone(), &[f(&[2, 3, 4]), f(b)], &[2, 3, 4]);
    }
    refuses(&add, "broadcast", &[&[f(&[4]), f(&[2, 4])], &[f(&[2, 1]), f(&[2, 4])], &[f(&[4]), f(&[3])]]);
    refuses(&add, "operand 1 must be F32", &[&[f(&[4]), i(&[4])]]);
    gives(Op::Unary(Activation::Silu), &[f(&[2, 3])], &[2, 3]);
    gives(Op::Scale(2.0), &[f(&[])], &[]);
    gives(Op::Glu, &[f(&[2, 6])], &[2, 3]);
    refuses(&Op::Glu, "even", &[&[f(&[2, 5])], &[f(&[])]]);
}

#[test]
fn norms_and_softmax() {
    gives(Op::LayerNorm { eps: 1e-5 }, &[f(&[2, 3]), f(&[3]), f(&[3])], &[2, 3]);
    refuses(
        &Op::LayerNorm { eps: 1e-5 },
        "[3]",
        &[&[f(&[2, 3]), f(&[3]), f(&[1])], &[f(&[2, 3]), f(&[1, 3]), f(&[3])]],
    );
    gives(Op::RmsNorm { eps: 1e-5 }, &[f(&[2, 3]), f(&[3])], &[2, 3]);
    gives(Op::BatchNorm { eps: 1e-5 }, &[f(&[2, 3]), f(&[3]), f(&[3]), f(&[3]), f(&[3])], &[2, 3]);
    refuses(&Op::BatchNorm { eps: 1e-5 }, "takes 5 operands", &[&[f(&[2, 3]), f(&[3]), f(&[3])]]);
    gives(Op::BatchNormScale { eps: 1e-5 }, &[f(&[3]), f(&[3])], &[3]);
    refuses(&Op::BatchNormScale { eps: 1e-5 }, "[C]", &[&[f(&[3]), f(&[1])], &[f(&[1, 3]), f(&[1, 3])]]);
    gives(Op::Softmax, &[f(&[2, 3])], &[2, 3]);
    gives(Op::LogSoftmax, &[f(&[0, 3])], &[0, 3]);
    assert_eq!(infer(Op::Argmax, &[f(&[2, 3])]).unwrap(), (vec![2], ElemType::I32));
    refuses(&Op::Argmax, "empty", &[&[f(&[2, 0])]]);
}

#[test]
fn sequence_ops() {
    gives(Op::MaskRows, &[f(&[2, 3, 4, 5]), i(&[2])], &[2, 3, 4, 5]);
    refuses(&Op::MaskRows, "lengths [batch]", &[&[f(&[2, 3]), i(&[3])], &[f(&[2]), i(&[2])]]);
    refuses(&Op::MaskRows, "operand 1 must be I32", &[&[f(&[2, 3]), f(&[2])]]);
    gives(Op::LstmCell, &[f(&[2, 12]), f(&[2, 3])], &[2, 6]);
    refuses(&Op::LstmCell, "4·hidden", &[&[f(&[2, 12]), f(&[2, 4])], &[f(&[1, 12]), f(&[2, 3])]]);
}

#[test]
fn attention_needs_a_table_that_covers_its_offsets() {
    let op = |first_offset, window| {
        Op::RelPosAttention(RelPosAttention { heads: 2, scale: 0.5, first_offset, window })
    };
    let operands = |rows: usize| {
        [[2, 5, 6].to_vec(), vec![2, 5, 6], vec![2, 5, 6], vec![rows, 6], vec![2, 3], vec![2, 3]]
    };
    let accepts = |op: Op, rows: usize| {
        let dims = operands(rows);
        let mut list: Vec<Operand<'_>> = dims.iter().map(|d| f(d)).collect();
        list.push(i(&[2]));
        infer(op, &list)
    };
    assert_eq!(accepts(op(4, None), 9).unwrap().0, [2, 5, 6]);
    for (first, window, rows) in
        [(4, None, 8), (3, None, 20), (i64::MAX, None, 9), (i64::MIN, None, 9), (2, Some([2, 1]), 3)]
    {
        let error = accepts(op(first, window), rows).unwrap_err().to_string();
        assert!(error.contains("must hold the offsets"), "{error}");
    }
    assert!(accepts(op(2, Some([2, 1])), 4).is_ok());
    assert!(accepts(op(4, Some([usize::MAX, usize::MAX])), 9).is_ok());
    let one = Op::RelPosAttention(RelPosAttention { heads: 4, scale: 0.5, first_offset: 4, window: None });
    assert!(accepts(one, 9).unwrap_err().to_string().contains("divisible by 4 heads"));
}

#[test]
fn layout_ops() {
    gives(Op::Gather, &[f(&[9, 4]), i(&[2, 3])], &[2, 3, 4]);
    refuses(&Op::Gather, "[rows, width]", &[&[f(&[9]), i(&[2])]]);
    refuses(&Op::Gather, "dimensions", &[&[f(&[9, 4]), i(&[1, 1, 1, 2])]]);
    gives(Op::Reshape(vec![6, 1]), &[f(&[2, 3])], &[6, 1]);
    refuses(&Op::Reshape(vec![5]), "elements", &[&[f(&[2, 3])]]);
    refuses(&Op::Reshape(vec![usize::MAX, 2]), "elements", &[&[f(&[2, 3])]]);
    gives(Op::Permute(vec![2, 0, 1]), &[f(&[2, 3, 4])], &[4, 2, 3]);
    for bad in [vec![0, 0, 1], vec![0, 1], vec![0, 1, 3]] {
        refuses(&Op::Permute(bad), "permutation", &[&[f(&[2, 3, 4])]]);
    }
    let cut = |axis, start, len| Op::Slice { axis, start: Start::Fixed(start), len };
    gives(cut(1, 1, 2), &[f(&[2, 3])], &[2, 2]);
    for bad in [cut(1, 2, 2), cut(1, usize::MAX, 2), cut(2, 0, 0)] {
        refuses(&bad, "entries", &[&[f(&[2, 3])]]);
    }
    gives(Op::Concat { axis: 1 }, &[f(&[2, 3]), f(&[2, 4]), f(&[2, 0])], &[2, 7]);
    refuses(&Op::Concat { axis: 1 }, "axis 1 only", &[&[f(&[2, 3]), f(&[3, 3])], &[f(&[2, 3]), f(&[2])]]);
    refuses(&Op::Concat { axis: 2 }, "no axis 2", &[&[f(&[2, 3]), f(&[2, 3])]]);
    refuses(&Op::Concat { axis: 0 }, "takes 2 operands", &[&[f(&[2, 3])]]);
    refuses(&Op::Concat { axis: 0 }, "operand 1 must be F32", &[&[f(&[2]), i(&[2])]]);
}

#[test]
fn integers_pass_through_layout_ops() {
    for op in [Op::Reshape(vec![3, 2]), Op::Permute(vec![1, 0])] {
        assert_eq!(infer(op, &[i(&[2, 3])]).unwrap().1, ElemType::I32);
    }
    assert_eq!(infer(Op::Concat { axis: 0 }, &[i(&[2]), i(&[3])]).unwrap(), (vec![5], ElemType::I32));
}

#[test]
fn state_ops() {
    let s = StateId(0);
    gives(Op::StateGather(s), &[i(&[3])], &[3, 4]);
    refuses(&Op::StateGather(s), "row numbers", &[&[i(&[3, 1])]]);
    refuses(&Op::StateGather(s), "operand 0 must be I32", &[&[f(&[3])]]);
    gives(Op::StateScatter(s), &[i(&[3]), f(&[3, 4])], &[3, 4]);
    refuses(&Op::StateScatter(s), "[3, 4]", &[&[i(&[3]), f(&[2, 4])], &[i(&[3]), f(&[3, 5])]]);
    let append = Op::StateAppend { state: s, at: SlotId(0) };
    gives(append.clone(), &[f(&[7, 4])], &[7, 4]);
    refuses(&append, "rows of [4]", &[&[f(&[4])], &[f(&[7, 5])], &[f(&[])]]);
}

#[test]
fn unknown_ids_are_refused() {
    let text = |op: Op, operands: &[Operand<'_>]| infer(op, operands).unwrap_err().to_string();
    assert_eq!(text(Op::StateGather(StateId(1)), &[i(&[3])]), "state_gather: there is no state 1");
    let append = Op::StateAppend { state: StateId(0), at: SlotId(7) };
    assert_eq!(text(append, &[f(&[1, 4])]), "state_append: there is no slot 7");
    let cut = Op::Slice { axis: 0, start: Start::Slot(SlotId(u32::MAX)), len: 1 };
    assert_eq!(text(cut, &[f(&[4])]), "slice: there is no slot 4294967295");
    let mut b = GraphBuilder::new("test");
    b.op(Op::Glu, &[ValueId(5)]);
    assert_eq!(b.finish().unwrap_err().to_string(), "glu: there is no value 5");
}

#[test]
fn routers() {
    let choice = |used, bias| Op::ExpertChoice(ExpertChoice { used, score: RouterScore::Softmax, bias });
    assert_eq!(infer(choice(3, false), &[f(&[2, 5, 8])]).unwrap(), (vec![2, 5, 3], ElemType::I32));
    gives(choice(8, true), &[f(&[8]), f(&[8])], &[8]);
    refuses(&choice(9, false), "9 of 8", &[&[f(&[2, 8])]]);
    refuses(&choice(0, false), "0 of 8", &[&[f(&[2, 8])]]);
    refuses(&choice(2, true), "bias", &[&[f(&[2, 8]), f(&[7])], &[f(&[2, 8]), f(&[2, 8])]]);
    let weights =
        |normalise, scale| Op::ExpertWeights(ExpertWeights { score: RouterScore::Sigmoid, normalise, scale });
    gives(weights(Some(0.0), 2.5), &[f(&[2, 5, 8]), i(&[2, 5, 3])], &[2, 5, 3]);
    let other: [&[Operand<'_>]; 3] =
        [&[f(&[2, 5, 8]), i(&[5, 2, 3])], &[f(&[5, 8]), i(&[2, 5, 3])], &[f(&[5, 8]), i(&[5, 0])]];
    refuses(&weights(None, 1.0), "same tokens", &other);
    for bad in [weights(Some(-1.0), 1.0), weights(Some(f32::NAN), 1.0), weights(None, f32::INFINITY)] {
        refuses(&bad, "scaled", &[&[f(&[5, 8]), i(&[5, 3])]]);
    }
    assert!(infer(weights(None, 1.0), &[f(&[5, 8]), f(&[5, 3])]).is_err(), "ids are whole numbers");
}

#[test]
fn experts() {
    let unit = |fused, limit| Op::ExpertGateUp(ExpertGateUp { activation: Activation::Silu, limit, fused });
    let (x, ids, stack) = (f(&[2, 5, 16]), i(&[2, 5, 3]), f(&[8, 12, 16]));
    gives(unit(false, None), &[x, ids, stack, stack], &[2, 5, 3, 12]);
    gives(unit(true, Some(10.0)), &[x, ids, stack], &[2, 5, 3, 6]);
    let other = [f(&[8, 12, 15]), f(&[12, 16]), f(&[8, 13, 16]), f(&[0, 12, 16])];
    for bad in other {
        refuses(&unit(false, None), "stacks", &[&[x, ids, stack, bad], &[x, ids, bad, stack]]);
    }
    refuses(&unit(true, None), "2F", &[&[x, ids, other[0]], &[x, ids, other[2]]]);
    refuses(&unit(true, None), "same tokens", &[&[x, i(&[2, 4, 3]), stack], &[x, i(&[2, 5, 0]), stack]]);
    refuses(&unit(true, Some(0.0)), "limit", &[&[x, ids, stack]]);
    assert!(infer(unit(true, None), &[x, ids, stack, stack]).is_err(), "one stack is two too many");
    let (h, weights) = (f(&[2, 5, 3, 16]), f(&[2, 5, 3]));
    gives(Op::ExpertDown, &[h, ids, weights, stack], &[2, 5, 12]);
    refuses(&Op::ExpertDown, "the stack", &[&[h, ids, weights, other[0]], &[h, ids, weights, other[1]]]);
    let rows: [&[Operand<'_>]; 2] = [&[h, ids, f(&[2, 5, 2]), stack], &[x, ids, weights, stack]];
    refuses(&Op::ExpertDown, "h must be", &rows);
}
