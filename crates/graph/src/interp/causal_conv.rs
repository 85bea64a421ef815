//! A causal convolution that goes on from the inputs of earlier runs.

use super::delta::read_sequences;
use super::{Tensor64, elementwise::activate};
use crate::decoder::CausalConv1d;
use crate::error::GraphError;

pub(super) fn causal_conv1d(
    node: &str,
    c: &CausalConv1d,
    operands: &[&Tensor64],
    state: &mut Tensor64,
) -> Result<Vec<f64>, GraphError> {
    let &[x, weight, sequences] = operands else { return Ok(Vec::new()) };
    let &[_, time, channels] = x.shape.dims() else { return Ok(Vec::new()) };
    let taps = weight.shape.last();
    let kept = taps - 2 + c.snapshots;
    let sequences = read_sequences(node, c.snapshots, sequences, state, time)?;
    let mut out = vec![0.0; x.data.len()];
    for (b, sequence) in sequences.iter().enumerate().filter(|(_, s)| s.length > 0) {
        let row = &mut state.data[sequence.row * kept * channels..(sequence.row + 1) * kept * channels];
        let past = kept - sequence.from;
        let mut stream = row[..past * channels].to_vec();
        stream.extend_from_slice(&x.data[b * time * channels..][..sequence.length * channels]);
        for t in 0..sequence.length {
            for channel in 0..channels {
                let tap = |k: usize| {
                    let input = stream[(past + t + 1 - taps + k) * channels + channel];
                    weight.data[channel * taps + k] * input
                };
                let sum: f64 = (0..taps).map(tap).sum();
                out[(b * time + t) * channels + channel] = c.activation.map_or(sum, |f| activate(f, sum));
            }
        }
        // Inputs that went with the snapshots left out are gone: zeros stand in their place.
        let have = stream.len().min(row.len());
        let (gone, last) = row.split_at_mut(row.len() - have);
        gone.fill(0.0);
        last.copy_from_slice(&stream[stream.len() - have..]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, normal, t};
    use super::super::{Env, run};
    use super::*;
    use crate::{Activation, ElemType, Graph, GraphBuilder, Op};

    fn graph(dims: [usize; 3], taps: usize, snapshots: usize, activation: Option<Activation>) -> Graph {
        let [batch, _, channels] = dims;
        let mut b = GraphBuilder::new("conv");
        let state = b.state("inputs", [taps - 2 + snapshots, channels]);
        let x = b.input("x", ElemType::F32, dims);
        let w = b.input("w", ElemType::F32, [channels, 1, taps]);
        let sequences = b.input("sequences", ElemType::I32, [batch, 3]);
        let y = b.op(Op::CausalConv1d(CausalConv1d { state, snapshots, activation }), &[x, w, sequences]);
        b.output("y", y);
        b.finish().unwrap()
    }

    fn step(
        g: &Graph,
        x: &Tensor64,
        w: &Tensor64,
        sequences: &[f64],
        state: &Tensor64,
    ) -> Result<(Vec<f64>, Tensor64), GraphError> {
        let batch = x.shape.dims()[0];
        let inputs = vec![x.clone(), w.clone(), t([batch, 3], sequences)];
        let mut env = Env { inputs, weights: &|_| None, slots: vec![], states: vec![state.clone()] };
        let y = run(g, &mut env)?;
        Ok((y[0].data.clone(), env.states[0].clone()))
    }

    #[test]
    fn two_tokens_by_hand() {
        // Taps 1, 10, 100 over the inputs 2, 3 of before and 4, 5 of now; the last two stay.
        let g = graph([1, 2, 1], 3, 1, None);
        let w = t([1, 1, 3], &[1., 10., 100.]);
        let (y, state) =
            step(&g, &t([1, 2, 1], &[4., 5.]), &w, &[0., 2., 0.], &t([1, 2, 1], &[2., 3.])).unwrap();
        assert_eq!(y, [432., 543.]);
        assert_eq!(state.data, [4., 5.]);
        let silu = graph([1, 2, 1], 3, 1, Some(Activation::Silu));
        let small = t([1, 1, 3], &[0.0, 0.0, 1.0]);
        let (y, _) =
            step(&silu, &t([1, 2, 1], &[1., 5.]), &small, &[0., 1., 0.], &t([1, 2, 1], &[0., 0.])).unwrap();
        close(y[0], 1.0 / (1.0 + (-1f64).exp()));
        assert_eq!(y[1], 0.0);
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let (x, w, start) = (normal([1, 5, 3], 1), normal([3, 1, 4], 2), normal([2, 3, 3], 3));
        let whole = step(&graph([1, 5, 3], 4, 1, None), &x, &w, &[1., 5., 0.], &start).unwrap();
        let one = graph([1, 1, 3], 4, 1, None);
        let (mut state, mut all) = (start.clone(), Vec::new());
        for token in x.rows() {
            let (y, next) = step(&one, &t([1, 1, 3], token), &w, &[1., 1., 0.], &state).unwrap();
            all.extend(y);
            state = next;
        }
        assert_eq!((all, state), whole);
        assert_eq!(whole.1.data[..9], start.data[..9]);
    }

    #[test]
    fn a_snapshot_is_the_state_so_many_tokens_earlier() {
        let g = graph([1, 3, 2], 3, 3, None);
        let (x, w, start) = (normal([1, 3, 2], 4), normal([2, 1, 3], 5), normal([1, 4, 2], 6));
        let (_, three) = step(&g, &x, &w, &[0., 3., 0.], &start).unwrap();
        let (_, one) = step(&g, &x, &w, &[0., 1., 0.], &start).unwrap();
        // Going back two tokens and taking them again is as if nothing had happened.
        let mut rest = x.clone();
        rest.data.copy_within(2..6, 0);
        let (again, back) = step(&g, &rest, &w, &[0., 2., 2.], &three).unwrap();
        let (wanted, onward) = step(&g, &rest, &w, &[0., 2., 0.], &one).unwrap();
        assert_eq!(again, wanted);
        assert_eq!(back.data[2..], onward.data[2..]);
        // Fewer tokens than were left out leave zeros at the far end.
        let (_, short) = step(&g, &x, &w, &[0., 1., 2.], &three).unwrap();
        assert_eq!(short.data[..2], [0., 0.]);
        // No tokens of its own: nothing changes, whatever the snapshot.
        let (y, same) = step(&g, &x, &w, &[0., 0., 2.], &three).unwrap();
        assert_eq!((y, same), (vec![0.0; 6], three));
    }

    #[test]
    fn bad_numbers_leave_the_state_alone() {
        let g = graph([1, 3, 2], 3, 2, None);
        let (x, w, start) = (normal([1, 3, 2], 4), normal([2, 1, 3], 5), normal([2, 3, 2], 6));
        for bad in [[2., 3., 0.], [0., 4., 0.], [0., 3., 2.], [-1., 3., 0.]] {
            let error = step(&g, &x, &w, &bad, &start).unwrap_err();
            assert!(matches!(error, GraphError::OutOfRange { .. }), "{error}");
        }
    }
}
