//! Masking, the LSTM cell, and state tensors.

use super::{Cases, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Op, StateElem};

pub(super) fn mask_rows(tag: &str, dims: &[usize], lengths: &[i32]) -> Result<OpCase, LabError> {
    let lens = lengths.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let mut b = CaseBuilder::new("mask_rows", &format!("{tag}/{}/len{lens}", by(dims)));
    let x = b.input("x", dims, Fill::Normal(1.0));
    let lengths = b.ints("lengths", &dims[..1], lengths);
    let y = b.op(Op::MaskRows, &[x, lengths]);
    b.finish(&[y], Bounds::MOVED)
}

pub(super) fn lstm_cell(tag: &str, batch: usize, hidden: usize, gates: Fill) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("lstm_cell", &format!("{tag}/{batch}x{hidden}"));
    let g = b.input("gates", &[batch, 4 * hidden], gates);
    let c = b.input("cell", &[batch, hidden], Fill::Normal(1.0));
    let y = b.op(Op::LstmCell, &[g, c]);
    b.finish(&[y], Bounds::EXPONENTIAL)
}

pub(super) fn state_gather(tag: &str, count: usize, row: &[usize], rows: &[i32]) -> Result<OpCase, LabError> {
    stored_gather(tag, StateElem::F32, count, row, rows)
}

pub(super) fn state_scatter(
    tag: &str,
    count: usize,
    row: &[usize],
    rows: &[i32],
) -> Result<OpCase, LabError> {
    stored_scatter(tag, StateElem::F32, count, row, (rows, Fill::Normal(1.0)))
}

pub(super) fn state_append(
    tag: &str,
    count: usize,
    row: &[usize],
    new: usize,
    at: i64,
) -> Result<OpCase, LabError> {
    stored_append(tag, StateElem::F32, count, row, [new, at as usize])
}

fn stored_gather(
    tag: &str,
    elem: StateElem,
    count: usize,
    row: &[usize],
    rows: &[i32],
) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("state_gather", &format!("{tag}/{count}x{}/{}", by(row), rows.len()));
    let state = b.stored_state("state", count, row, elem);
    let rows = b.ints("rows", &[rows.len()], rows);
    let y = b.op(Op::StateGather(state), &[rows]);
    b.finish(&[y], Bounds::MOVED)
}

fn stored_scatter(
    tag: &str,
    elem: StateElem,
    count: usize,
    row: &[usize],
    (rows, fill): (&[i32], Fill),
) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("state_scatter", &format!("{tag}/{count}x{}/{}", by(row), rows.len()));
    let state = b.stored_state("state", count, row, elem);
    let value = b.input("value", &[&[rows.len()], row].concat(), fill);
    let rows = b.ints("rows", &[rows.len()], rows);
    let y = b.op(Op::StateScatter(state), &[rows, value]);
    b.finish(&[y], Bounds::MOVED)
}

/// New rows, and where they begin.
fn stored_append(
    tag: &str,
    elem: StateElem,
    count: usize,
    row: &[usize],
    [new, at]: [usize; 2],
) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("state_append", &format!("{tag}/{count}x{}/{new}at{at}", by(row)));
    let state = b.stored_state("state", count, row, elem);
    let at = b.slot("at", at as i64);
    let value = b.input("value", &[&[new], row].concat(), Fill::Normal(1.0));
    let y = b.op(Op::StateAppend { state, at }, &[value]);
    b.finish(&[y], Bounds::MOVED)
}

pub(super) fn cases() -> Cases {
    use StateElem::F16;
    let normal = Fill::Normal(1.0);
    Ok(vec![
        mask_rows("0.6b", &[1, 138, 1024], &[125])?,
        mask_rows("batch", &[3, 17, 64], &[17, 1, 0])?,
        mask_rows("image", &[2, 13, 64, 32], &[13, 5])?,
        mask_rows("rank2", &[2, 5], &[3, 0])?,
        mask_rows("nothing", &[1, 5, 3], &[0])?,
        mask_rows("one-frame", &[2, 1, 33], &[1, 0])?,
        lstm_cell("0.6b", 1, 640, Fill::Normal(1.0))?,
        lstm_cell("batch", 5, 640, Fill::Normal(1.0))?,
        lstm_cell("odd", 3, 17, Fill::Normal(2.0))?,
        lstm_cell("one-unit", 2, 1, Fill::Normal(1.0))?,
        lstm_cell("saturated", 2, 33, Fill::Within(-60.0, 60.0))?,
        state_gather("lstm", 8, &[640], &[5])?,
        state_gather("batch", 8, &[640], &[7, 0, 3, 3])?,
        state_gather("rank3", 4, &[2, 17], &[3, 1])?,
        state_scatter("lstm", 8, &[640], &[5])?,
        state_scatter("batch", 8, &[640], &[7, 0, 3])?,
        state_scatter("rank3", 4, &[2, 17], &[2, 3])?,
        state_scatter("all", 3, &[5], &[1, 2, 0])?,
        state_append("cache", 70, &[512], 2, 11)?,
        state_append("start", 9, &[33], 4, 0)?,
        state_append("end", 9, &[33], 4, 5)?,
        state_append("rank3", 5, &[2, 3], 1, 4)?,
        stored_gather("halves", F16, 5, &[2, 16, 64], &[3, 0])?,
        stored_gather("halves-rank3", F16, 4, &[3, 4], &[3, 1])?,
        stored_scatter("halves", F16, 5, &[2, 16, 64], (&[3, 0], normal))?,
        stored_scatter("halves-rank3", F16, 4, &[3, 4], (&[2], normal))?,
        // Most are beyond what a half can hold.
        stored_scatter("halves-saturated", F16, 4, &[3, 4], (&[2, 1], Fill::Within(-2e5, 2e5)))?,
        stored_append("halves", F16, 9, &[16, 64], [4, 5])?,
    ])
}
