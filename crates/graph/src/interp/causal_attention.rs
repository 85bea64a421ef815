//! Causal attention over a paged cache, a query at a time.

use super::{Tensor64, index, norm::softmax_row, product::dot, state::write};
use crate::decoder::CausalAttention;
use crate::error::GraphError;
use crate::state::StateElem;

/// Where a sequence's tokens are.
struct Sequence {
    past: usize,
    length: usize,
    /// Pages in use once the new tokens are there.
    pages: Vec<usize>,
}

pub(super) fn causal_attention(
    node: &str,
    a: &CausalAttention,
    operands: &[&Tensor64],
    ([keys, values], elem): ([&mut Tensor64; 2], StateElem),
) -> Result<Vec<f64>, GraphError> {
    let &[q, k, v, sequences, pages] = operands else { return Ok(Vec::new()) };
    let &[_, time, heads, width] = q.shape.dims() else { return Ok(Vec::new()) };
    let &[rows, key_heads, places, _] = keys.shape.dims() else { return Ok(Vec::new()) };
    let rows = rows.min(values.shape.dims()[0]);
    let sequences = read(node, sequences, pages, rows, places, time)?;
    let place = |s: &Sequence, token: usize, head: usize| {
        let at = ((s.pages[token / places] * key_heads + head) * places + token % places) * width;
        at..at + width
    };
    for (b, s) in sequences.iter().enumerate() {
        for t in 0..s.length {
            for head in 0..key_heads {
                let new = ((b * time + t) * key_heads + head) * width;
                let to = place(s, s.past + t, head);
                write(elem, &mut keys.data[to.clone()], &k.data[new..new + width]);
                write(elem, &mut values.data[to], &v.data[new..new + width]);
            }
        }
    }
    let mut out = vec![0.0; q.data.len()];
    for (b, s) in sequences.iter().enumerate() {
        for t in 0..s.length {
            for head in 0..heads {
                let shared = head / (heads / key_heads);
                let at = ((b * time + t) * heads + head) * width;
                let query = &q.data[at..at + width];
                let seen = 0..s.past + t + 1;
                let score = |j: usize| dot(query, &keys.data[place(s, j, shared)]) * f64::from(a.scale);
                let scores: Vec<f64> = seen.clone().map(score).collect();
                for (weight, j) in softmax_row(&scores).iter().zip(seen) {
                    let value = &values.data[place(s, j, shared)];
                    out[at..at + width].iter_mut().zip(value).for_each(|(o, v)| *o += weight * v);
                }
            }
        }
    }
    Ok(out)
}

/// Checks every number before anything is written.
fn read(
    node: &str,
    sequences: &Tensor64,
    pages: &Tensor64,
    rows: usize,
    places: usize,
    time: usize,
) -> Result<Vec<Sequence>, GraphError> {
    let listed = pages.shape.last();
    let mut all = Vec::new();
    for (b, numbers) in sequences.data.chunks_exact(2).enumerate() {
        let capacity = listed * places;
        let past = index(node, "tokens before", numbers[0], capacity + 1)?;
        let length = index(node, "length", numbers[1], time + 1)?;
        index(node, "tokens in all", (past + length) as f64, capacity + 1)?;
        let used = if length == 0 { 0 } else { (past + length).div_ceil(places) };
        let used = pages.data[b * listed..b * listed + used].iter().map(|&p| index(node, "page", p, rows));
        all.push(Sequence { past, length, pages: used.collect::<Result<_, _>>()? });
    }
    let mut uses = vec![0u32; rows];
    all.iter().flat_map(|s| &s.pages).for_each(|&page| uses[page] += 1);
    for s in all.iter().filter(|s| s.length > 0) {
        if let Some(&row) = s.pages[s.past / places..].iter().find(|&&page| uses[page] > 1) {
            return Err(GraphError::DuplicateRow { node: node.to_owned(), row });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, normal, t};
    use super::super::{Env, run};
    use super::*;
    use crate::{ElemType, Graph, GraphBuilder, Op};

    /// Batch, time, query heads, key heads, width, pages listed, places of a page.
    fn graph([batch, time, heads, key_heads, width, listed, places]: [usize; 7], scale: f32) -> Graph {
        let mut b = GraphBuilder::new("attention");
        let keys = b.state("keys", [key_heads, places, width]);
        let values = b.state("values", [key_heads, places, width]);
        let q = b.input("q", ElemType::F32, [batch, time, heads, width]);
        let [k, v] = ["k", "v"].map(|name| b.input(name, ElemType::F32, [batch, time, key_heads, width]));
        let sequences = b.input("sequences", ElemType::I32, [batch, 2]);
        let pages = b.input("pages", ElemType::I32, [batch, listed]);
        let op = Op::CausalAttention(CausalAttention { keys, values, scale });
        let y = b.op(op, &[q, k, v, sequences, pages]);
        b.output("y", y);
        b.finish().unwrap()
    }

    fn attend(g: &Graph, inputs: Vec<Tensor64>, states: &mut Vec<Tensor64>) -> Result<Tensor64, GraphError> {
        let mut env = Env { inputs, weights: &|_| None, slots: vec![], states: std::mem::take(states) };
        let result = run(g, &mut env);
        *states = env.states;
        Ok(result?.remove(0))
    }

    #[test]
    fn two_tokens_by_hand() {
        // Width 1, one head, pages of one token, listed backwards. Cache: key ln 2, value 10 in page 2.
        let g = graph([1, 2, 1, 1, 1, 3, 1], 2.0);
        let column = |x: &[f64]| t([1, 2, 1, 1], x);
        let l2 = 2f64.ln();
        let inputs = vec![
            column(&[0.5, 1.0]),
            column(&[0.0, l2]),
            column(&[20., 30.]),
            t([1, 2], &[1., 2.]),
            t([1, 3], &[2., 1., 0.]),
        ];
        let mut states = vec![t([3, 1, 1, 1], &[7., 7., l2]), t([3, 1, 1, 1], &[7., 7., 10.])];
        let y = attend(&g, inputs, &mut states).unwrap();
        // Query 0: weights 2 and 1 → 40/3. Query 1: 4, 1, 4 → (40 + 20 + 120)/9.
        close(y.data[0], 40.0 / 3.0);
        close(y.data[1], 20.0);
        assert_eq!(states[0].data, [l2, 0.0, l2]);
        assert_eq!(states[1].data, [30., 20., 10.]);
    }

    #[test]
    fn pieces_and_neighbours_change_nothing() {
        // Five tokens at once, against two and three beside another sequence, in other pages.
        let [q, k, v] = [(4, 1), (2, 2), (2, 3)].map(|(heads, seed)| normal([1, 5, heads, 3], seed));
        let whole = graph([1, 5, 4, 2, 3, 3, 2], 0.7);
        let empty = || vec![t([6, 2, 2, 3], &[0.0; 72]), t([6, 2, 2, 3], &[0.0; 72])];
        let inputs = vec![q.clone(), k.clone(), v.clone(), t([1, 2], &[0., 5.]), t([1, 3], &[0., 1., 2.])];
        let wanted = attend(&whole, inputs, &mut empty()).unwrap();

        let piece = graph([2, 3, 4, 2, 3, 3, 2], 0.7);
        let (mut states, mut found) = (empty(), Vec::new());
        for tokens in [0..2, 2..5] {
            let cut = |x: &Tensor64, seed: u64| {
                let row = x.data.len() / 5;
                let mut both = normal([2, 3, row / 3, 3], seed);
                both.data[..tokens.len() * row]
                    .copy_from_slice(&x.data[tokens.start * row..tokens.end * row]);
                both
            };
            let (past, length) = (tokens.start as f64, tokens.len() as f64);
            let inputs = vec![
                cut(&q, 4),
                cut(&k, 5),
                cut(&v, 6),
                t([2, 2], &[past, length, past, 1.]),
                t([2, 3], &[5., 3., 0., 4., 1., 2.]),
            ];
            let y = attend(&piece, inputs, &mut states).unwrap();
            found.extend_from_slice(&y.data[..tokens.len() * 12]);
            assert!(y.data[tokens.len() * 12..36].iter().all(|&x| x == 0.0), "padding gives zeros");
        }
        found.iter().zip(&wanted.data).for_each(|(a, b)| close(*a, *b));
    }

    #[test]
    fn a_full_page_can_be_shared_and_a_written_one_cannot() {
        let g = graph([2, 1, 1, 1, 1, 2, 2], 1.0);
        let run_with = |sequences: &[f64], pages: &[f64]| {
            let [q, k, v] = [1, 2, 3].map(|seed| normal([2, 1, 1, 1], seed));
            let mut states = vec![normal([3, 1, 2, 1], 4), normal([3, 1, 2, 1], 5)];
            let before = states.clone();
            let result = attend(&g, vec![q, k, v, t([2, 2], sequences), t([2, 2], pages)], &mut states);
            (result, states == before)
        };
        assert!(run_with(&[2., 1., 2., 1.], &[0., 1., 0., 2.]).0.is_ok());
        let (error, untouched) = run_with(&[2., 1., 2., 1.], &[0., 1., 0., 1.]);
        assert!(matches!(error, Err(GraphError::DuplicateRow { row: 1, .. })) && untouched, "{error:?}");
        // One sequence writes what the other reads.
        let (error, _) = run_with(&[1., 1., 2., 1.], &[0., 1., 0., 2.]);
        assert!(matches!(error, Err(GraphError::DuplicateRow { row: 0, .. })), "{error:?}");
        // A sequence of no tokens uses no page.
        assert!(run_with(&[1., 1., 2., 0.], &[0., 1., 0., 9.]).0.is_ok());
    }

    #[test]
    fn bad_numbers_leave_the_state_alone() {
        let g = graph([1, 1, 1, 1, 1, 2, 2], 1.0);
        let good = ([1., 1.], [0., 1.]);
        let bad = [
            ([4., 1.], good.1),
            ([-1., 1.], good.1),
            ([1., 2.], good.1),
            (good.0, [3., 1.]),
            (good.0, [-1., 1.]),
        ];
        for (sequence, pages) in bad {
            let [q, k, v] = [1, 2, 3].map(|seed| normal([1, 1, 1, 1], seed));
            let mut states = vec![normal([3, 1, 2, 1], 4), normal([3, 1, 2, 1], 5)];
            let before = states.clone();
            let inputs = vec![q, k, v, t([1, 2], &sequence), t([1, 2], &pages)];
            let error = attend(&g, inputs, &mut states).unwrap_err();
            assert!(matches!(error, GraphError::OutOfRange { .. }), "{error}");
            assert_eq!(states, before);
        }
    }
}
