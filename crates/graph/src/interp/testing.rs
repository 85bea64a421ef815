//! Short hands for the tests of the op families.

use super::{Env, Tensor64, run};
use crate::{ElemType, Graph, GraphBuilder, GraphError, Op};
use mynah_tensor::{Rng, Shape};

/// A tensor of these elements.
pub(super) fn t<const N: usize>(shape: [usize; N], data: &[f64]) -> Tensor64 {
    Tensor64::new(shape, data.to_vec()).unwrap()
}

/// A tensor of seeded normal elements.
pub(super) fn normal<const N: usize>(shape: [usize; N], seed: u64) -> Tensor64 {
    let mut rng = Rng::new(seed);
    let data = (0..Shape::from(shape).numel()).map(|_| f64::from(rng.normal())).collect();
    Tensor64::new(shape, data).unwrap()
}

/// A graph of one op whose operands are all inputs.
pub(super) fn single(op: Op, operands: &[&Tensor64]) -> Result<Graph, GraphError> {
    let mut b = GraphBuilder::new("test");
    let ids: Vec<_> =
        operands.iter().enumerate().map(|(i, x)| b.input(&format!("x{i}"), takes(&op, i), x.shape)).collect();
    let y = b.op(op, &ids);
    b.output("y", y);
    b.finish()
}

/// Runs one op on these operands.
pub(super) fn evaluate(op: Op, operands: &[&Tensor64]) -> Result<Tensor64, GraphError> {
    let graph = single(op, operands)?;
    let inputs = operands.iter().map(|&x| x.clone()).collect();
    let mut outputs = run(&graph, &mut Env { inputs, weights: &|_| None, slots: vec![], states: vec![] })?;
    Ok(outputs.remove(0))
}

fn takes(op: &Op, operand: usize) -> ElemType {
    match (op, operand) {
        (Op::Gather | Op::MaskRows, 1) | (Op::RelPosAttention(_), 6) | (Op::Rope(_), 1) => ElemType::I32,
        (Op::Attention(_), 3) => ElemType::I32,
        (Op::ExpertWeights(_) | Op::ExpertGateUp(_) | Op::ExpertDown, 1) => ElemType::I32,
        _ => ElemType::F32,
    }
}

/// Asserts equality up to f64 rounding.
#[track_caller]
pub(super) fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{a} is not {b}");
}
