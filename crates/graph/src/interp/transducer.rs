//! Greedy transducer decoding: the joint's hidden layer for a window of frames, and the walk along the window.

use super::{Tensor64, index, norm, state};
use crate::error::GraphError;
use crate::transducer::{LIMIT, TransducerAdvance, TransducerJoin, cursor, entry};

pub(super) fn join(
    node: &str,
    j: &TransducerJoin,
    operands: &[&Tensor64],
    frames: &Tensor64,
    cursors: &Tensor64,
) -> Result<Vec<f64>, GraphError> {
    let &[predicted, rows] = operands else { return Ok(Vec::new()) };
    let (width, row_len) = (frames.entry_len(), cursors.entry_len());
    let mut out = Vec::new();
    for (predicted, &row) in predicted.data.chunks_exact(width.max(1)).zip(&rows.data) {
        let first = index(node, "row", row, state::row_count(cursors))? * row_len;
        let at = index(node, "cursor", cursors.data[first + cursor::AT], LIMIT)?;
        let limit = (state::row_count(frames) + 1).min(LIMIT);
        let end = index(node, "cursor", cursors.data[first + cursor::END], limit)?;
        for frame in at..at + j.ahead {
            let value = |i: usize| if frame < end { frames.data[frame * width + i] } else { 0.0 };
            out.extend((0..width).map(|i| value(i) + predicted[i]).map(|x| if x < 0.0 { 0.0 } else { x }));
        }
    }
    Ok(out)
}

pub(super) fn advance(
    node: &str,
    a: &TransducerAdvance,
    operands: &[&Tensor64],
    cursors: &mut Tensor64,
) -> Result<Vec<f64>, GraphError> {
    let &[logits, rows] = operands else { return Ok(Vec::new()) };
    let row_len = cursors.entry_len();
    let rows = state::distinct(node, cursors, rows)?;
    for row in &rows {
        for column in [cursor::AT, cursor::END, cursor::SYMBOLS, cursor::LOGGED] {
            index(node, "cursor", cursors.data[row * row_len + column], LIMIT)?;
        }
    }
    let mut out = Vec::new();
    for (b, row) in rows.into_iter().enumerate() {
        let row = &mut cursors.data[row * row_len..(row + 1) * row_len];
        let window = logits.rows().skip(b * logits.shape.dims()[1]).take(logits.shape.dims()[1]);
        walk(a, row, window);
        out.extend_from_slice(row);
    }
    Ok(out)
}

/// Moves one clip along its window up to the first token.
fn walk<'a>(a: &TransducerAdvance, row: &mut [f64], window: impl Iterator<Item = &'a [f64]>) {
    row[cursor::PENDING] = 0.0;
    let start = row[cursor::AT];
    for (ahead, logits) in window.enumerate() {
        let frame = start + ahead as f64;
        if frame < row[cursor::AT] {
            // Left out by the duration before.
            continue;
        }
        if frame >= row[cursor::END] {
            return;
        }
        let (labels, durations) = logits.split_at(a.labels());
        let token = norm::first_largest(labels);
        let emitted = token != a.blank;
        // RNN-T: a token stays at its frame, a blank moves on by one.
        let duration = if durations.is_empty() { 0 } else { a.durations[norm::first_largest(durations)] };
        if emitted {
            let capacity = (row.len() - cursor::LEN) / entry::LEN;
            let at = cursor::LEN + row[cursor::LOGGED] as usize % capacity * entry::LEN;
            row[at + entry::TOKEN] = token as f64;
            row[at + entry::FRAME] = frame;
            row[at + entry::DURATION] = if durations.is_empty() { 1.0 } else { duration as f64 };
            row[at + entry::CONFIDENCE] = confidence(labels, token);
            row[cursor::LOGGED] += 1.0;
            row[cursor::SYMBOLS] += 1.0;
            (row[cursor::TOKEN], row[cursor::PENDING]) = (token as f64, 1.0);
        }
        // A blank always moves on; a token by its duration, or at the latest after `max_symbols`.
        let step = match (emitted, duration) {
            (false, duration) => duration.max(1),
            (true, 0) if row[cursor::SYMBOLS] >= a.max_symbols as f64 => 1,
            (true, duration) => duration,
        };
        if step > 0 {
            row[cursor::AT] = frame + step as f64;
            row[cursor::SYMBOLS] = 0.0;
        }
        if emitted {
            return;
        }
    }
}

/// NeMo's rescaling of a label's softmax probability: a uniform guess gives 0.
fn confidence(labels: &[f64], token: usize) -> f64 {
    let top = labels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = labels.iter().map(|l| (l - top).exp()).sum();
    let n = labels.len() as f64;
    ((n * (labels[token] - top).exp() / sum - 1.0) / (n - 1.0)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, t};
    use super::super::{Env, run};
    use super::*;
    use crate::{ElemType, Graph, GraphBuilder, GraphError, Op};

    /// Labels 0, 1 and the blank 2; durations 0, 1, 3; a log of two entries.
    fn graph(durations: &[usize], ahead: usize) -> Graph {
        let mut b = GraphBuilder::new("test");
        let cursors = b.state("cursors", [TransducerAdvance::row(2)]);
        let logits = b.input("logits", ElemType::F32, [1, ahead, 3 + durations.len()]);
        let rows = b.input("rows", ElemType::I32, [1]);
        let a = TransducerAdvance { cursors, blank: 2, durations: durations.to_vec(), max_symbols: 2 };
        let y = b.op(Op::TransducerAdvance(a), &[logits, rows]);
        b.output("y", y);
        b.finish().unwrap()
    }

    /// Logits whose label and duration are these.
    fn row(label: usize, duration: Option<usize>) -> Vec<f64> {
        let one_hot = |n: usize, at: usize| (0..n).map(move |i| if i == at { 2.0 } else { 0.0 });
        one_hot(3, label).chain(duration.into_iter().flat_map(|d| one_hot(3, d))).collect()
    }

    /// The cursor `[at, end, symbols, token, pending, logged]` after a round from another.
    fn round(durations: &[usize], from: [f64; 6], rows: &[Vec<f64>]) -> Result<Vec<f64>, GraphError> {
        let graph = graph(durations, rows.len());
        let logits = Tensor64::new([1, rows.len(), 3 + durations.len()], rows.concat())?;
        let mut state = from.to_vec();
        state.resize(TransducerAdvance::row(2), 0.0);
        let states = vec![t([1, 14], &state)];
        let mut env = Env { inputs: vec![logits, t([1], &[0.])], weights: &|_| None, slots: vec![], states };
        let y = run(&graph, &mut env)?.remove(0);
        assert_eq!(y.data, env.states[0].data);
        Ok(y.data)
    }

    const TDT: [usize; 3] = [0, 1, 3];

    #[test]
    fn blanks_move_on_by_their_duration_and_at_least_by_one() {
        let rows = [row(2, Some(0)), row(2, Some(2)), row(0, Some(0)), row(0, Some(0))];
        let y = round(&TDT, [5., 50., 1., 1., 1., 0.], &rows).unwrap();
        // 5 → 6 by a blank of 0, → 9 by one of 3, which leaves the window.
        assert_eq!(y[..6], [9., 50., 0., 1., 0., 0.]);
    }

    #[test]
    fn the_first_token_ends_the_round_and_is_logged() {
        let rows = [row(2, Some(1)), row(1, Some(2)), row(0, Some(1))];
        let y = round(&TDT, [5., 50., 0., 2., 1., 3.], &rows).unwrap();
        assert_eq!(y[..6], [9., 50., 0., 1., 1., 4.]);
        // The fourth of the log is in the ring's second place.
        assert_eq!(y[10..13], [1., 6., 3.]);
        let p = 2f64.exp() / (2f64.exp() + 2.0);
        close(y[13], (3.0 * p - 1.0) / 2.0);
    }

    #[test]
    fn a_token_may_stay_until_there_are_too_many() {
        let rows = [row(1, Some(0))];
        let once = round(&TDT, [5., 50., 0., 2., 1., 0.], &rows).unwrap();
        assert_eq!(once[..6], [5., 50., 1., 1., 1., 1.]);
        let twice = round(&TDT, [5., 50., 1., 1., 1., 1.], &rows).unwrap();
        assert_eq!(twice[..6], [6., 50., 0., 1., 1., 2.]);
    }

    #[test]
    fn without_durations_tokens_stay_and_last_one_frame() {
        let y = round(&[], [5., 50., 0., 2., 1., 0.], &[row(2, None), row(0, None)]).unwrap();
        assert_eq!((&y[..6], &y[6..9]), (&[6., 50., 1., 0., 1., 1.][..], &[0., 6., 1.][..]));
    }

    #[test]
    fn nothing_past_the_end_is_looked_at() {
        let rows = [row(2, Some(1)), row(1, Some(1))];
        assert_eq!(round(&TDT, [5., 6., 0., 2., 1., 0.], &rows).unwrap()[..6], [6., 6., 0., 2., 0., 0.]);
        assert_eq!(round(&TDT, [9., 6., 0., 2., 1., 0.], &rows).unwrap()[..6], [9., 6., 0., 2., 0., 0.]);
    }

    #[test]
    fn a_cursor_that_is_none_is_refused() {
        for bad in [-1.0, 0.5, f64::NAN, LIMIT as f64] {
            for column in [0, 1, 2, 5] {
                let mut cursor = [1., 2., 0., 0., 0., 0.];
                cursor[column] = bad;
                let error = round(&TDT, cursor, &[row(2, Some(1))]).unwrap_err();
                assert!(matches!(error, GraphError::OutOfRange { .. }), "{error}");
            }
        }
    }

    #[test]
    fn a_window_joins_frames_with_the_prediction() {
        let mut b = GraphBuilder::new("test");
        let (frames, cursors) = (b.state("frames", [2]), b.state("cursors", [TransducerAdvance::row(1)]));
        let predicted = b.input("predicted", ElemType::F32, [1, 2]);
        let rows = b.input("rows", ElemType::I32, [1]);
        let y = b.op(Op::TransducerJoin(TransducerJoin { frames, cursors, ahead: 2 }), &[predicted, rows]);
        b.output("y", y);
        let graph = b.finish().unwrap();
        let join = |at: f64, end: f64| {
            let mut cursor = vec![at, end];
            cursor.resize(10, 0.0);
            let states = vec![t([3, 2], &[1., 2., 3., -4., 5., 6.]), t([1, 10], &cursor)];
            let inputs = vec![t([1, 2], &[10., 1.]), t([1], &[0.])];
            run(&graph, &mut Env { inputs, weights: &|_| None, slots: vec![], states })
        };
        assert_eq!(join(0., 3.).unwrap()[0].data, [11., 3., 13., 0.]);
        assert_eq!(join(2., 3.).unwrap()[0].data, [15., 7., 10., 1.]);
        assert!(join(0., 4.).is_err());
    }
}
