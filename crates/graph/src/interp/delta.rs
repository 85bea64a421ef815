//! The gated delta rule, token by token.

use super::{Tensor64, index};
use crate::error::GraphError;
use crate::op::GatedDeltaNet;

/// Which tokens of a batch row are a sequence's, and where its matrices are.
pub(super) struct Sequence {
    pub(super) row: usize,
    pub(super) length: usize,
    pub(super) from: usize,
}

pub(super) fn gated_delta_net(
    node: &str,
    d: &GatedDeltaNet,
    operands: &[&Tensor64],
    state: &mut Tensor64,
) -> Result<Vec<f64>, GraphError> {
    let &[q, k, v, gate, beta, sequences] = operands else { return Ok(Vec::new()) };
    let &[_, time, heads, size] = v.shape.dims() else { return Ok(Vec::new()) };
    let key_heads = q.shape.dims()[2];
    let sequences = read_sequences(node, d.snapshots, sequences, state, time)?;
    let (matrix, scale) = (size * size, 1.0 / (size as f64).sqrt());
    let row_len = state.entry_len();
    let mut out = vec![0.0; v.data.len()];
    for (b, sequence) in sequences.iter().enumerate() {
        let row = &mut state.data[sequence.row * row_len..(sequence.row + 1) * row_len];
        for head in 0..heads {
            let at =
                |snapshot: usize| (snapshot * heads + head) * matrix..(snapshot * heads + head + 1) * matrix;
            let mut m = row[at(sequence.from)].to_vec();
            for t in 0..sequence.length {
                let token = b * time + t;
                let key_at = (token * key_heads + head % key_heads) * size;
                let (q, k) = (&q.data[key_at..key_at + size], &k.data[key_at..key_at + size]);
                let value_at = (token * heads + head) * size;
                let decay = |i: usize| {
                    let per_channel = gate.data.len() == v.data.len();
                    let at = if per_channel { value_at + i } else { token * heads + head };
                    gate.data[at].exp()
                };
                for (j, line) in m.chunks_exact_mut(size).enumerate() {
                    line.iter_mut().enumerate().for_each(|(i, m)| *m *= decay(i));
                    let read: f64 = line.iter().zip(k).map(|(m, k)| m * k).sum();
                    let delta = (v.data[value_at + j] - read) * beta.data[token * heads + head];
                    line.iter_mut().zip(k).for_each(|(m, k)| *m += k * delta);
                    out[value_at + j] = scale * line.iter().zip(q).map(|(m, q)| m * q).sum::<f64>();
                }
                let earlier = sequence.length - 1 - t;
                if earlier < d.snapshots {
                    row[at(earlier)].copy_from_slice(&m);
                }
            }
        }
    }
    Ok(out)
}

/// Checks every number before anything is written.
pub(super) fn read_sequences(
    node: &str,
    snapshots: usize,
    sequences: &Tensor64,
    state: &Tensor64,
    time: usize,
) -> Result<Vec<Sequence>, GraphError> {
    let rows = state.shape.dims().first().copied().unwrap_or(0);
    let mut all: Vec<Sequence> = Vec::new();
    for numbers in sequences.data.chunks_exact(3) {
        let sequence = Sequence {
            row: index(node, "row", numbers[0], rows)?,
            length: index(node, "length", numbers[1], time + 1)?,
            from: index(node, "snapshot", numbers[2], snapshots)?,
        };
        if all.iter().any(|s| s.row == sequence.row) {
            return Err(GraphError::DuplicateRow { node: node.to_owned(), row: sequence.row });
        }
        all.push(sequence);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, normal, t};
    use super::super::{Env, run};
    use super::*;
    use crate::{ElemType, Graph, GraphBuilder, Op};

    fn graph(dims: [usize; 4], key_heads: usize, per_channel: bool, snapshots: usize) -> Graph {
        let [batch, time, heads, size] = dims;
        let mut b = GraphBuilder::new("delta");
        let state = b.state("m", [snapshots * heads, size, size]);
        let q = b.input("q", ElemType::F32, [batch, time, key_heads, size]);
        let k = b.input("k", ElemType::F32, [batch, time, key_heads, size]);
        let v = b.input("v", ElemType::F32, dims);
        let gate = match per_channel {
            true => b.input("g", ElemType::F32, dims),
            false => b.input("g", ElemType::F32, [batch, time, heads]),
        };
        let beta = b.input("beta", ElemType::F32, [batch, time, heads]);
        let sequences = b.input("sequences", ElemType::I32, [batch, 3]);
        let op = Op::GatedDeltaNet(GatedDeltaNet { state, snapshots });
        let y = b.op(op, &[q, k, v, gate, beta, sequences]);
        b.output("y", y);
        b.finish().unwrap()
    }

    #[test]
    fn two_tokens_by_hand() {
        // One head of width 1, scale 1. M = 3, decay 1/2 → 1.5; read 1.5·2 = 3; d = (5 − 3)·0.5 = 1; M = 1.5 + 2 = 3.5;
        // out = 3.5·10. Then decay 1 → 3.5; read 3.5; d = (4.5 − 3.5)·1 = 1; M = 4.5; out 4.5.
        let g = graph([1, 2, 1, 1], 1, false, 1);
        let inputs = vec![
            t([1, 2, 1, 1], &[10., 1.]),
            t([1, 2, 1, 1], &[2., 1.]),
            t([1, 2, 1, 1], &[5., 4.5]),
            t([1, 2, 1], &[0.5f64.ln(), 0.]),
            t([1, 2, 1], &[0.5, 1.]),
            t([1, 3], &[0., 2., 0.]),
        ];
        let mut env = Env { inputs, weights: &|_| None, slots: vec![], states: vec![t([1, 1, 1, 1], &[3.])] };
        let y = run(&g, &mut env).unwrap();
        close(y[0].data[0], 35.0);
        close(y[0].data[1], 4.5);
        close(env.states[0].data[0], 4.5);
    }

    /// Inputs over three tokens for two heads that share a key head.
    fn inputs(per_channel: bool, sequences: &[f64]) -> Vec<Tensor64> {
        let gate = if per_channel { normal([1, 3, 2, 4], 4) } else { normal([1, 3, 2], 4) };
        let decays = gate.data.iter().map(|g| -g.abs()).collect();
        let gate = Tensor64 { data: decays, ..gate };
        let [q, k] = [1, 2].map(|seed| normal([1, 3, 1, 4], seed));
        vec![q, k, normal([1, 3, 2, 4], 3), gate, normal([1, 3, 2], 5), t([1, 3], sequences)]
    }

    #[test]
    fn snapshots_are_the_states_of_earlier_tokens() {
        for per_channel in [false, true] {
            let g = graph([1, 3, 2, 4], 1, per_channel, 2);
            let start = normal([2, 4, 4, 4], 9);
            let run_with = |sequences: &[f64], state: &Tensor64| {
                let states = vec![state.clone()];
                let mut env =
                    Env { inputs: inputs(per_channel, sequences), weights: &|_| None, slots: vec![], states };
                let y = run(&g, &mut env).unwrap();
                (y[0].clone(), env.states[0].clone())
            };
            let (_, three) = run_with(&[1., 3., 0.], &start);
            let (_, two) = run_with(&[1., 2., 0.], &start);
            let row = 4 * 16;
            // Snapshot 1 after three tokens is snapshot 0 after two; row 0 stays as it was.
            assert_eq!(three.data[row + 32..2 * row], two.data[row..row + 32]);
            assert_eq!(three.data[..row], start.data[..row]);
            // A sequence of no tokens changes nothing and gives zeros.
            let (y, none) = run_with(&[1., 0., 0.], &start);
            assert_eq!((none.data, y.data), (start.data.clone(), vec![0.0; 24]));
            // Starting from snapshot 1 reads that matrix.
            let mut moved = start.clone();
            moved.data.copy_within(row + 32..2 * row, row);
            let (a, _) = run_with(&[1., 3., 1.], &start);
            let (b, _) = run_with(&[1., 3., 0.], &moved);
            assert_eq!(a, b);
        }
    }

    #[test]
    fn one_decay_for_all_channels_is_the_scalar_gate() {
        let scalar = inputs(false, &[0., 3., 0.]);
        let mut wide = scalar.clone();
        let data = scalar[3].data.iter().flat_map(|g| [*g; 4]).collect();
        wide[3] = Tensor64 { shape: [1, 3, 2, 4].into(), data };
        let result = |per_channel: bool, inputs: Vec<Tensor64>| {
            let states = vec![normal([1, 2, 4, 4], 7)];
            let mut env = Env { inputs, weights: &|_| None, slots: vec![], states };
            run(&graph([1, 3, 2, 4], 1, per_channel, 1), &mut env).unwrap()
        };
        assert_eq!(result(false, scalar), result(true, wide));
    }

    #[test]
    fn bad_numbers_leave_the_state_alone() {
        let g = graph([1, 3, 2, 4], 1, false, 2);
        for bad in [[2., 3., 0.], [0., 4., 0.], [0., 3., 2.], [-1., 3., 0.]] {
            let states = vec![normal([2, 4, 4, 4], 9)];
            let before = states.clone();
            let mut env = Env { inputs: inputs(false, &bad), weights: &|_| None, slots: vec![], states };
            let error = run(&g, &mut env).unwrap_err();
            assert!(matches!(error, GraphError::OutOfRange { .. }), "{error}");
            assert_eq!(env.states, before);
        }
    }
}
