//! Reads and writes of state tensors.
//!
//! Every row number is checked before the first row is written, so that a refused write leaves the state as it was.

use super::{Tensor64, index};
use crate::error::GraphError;
use crate::state::StateElem;
use crate::transducer::LIMIT;

pub(super) fn gather(node: &str, state: &Tensor64, rows: &Tensor64) -> Result<Vec<f64>, GraphError> {
    let (count, width) = (row_count(state), state.entry_len());
    let mut out = Vec::new();
    for &row in &rows.data {
        let row = index(node, "row", row, count)?;
        out.extend_from_slice(&state.data[row * width..(row + 1) * width]);
    }
    Ok(out)
}

pub(super) fn scatter(
    node: &str,
    (state, elem): (&mut Tensor64, StateElem),
    rows: &Tensor64,
    value: &Tensor64,
) -> Result<Vec<f64>, GraphError> {
    let width = state.entry_len();
    for (i, row) in distinct(node, state, rows)?.into_iter().enumerate() {
        write(elem, &mut state.data[row * width..(row + 1) * width], &value.data[i * width..(i + 1) * width]);
    }
    Ok(value.data.clone())
}

/// Row numbers that must differ.
pub(super) fn distinct(node: &str, state: &Tensor64, rows: &Tensor64) -> Result<Vec<usize>, GraphError> {
    let (count, mut found) = (row_count(state), Vec::new());
    for &row in &rows.data {
        let row = index(node, "row", row, count)?;
        if found.contains(&row) {
            return Err(GraphError::DuplicateRow { node: node.to_owned(), row });
        }
        found.push(row);
    }
    Ok(found)
}

/// One number of each row, which must be whole.
pub(super) fn numbers(
    node: &str,
    state: &Tensor64,
    rows: &Tensor64,
    column: usize,
) -> Result<Vec<f64>, GraphError> {
    let (count, width) = (row_count(state), state.entry_len());
    let number = |&row: &f64| {
        let found = state.data[index(node, "row", row, count)? * width + column];
        index(node, "number", found.abs(), LIMIT).map(|_| found)
    };
    rows.data.iter().map(number).collect()
}

pub(super) fn append(
    node: &str,
    (state, elem): (&mut Tensor64, StateElem),
    first: i64,
    value: &Tensor64,
) -> Result<Vec<f64>, GraphError> {
    let (count, width) = (row_count(state), state.entry_len());
    let new = row_count(value);
    // One past the last row that `new` rows can begin at; 0 when they don't fit anywhere.
    let limit = (count + 1).saturating_sub(new);
    let first = index(node, "row", first as f64, limit)?;
    write(elem, &mut state.data[first * width..(first + new) * width], &value.data);
    Ok(value.data.clone())
}

/// Writes elements as a state stores them.
pub(super) fn write(elem: StateElem, to: &mut [f64], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, &x)| *to = elem.stored(x));
}

pub(super) fn row_count(state: &Tensor64) -> usize {
    state.shape.dims().first().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{normal, t};
    use super::super::{Env, eval_op, run, run_with_trace};
    use super::*;
    use crate::{ElemType, Graph, GraphBuilder, Op, Start, StateId, ValueId};

    /// A graph over a state "cache" of rows of two, with the slots "at" and "from".
    fn graph(body: impl FnOnce(&mut GraphBuilder, StateId) -> ValueId) -> Graph {
        let mut b = GraphBuilder::new("test");
        let cache = b.state("cache", [2]);
        b.slot("at");
        b.slot("from");
        let y = body(&mut b, cache);
        b.output("y", y);
        b.finish().unwrap()
    }

    fn env(inputs: Vec<Tensor64>, slots: Vec<i64>) -> Env<'static> {
        let states = vec![t([3, 2], &[1., 2., 3., 4., 5., 6.])];
        Env { inputs, weights: &|_| None, slots, states }
    }

    fn scatter_then_gather() -> Graph {
        graph(|b, cache| {
            let rows = b.input("rows", ElemType::I32, [2]);
            let value = b.input("value", ElemType::F32, [2, 2]);
            b.op(Op::StateScatter(cache), &[rows, value]);
            let all = b.input("all", ElemType::I32, [4]);
            b.op(Op::StateGather(cache), &[all])
        })
    }

    #[test]
    fn a_later_read_sees_the_rows_written() {
        let inputs = vec![t([2], &[2., 0.]), t([2, 2], &[7., 8., 9., 10.]), t([4], &[0., 1., 2., 1.])];
        let mut env = env(inputs, vec![0, 0]);
        let y = run(&scatter_then_gather(), &mut env).unwrap();
        assert_eq!(y, [t([4, 2], &[9., 10., 3., 4., 7., 8., 3., 4.])]);
        assert_eq!(env.states[0].data, [9., 10., 3., 4., 7., 8.]);
    }

    #[test]
    fn bad_rows_leave_the_state_alone() {
        for (rows, text) in
            [([1., 1.], "row 1 twice"), ([0., 3.], "3 is outside 0..3"), ([0., -1.], "-1 is outside")]
        {
            let inputs = vec![t([2], &rows), normal([2, 2], 1), t([4], &[0.; 4])];
            let mut env = env(inputs, vec![0, 0]);
            let error = run(&scatter_then_gather(), &mut env).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            assert_eq!(env.states[0].data, [1., 2., 3., 4., 5., 6.]);
        }
    }

    fn append_one() -> Graph {
        graph(|b, state| {
            let at = b.slot("at");
            let value = b.input("value", ElemType::F32, [2, 2]);
            b.op(Op::StateAppend { state, at }, &[value])
        })
    }

    #[test]
    fn append_writes_from_the_slot_on() {
        let value = t([2, 2], &[7., 8., 9., 10.]);
        let mut env = env(vec![value.clone()], vec![1, 0]);
        assert_eq!(run(&append_one(), &mut env).unwrap(), [value]);
        assert_eq!(env.states[0].data, [1., 2., 7., 8., 9., 10.]);
    }

    #[test]
    fn append_past_the_end_is_refused() {
        for bad in [2, -1, i64::MAX, i64::MIN] {
            let mut env = env(vec![normal([2, 2], 2)], vec![bad, 0]);
            let error = run(&append_one(), &mut env).unwrap_err();
            assert!(matches!(error, GraphError::OutOfRange { limit: 2, .. }), "{error}");
            assert_eq!(env.states[0].data, [1., 2., 3., 4., 5., 6.]);
        }
    }

    #[test]
    fn a_slot_moves_a_slice() {
        let graph = graph(|b, _| {
            let from = b.slot("from");
            let x = b.input("x", ElemType::F32, [3]);
            b.op(Op::Slice { axis: 0, start: Start::Slot(from), len: 2 }, &[x])
        });
        let x = t([3], &[1., 2., 3.]);
        for (from, wanted) in [(0, [1., 2.]), (1, [2., 3.])] {
            let y = run(&graph, &mut env(vec![x.clone()], vec![0, from])).unwrap();
            assert_eq!(y[0].data, wanted);
        }
        for bad in [2, -1, i64::MIN] {
            let error = run(&graph, &mut env(vec![x.clone()], vec![0, bad])).unwrap_err();
            assert!(matches!(error, GraphError::OutOfRange { limit: 2, .. }), "{error}");
        }
    }

    #[test]
    fn what_is_not_given_is_named() {
        let graph = scatter_then_gather();
        let text = |env: &mut Env<'_>| run(&graph, env).unwrap_err().to_string();
        assert_eq!(text(&mut env(vec![], vec![])), "nothing was given for input 'rows'");
        let full = || vec![t([2], &[0., 1.]), normal([2, 2], 3), t([4], &[0.; 4])];
        let mut without_state = env(full(), vec![]);
        without_state.states.clear();
        assert_eq!(text(&mut without_state), "nothing was given for state 'cache'");
        let mut narrow = env(full(), vec![]);
        narrow.states[0] = t([3, 1], &[0.; 3]);
        assert_eq!(text(&mut narrow), "state 'cache' has shape [3, 1], [3, 2] is needed");
        let mut env = env(vec![normal([2, 2], 4)], vec![]);
        let error = run(&append_one(), &mut env).unwrap_err().to_string();
        assert_eq!(error, "nothing was given for slot 'at'");
    }

    #[test]
    fn effects_run_in_traces_and_not_in_folding() {
        let graph = append_one();
        let value = normal([2, 2], 5);
        let mut env = env(vec![value.clone()], vec![0, 0]);
        let trace = run_with_trace(&graph, &mut env).unwrap();
        assert_eq!(trace.value("state_append"), Some(&value));
        assert_eq!(trace.outputs, std::slice::from_ref(&value));
        let error = eval_op(&graph, &graph.nodes()[0], &[&value]).unwrap_err();
        assert_eq!(error, GraphError::Missing { kind: "slot", name: "at".into() });
    }
}
