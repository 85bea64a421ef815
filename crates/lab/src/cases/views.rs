//! Operands that another op has moved first: permuted, cut out at an odd place, or broadcast over an inner axis. A device that
//! reads them where they were must find the same elements.

use super::Cases;
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Activation, BinaryOp, Epilogue, Op, Start, ValueId};
use mynah_tensor::DType;

/// How an operand comes about.
#[derive(Clone, Copy, Debug)]
enum View {
    /// The last two axes change places.
    Permuted,
    /// A part of the last axis, from an odd element on.
    Columns,
    /// A part of the axis before the last.
    Rows,
}

impl View {
    const ALL: [Self; 3] = [Self::Permuted, Self::Columns, Self::Rows];

    fn name(self) -> &'static str {
        match self {
            Self::Permuted => "permuted",
            Self::Columns => "columns",
            Self::Rows => "rows",
        }
    }

    /// A value of these dimensions, three of them, of which the last two are not the first.
    fn of(self, b: &mut CaseBuilder, name: &str, [batch, rows, columns]: [usize; 3]) -> ValueId {
        let cut = |axis, len| Op::Slice { axis, start: Start::Fixed(3), len };
        match self {
            Self::Permuted => {
                let x = b.input(name, &[batch, columns, rows], Fill::Normal(1.0));
                b.op(Op::Permute(vec![0, 2, 1]), &[x])
            }
            Self::Columns => {
                let x = b.input(name, &[batch, rows, columns + 5], Fill::Normal(1.0));
                b.op(cut(2, columns), &[x])
            }
            Self::Rows => {
                let x = b.input(name, &[batch, rows + 4, columns], Fill::Normal(1.0));
                b.op(cut(1, rows), &[x])
            }
        }
    }
}

/// An op with weights of the width of its operand.
fn case(op: &Op, view: View, dims: [usize; 3], bounds: Bounds) -> Result<OpCase, LabError> {
    let [batch, rows, columns] = dims;
    let mut b = CaseBuilder::new(op.name(), &format!("{}/{batch}x{rows}x{columns}", view.name()));
    let x = view.of(&mut b, "x", dims);
    let mut operands = vec![x];
    let mut weight = |b: &mut CaseBuilder, name: &str, dims: &[usize]| {
        operands.push(b.weight(name, dims, DType::F32, Fill::Within(0.2, 1.5)));
    };
    match op {
        Op::MatMul(_) => weight(&mut b, "w", &[29, columns]),
        Op::LayerNorm { .. } => {
            weight(&mut b, "gain", &[columns]);
            weight(&mut b, "bias", &[columns]);
        }
        Op::RmsNorm { .. } => weight(&mut b, "gain", &[columns]),
        Op::DepthwiseConv1d { .. } => weight(&mut b, "taps", &[columns, 1, 3]),
        // The second operand is a view as well.
        Op::Binary(_) => operands.push(view.of(&mut b, "z", dims)),
        _ => {}
    }
    let y = b.op(op.clone(), &operands);
    b.finish(&[y], bounds)
}

/// Both factors are views, as in attention written out over heads.
fn both_factors(view: View) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("matmul", &format!("both-{}", view.name()));
    let x = view.of(&mut b, "x", [1, 19, 64]);
    let w = view.of(&mut b, "w", [1, 23, 64]);
    let flat = b.op(Op::Reshape(vec![23, 64]), &[w]);
    let y = b.op(Op::MatMul(Epilogue::default()), &[x, flat]);
    b.finish(&[y], Bounds::PRODUCT)
}

pub(super) fn cases() -> Cases {
    let ops = [
        (Op::MatMul(Epilogue::default()), Bounds::PRODUCT),
        (Op::LayerNorm { eps: 1e-5 }, Bounds::ROW),
        (Op::RmsNorm { eps: 1e-6 }, Bounds::ROW),
        (Op::Softmax, Bounds::ROW),
        (Op::LogSoftmax, Bounds::ROW),
        (Op::Argmax, Bounds::MOVED),
        (Op::Glu, Bounds::EXPONENTIAL),
        (Op::Unary(Activation::Gelu), Bounds::EXPONENTIAL),
        (Op::Scale(0.3), Bounds::ROUNDED),
        (Op::Binary(BinaryOp::Add), Bounds::ROUNDED),
        (Op::DepthwiseConv1d { pad: [1, 1], epilogue: Epilogue::default() }, Bounds::PRODUCT),
    ];
    let mut all = Vec::new();
    for view in View::ALL {
        for (op, bounds) in &ops {
            // Whole vectors of four, and none.
            all.push(case(op, view, [2, 12, 64], *bounds)?);
            all.push(case(op, view, [1, 7, 34], *bounds)?);
        }
        all.push(both_factors(view)?);
    }
    Ok(all)
}
