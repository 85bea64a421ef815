//! Attention over whole sequences, with relative positions and without.

use super::{Tensor64, index, norm::softmax_row, product::dot};
use crate::error::GraphError;
use crate::op::RelPosAttention;
use crate::vocoder::Attention;

pub(super) fn rel_pos_attention(
    node: &str,
    a: &RelPosAttention,
    operands: &[&Tensor64],
) -> Result<Vec<f64>, GraphError> {
    let &[q, k, v, p, u_bias, v_bias, lengths] = operands else { return Ok(Vec::new()) };
    let &[_, time, width] = q.shape.dims() else { return Ok(Vec::new()) };
    let head_width = width / a.heads;
    let mut out = vec![0.0; q.data.len()];
    for (b, &length) in lengths.data.iter().enumerate() {
        let length = index(node, "length", length, time + 1)?;
        for head in 0..a.heads {
            let columns = |row: usize| row * width + head * head_width..row * width + (head + 1) * head_width;
            let bias = head * head_width..(head + 1) * head_width;
            for i in 0..length {
                let query = &q.data[columns(b * time + i)];
                let content: Vec<f64> =
                    query.iter().zip(&u_bias.data[bias.clone()]).map(|(q, u)| q + u).collect();
                let position: Vec<f64> =
                    query.iter().zip(&v_bias.data[bias.clone()]).map(|(q, v)| q + v).collect();
                let keys = seen(a.window, i, length);
                let score = |j: usize| {
                    let row = (a.first_offset - (i as i64 - j as i64)) as usize;
                    let sum =
                        dot(&content, &k.data[columns(b * time + j)]) + dot(&position, &p.data[columns(row)]);
                    sum * f64::from(a.scale)
                };
                let scores: Vec<f64> = keys.clone().map(score).collect();
                let target = &mut out[columns(b * time + i)];
                for (weight, j) in softmax_row(&scores).iter().zip(keys) {
                    let value = &v.data[columns(b * time + j)];
                    target.iter_mut().zip(value).for_each(|(t, v)| *t += weight * v);
                }
            }
        }
    }
    Ok(out)
}

pub(super) fn full_attention(
    node: &str,
    a: &Attention,
    operands: &[&Tensor64],
) -> Result<Vec<f64>, GraphError> {
    let &[q, k, v, lengths] = operands else { return Ok(Vec::new()) };
    let (&[_, queries, heads, width], keys) = (q.shape.dims(), k.shape.dims()[1]) else {
        return Ok(Vec::new());
    };
    let mut out = vec![0.0; q.data.len()];
    for (b, &length) in lengths.data.iter().enumerate() {
        let length = index(node, "length", length, keys + 1)?;
        let present = if queries == keys { length } else { queries };
        for (i, head) in (0..present).flat_map(|i| (0..heads).map(move |head| (i, head))) {
            let columns = |row: usize| (row * heads + head) * width..(row * heads + head + 1) * width;
            let query = &q.data[columns(b * queries + i)];
            let score = |j| dot(query, &k.data[columns(b * keys + j)]) * f64::from(a.scale);
            let scores: Vec<f64> = (0..length).map(score).collect();
            let target = &mut out[columns(b * queries + i)];
            for (j, weight) in softmax_row(&scores).into_iter().enumerate() {
                let value = &v.data[columns(b * keys + j)];
                target.iter_mut().zip(value).for_each(|(t, v)| *t += weight * v);
            }
        }
    }
    Ok(out)
}

/// The keys that query `i` sees.
fn seen(window: Option<[usize; 2]>, i: usize, length: usize) -> std::ops::Range<usize> {
    match window {
        Some([left, right]) => i.saturating_sub(left)..length.min(i.saturating_add(right).saturating_add(1)),
        None => 0..length,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, evaluate, normal, t};
    use super::*;
    use crate::op::Op;

    fn attend(a: RelPosAttention, operands: [&Tensor64; 7]) -> Result<Tensor64, GraphError> {
        evaluate(Op::RelPosAttention(a), &operands)
    }

    const ONE_HEAD: RelPosAttention = RelPosAttention { heads: 1, scale: 1.0, first_offset: 1, window: None };

    #[test]
    fn two_frames_by_hand() {
        // One head of width 1. Table rows stand for the offsets i − j = 1, 0, −1. u = 1, v = 2.
        // Query 0 (q = 0): content (0+1)·k = [ln2·1, 0], position (0+2)·p: j=0 → o=0 → row 1, j=1 → o=−1 → row 2.
        let (l2, l3) = (2f64.ln(), 3f64.ln());
        let q = t([1, 2, 1], &[0., 1.]);
        let k = t([1, 2, 1], &[l2, 0.]);
        let v = t([1, 2, 1], &[10., 20.]);
        let p = t([3, 1], &[l3, 0., l3 / 2.0]);
        let [u, w] = [1., 2.].map(|b| t([1, 1], &[b]));
        let y = attend(ONE_HEAD, [&q, &k, &v, &p, &u, &w, &t([1], &[2.])]).unwrap();
        // Scores of query 0: ln2 + 2·0 and 0 + 2·ln3/2 = ln3 → weights 2/5, 3/5 → 16.
        close(y.data[0], 16.0);
        // Query 1 (q = 1): (1+1)·k = [2 ln2, 0]; (1+2)·p: j=0 → o=1 → row 0: 3 ln3; j=1 → o=0 → row 1: 0.
        // exp: 4·27 = 108 and 1 → (108·10 + 20)/109.
        close(y.data[1], 1100.0 / 109.0);
    }

    #[test]
    fn the_scale_applies_to_both_terms() {
        let x = normal([1, 4, 2], 1);
        let (p, zero, lengths) = (normal([7, 2], 2), t([1, 2], &[0.; 2]), t([1], &[4.]));
        let a = RelPosAttention { heads: 1, scale: 0.0, first_offset: 3, window: None };
        let y = attend(a, [&x, &x, &x, &p, &zero, &zero, &lengths]).unwrap();
        let mean = (0..4).map(|j| x.data[2 * j]).sum::<f64>() / 4.0;
        close(y.data[0], mean);
        close(y.data[6], mean);
    }

    #[test]
    fn heads_are_independent() {
        let [q, k, v] = [3, 4, 5].map(|seed| normal([2, 5, 6], seed));
        let p = normal([9, 6], 6);
        let (u, w, lengths) = (normal([3, 2], 7), normal([3, 2], 8), t([2], &[5., 3.]));
        let a = RelPosAttention { heads: 3, scale: 0.7, first_offset: 4, window: Some([2, 1]) };
        let all = attend(a, [&q, &k, &v, &p, &u, &w, &lengths]).unwrap();
        let cut = |x: &Tensor64, head: usize| {
            let data: Vec<f64> = x.rows().flat_map(|row| row[2 * head..2 * head + 2].to_vec()).collect();
            let mut dims = x.shape.dims().to_vec();
            *dims.last_mut().unwrap() = 2;
            Tensor64::new(mynah_tensor::Shape::new(&dims).unwrap(), data).unwrap()
        };
        let row = |x: &Tensor64, head: usize| t([1, 2], &x.data[2 * head..2 * head + 2]);
        for head in 0..3 {
            let [q, k, v, p] = [&q, &k, &v, &p].map(|x| cut(x, head));
            let (u, w) = (row(&u, head), row(&w, head));
            let alone =
                attend(RelPosAttention { heads: 1, ..a }, [&q, &k, &v, &p, &u, &w, &lengths]).unwrap();
            cut(&all, head).data.iter().zip(&alone.data).for_each(|(a, b)| close(*a, *b));
        }
    }

    #[test]
    fn padding_is_neither_seen_nor_computed() {
        let mut x = normal([1, 5, 2], 9);
        let (p, u) = (normal([9, 2], 10), normal([1, 2], 11));
        let a = RelPosAttention { heads: 1, scale: 1.0, first_offset: 4, window: None };
        let length = t([1], &[3.]);
        let before = attend(a, [&x, &x, &x, &p, &u, &u, &length]).unwrap();
        x.data[6..].fill(f64::NAN);
        assert_eq!(attend(a, [&x, &x, &x, &p, &u, &u, &length]).unwrap(), before);
        assert_eq!(before.data[6..], [0.0; 4]);
        let none = attend(a, [&x, &x, &x, &p, &u, &u, &t([1], &[0.])]).unwrap();
        assert_eq!(none.data, [0.0; 10]);
    }

    #[test]
    fn a_window_as_wide_as_the_clip_changes_nothing() {
        let x = normal([1, 6, 4], 12);
        let (p, u) = (normal([11, 4], 13), normal([2, 2], 14));
        let a = RelPosAttention { heads: 2, scale: 0.5, first_offset: 5, window: None };
        let length = t([1], &[6.]);
        let full = attend(a, [&x, &x, &x, &p, &u, &u, &length]).unwrap();
        let wide = RelPosAttention { window: Some([5, usize::MAX]), ..a };
        assert_eq!(attend(wide, [&x, &x, &x, &p, &u, &u, &length]).unwrap(), full);
    }

    #[test]
    fn a_window_of_nothing_sees_itself_and_needs_one_position() {
        let x = normal([1, 6, 4], 15);
        let (p, u) = (normal([1, 4], 16), normal([2, 2], 17));
        let a = RelPosAttention { heads: 2, scale: 0.5, first_offset: 0, window: Some([0, 0]) };
        let y = attend(a, [&x, &x, &x, &p, &u, &u, &t([1], &[6.])]).unwrap();
        y.data.iter().zip(&x.data).for_each(|(a, b)| close(*a, *b));
    }

    #[test]
    fn lengths_beyond_the_clip_are_refused() {
        let x = normal([1, 2, 1], 18);
        let (p, u) = (normal([3, 1], 19), normal([1, 1], 20));
        for bad in [3., -1.] {
            let error = attend(ONE_HEAD, [&x, &x, &x, &p, &u, &u, &t([1], &[bad])]).unwrap_err();
            assert!(matches!(error, GraphError::OutOfRange { limit: 3, .. }), "{error}");
        }
    }

    fn full(scale: f32, operands: [&Tensor64; 4]) -> Result<Tensor64, GraphError> {
        evaluate(Op::Attention(Attention { scale }), &operands)
    }

    #[test]
    fn full_attention_by_hand() {
        // One query 1 over keys ln 1, ln 2, ln 5 with scale 1: weights 1/8, 2/8, 5/8.
        let q = t([1, 1, 1, 1], &[1.]);
        let (k, v) = (t([1, 3, 1, 1], &[0., 2f64.ln(), 5f64.ln()]), t([1, 3, 1, 1], &[8., 16., 24.]));
        close(full(1.0, [&q, &k, &v, &t([1], &[3.])]).unwrap().data[0], 20.0);
        // Over the first two keys: 1/3 and 2/3. Over none: nothing.
        close(full(1.0, [&q, &k, &v, &t([1], &[2.])]).unwrap().data[0], 40.0 / 3.0);
        assert_eq!(full(1.0, [&q, &k, &v, &t([1], &[0.])]).unwrap().data, [0.0]);
        // A scale of 2 squares the weights' ratios: 1, 4, 25.
        close(full(2.0, [&q, &k, &v, &t([1], &[3.])]).unwrap().data[0], (8. + 64. + 600.) / 30.0);
    }

    #[test]
    fn full_attention_without_positions_is_that_with_relative_positions() {
        let [q, k, v] = [31, 32, 33].map(|seed| normal([2, 6, 2, 3], seed));
        let lengths = t([2], &[6., 4.]);
        let y = full(0.6, [&q, &k, &v, &lengths]).unwrap();
        let flat = |x: &Tensor64| Tensor64::new([2, 6, 6], x.data.clone()).unwrap();
        let (p, zero) = (t([11, 6], &[0.; 66]), t([2, 3], &[0.; 6]));
        let a = RelPosAttention { heads: 2, scale: 0.6, first_offset: 5, window: None };
        let with = attend(a, [&flat(&q), &flat(&k), &flat(&v), &p, &zero, &zero, &lengths]).unwrap();
        y.data.iter().zip(&with.data).for_each(|(a, b)| close(*a, *b));
        assert_eq!(y.data[(6 + 4) * 6..], [0.0; 12], "queries past the length");
    }

    #[test]
    fn queries_of_another_sequence_are_all_computed() {
        let (q, k) = (normal([1, 2, 1, 4], 34), normal([1, 5, 1, 4], 35));
        let y = full(0.5, [&q, &k, &k, &t([1], &[1.])]).unwrap();
        // Both see the first key alone.
        y.data.iter().zip(k.data[..4].repeat(2)).for_each(|(a, b)| close(*a, b));
        assert!(matches!(
            full(0.5, [&q, &k, &k, &t([1], &[6.])]),
            Err(GraphError::OutOfRange { limit: 6, .. })
        ));
    }
}
