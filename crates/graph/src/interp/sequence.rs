//! Masking by length and the recurrent cell.

use super::{Tensor64, elementwise::sigmoid, index};
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

#[cfg(test)]
mod tests {
    use super::super::testing::{close, evaluate, t};
    use crate::op::Op;

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
