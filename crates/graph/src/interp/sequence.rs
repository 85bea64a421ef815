//! Masking by length and the recurrent cell.

use super::{Tensor64, elementwise::sigmoid, index, state};
use crate::error::GraphError;

pub(super) fn mask_rows(node: &str, x: &Tensor64, lengths: &Tensor64) -> Result<Vec<f64>, GraphError> {
    let mut out = x.data.clone();
    let (time, sequence) = (x.shape.dims()[1], x.entry_len());
    for (b, &length) in lengths.data.iter().enumerate() {
        let length = index(node, "length", length, time + 1)?;
        let valid = sequence.checked_div(time).unwrap_or(0) * length;
        out[b * sequence + valid..(b + 1) * sequence].fill(0.0);
    }
    Ok(out)
}

pub(super) fn lstm_cell(gates: &Tensor64, cell: &Tensor64) -> Vec<f64> {
    let hidden = cell.shape.last();
    let mut out = Vec::with_capacity(2 * cell.data.len());
    for (g, c) in gates.rows().zip(cell.rows()) {
        let gate = |number: usize, i: usize| g[number * hidden + i];
        let new_cell: Vec<f64> = (0..hidden)
            .map(|i| sigmoid(gate(1, i)) * c[i] + sigmoid(gate(0, i)) * gate(2, i).tanh())
            .collect();
        out.extend((0..hidden).map(|i| sigmoid(gate(3, i)) * new_cell[i].tanh()));
        out.extend(new_cell);
    }
    out
}

/// [`lstm_cell`] between state tensors, for the sequences that are active. Returns the hidden states.
pub(super) fn lstm_step(
    node: &str,
    operands: &[&Tensor64],
    hidden: &mut Tensor64,
    cell: &mut Tensor64,
) -> Result<Vec<f64>, GraphError> {
    let &[gates, rows, active] = operands else { return Ok(Vec::new()) };
    let width = hidden.entry_len();
    let rows_of = |state: &Tensor64| state::distinct(node, state, rows);
    let (hidden_rows, cell_rows) = (rows_of(hidden)?, rows_of(cell)?);
    let mut out = Vec::new();
    let sequences = gates.data.chunks_exact(4 * width.max(1)).zip(&active.data);
    for ((gates, &active), (h, c)) in sequences.zip(hidden_rows.into_iter().zip(cell_rows)) {
        let (h, c) = (h * width..(h + 1) * width, c * width..(c + 1) * width);
        if active != 0.0 {
            let gates = Tensor64::new([1, 4 * width], gates.to_vec())?;
            let before = Tensor64::new([1, width], cell.data[c.clone()].to_vec())?;
            let next = lstm_cell(&gates, &before);
            hidden.data[h.clone()].copy_from_slice(&next[..width]);
            cell.data[c].copy_from_slice(&next[width..]);
        }
        out.extend_from_slice(&hidden.data[h]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, evaluate, t};
    use super::super::{Env, run};
    use super::lstm_cell;
    use crate::op::Op;
    use crate::{ElemType, GraphBuilder};

    #[test]
    fn an_idle_sequence_keeps_its_state() {
        let mut b = GraphBuilder::new("test");
        let (hidden, cell) = (b.state("h", [2]), b.state("c", [2]));
        let gates = b.input("gates", ElemType::F32, [2, 8]);
        let rows = b.input("rows", ElemType::I32, [2]);
        let active = b.input("active", ElemType::I32, [2]);
        let y = b.op(Op::LstmStep { hidden, cell }, &[gates, rows, active]);
        b.output("y", y);
        let graph = b.finish().unwrap();
        let gates = super::super::testing::normal([2, 8], 3);
        let states = vec![t([3, 2], &[1., 2., 3., 4., 5., 6.]), t([3, 2], &[7., 8., 9., 10., 11., 12.])];
        let inputs = vec![gates.clone(), t([2], &[2., 0.]), t([2], &[0., 1.])];
        let mut env = Env { inputs, weights: &|_| None, slots: vec![], states };
        let y = run(&graph, &mut env).unwrap();
        let next = lstm_cell(&t([1, 8], &gates.data[8..]), &t([1, 2], &[7., 8.]));
        assert_eq!(y[0].data, [5., 6., next[0], next[1]]);
        assert_eq!(env.states[0].data, [next[0], next[1], 3., 4., 5., 6.]);
        assert_eq!(env.states[1].data, [next[2], next[3], 9., 10., 11., 12.]);
    }

    #[test]
    fn rows_past_the_length_become_zero() {
        let x = t([2, 2, 2], &[1., 2., 3., 4., 5., 6., 7., 8.]);
        let y = evaluate(Op::MaskRows, &[&x, &t([2], &[1., 0.])]).unwrap();
        assert_eq!(y.data, [1., 2., 0., 0., 0., 0., 0., 0.]);
        let y = evaluate(Op::MaskRows, &[&x, &t([2], &[2., 1.])]).unwrap();
        assert_eq!(y.data, [1., 2., 3., 4., 5., 6., 0., 0.]);
        let image = t([1, 2, 1, 2], &[1., 2., 3., f64::NAN]);
        let y = evaluate(Op::MaskRows, &[&image, &t([1], &[1.])]).unwrap();
        assert_eq!(y.data, [1., 2., 0., 0.]);
    }

    #[test]
    fn lengths_out_of_range_are_refused() {
        let x = t([1, 2, 1], &[1., 2.]);
        for bad in [3.0, -1.0] {
            let error = evaluate(Op::MaskRows, &[&x, &t([1], &[bad])]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("mask_rows") && text.contains(&format!("{bad}")), "{text}");
        }
    }

    #[test]
    fn lstm_cell_by_hand() {
        // sigmoid(ln 3) = 3/4, sigmoid(0) = 1/2, tanh(ln 2) = 3/5.
        // i = 3/4, f = 1/2, g = 3/5, o = 3/4; c' = 1/2·0.1 + 3/4·3/5 = 0.5; h = 3/4·tanh(0.5).
        let (l2, l3) = (2f64.ln(), 3f64.ln());
        let y = evaluate(Op::LstmCell, &[&t([1, 4], &[l3, 0., l2, l3]), &t([1, 1], &[0.1])]).unwrap();
        close(y.data[0], 0.75 * 0.5f64.tanh());
        close(y.data[1], 0.5);
    }

    #[test]
    fn gates_of_wide_cells_stand_in_blocks() {
        // Saturated gates: unit 0 keeps its cell (f = 1, i = 0), unit 1 takes the new one (i = 1, f = 0, g = 1).
        let big = 500.0;
        let gates = t([1, 8], &[-big, big, big, -big, 0., big, big, big]);
        let y = evaluate(Op::LstmCell, &[&gates, &t([1, 2], &[0.25, 9.])]).unwrap();
        close(y.data[2], 0.25);
        close(y.data[3], 1.0);
        close(y.data[0], 0.25f64.tanh());
        close(y.data[1], 1f64.tanh());
    }
}
