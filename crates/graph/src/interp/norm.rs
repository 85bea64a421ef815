//! Ops over the last dimension: normalisations, softmax and its logarithm, the largest element.

use super::Tensor64;

pub(super) fn layer_norm(eps: f64, operands: &[&Tensor64]) -> Vec<f64> {
    let &[x, gain, bias] = operands else { return Vec::new() };
    let normalise = |row: &[f64]| -> Vec<f64> {
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let inverse = 1.0 / (variance + eps).sqrt();
        row.iter().enumerate().map(|(i, v)| (v - mean) * inverse * gain.data[i] + bias.data[i]).collect()
    };
    x.rows().flat_map(normalise).collect()
}

pub(super) fn rms_norm(eps: f64, operands: &[&Tensor64]) -> Vec<f64> {
    let &[x, gain] = operands else { return Vec::new() };
    let normalise = |row: &[f64]| -> Vec<f64> {
        let mean_square = row.iter().map(|v| v * v).sum::<f64>() / row.len() as f64;
        let inverse = 1.0 / (mean_square + eps).sqrt();
        row.iter().zip(&gain.data).map(|(v, g)| v * inverse * g).collect()
    };
    x.rows().flat_map(normalise).collect()
}

pub(super) fn l2_norm(eps: f64, x: &Tensor64) -> Vec<f64> {
    let normalise = |row: &[f64]| -> Vec<f64> {
        let length = (row.iter().map(|v| v * v).sum::<f64>() + eps).sqrt();
        row.iter().map(|v| v / length).collect()
    };
    x.rows().flat_map(normalise).collect()
}

pub(super) fn batch_norm(eps: f64, operands: &[&Tensor64]) -> Vec<f64> {
    let &[x, gain, bias, mean, variance] = operands else { return Vec::new() };
    let normalise = |(i, v): (usize, &f64)| {
        (v - mean.data[i]) / (variance.data[i] + eps).sqrt() * gain.data[i] + bias.data[i]
    };
    x.rows().flat_map(|row| row.iter().enumerate().map(normalise)).collect()
}

pub(super) fn batch_norm_scale(eps: f64, gain: &Tensor64, variance: &Tensor64) -> Vec<f64> {
    gain.data.iter().zip(&variance.data).map(|(g, v)| g / (v + eps).sqrt()).collect()
}

pub(super) fn softmax(x: &Tensor64) -> Vec<f64> {
    x.rows().flat_map(softmax_row).collect()
}

/// Subtracting the largest element changes nothing but the range of `exp`.
pub(super) fn softmax_row(row: &[f64]) -> Vec<f64> {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = row.iter().map(|v| (v - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|p| p / sum).collect()
}

pub(super) fn log_softmax(x: &Tensor64) -> Vec<f64> {
    let of_row = |row: &[f64]| -> Vec<f64> {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = row.iter().map(|v| (v - top).exp()).sum::<f64>().ln();
        row.iter().map(|v| v - top - log_sum).collect()
    };
    x.rows().flat_map(of_row).collect()
}

pub(super) fn argmax(x: &Tensor64) -> Vec<f64> {
    x.rows().map(|row| first_largest(row) as f64).collect()
}

/// The first index of the largest element. What is no number is never the largest; a row without numbers gives 0.
pub(super) fn first_largest(row: &[f64]) -> usize {
    let (mut best, mut top) = (0, f64::NEG_INFINITY);
    for (i, &v) in row.iter().enumerate() {
        if v > top {
            (best, top) = (i, v);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, evaluate, normal, t};
    use super::*;
    use crate::op::Op;

    #[test]
    fn layer_norm_by_hand() {
        // Mean 2, variance 1 + eps 3 = 4: [-1, 1] / 2; times gain [2, 4] plus bias [10, 20].
        let (gain, bias) = (t([2], &[2., 4.]), t([2], &[10., 20.]));
        let y = evaluate(Op::LayerNorm { eps: 3.0 }, &[&t([1, 2], &[1., 3.]), &gain, &bias]).unwrap();
        assert_eq!(y, t([1, 2], &[9., 22.]));
    }

    #[test]
    fn layer_norm_forgets_shift_and_scale() {
        let x = normal([3, 17], 1);
        let moved = Tensor64 { data: x.data.iter().map(|v| 5.0 * v - 7.0).collect(), ..x.clone() };
        let (gain, bias) = (normal([17], 2), normal([17], 3));
        let of = |x: &Tensor64| evaluate(Op::LayerNorm { eps: 0.0 }, &[x, &gain, &bias]).unwrap().data;
        of(&x).iter().zip(of(&moved)).for_each(|(a, b)| close(*a, b));
    }

    #[test]
    fn rms_norm_by_hand() {
        // Mean square (9 + 49)/2 = 29, eps 7: divided by 6.
        let y = evaluate(Op::RmsNorm { eps: 7.0 }, &[&t([1, 2], &[3., -7.]), &t([2], &[2., 6.])]).unwrap();
        close(y.data[0], 1.0);
        close(y.data[1], -7.0);
    }

    #[test]
    fn rms_norm_is_layer_norm_of_centred_rows() {
        let x = normal([1, 9], 4);
        let mean = x.data.iter().sum::<f64>() / 9.0;
        let centred = Tensor64 { data: x.data.iter().map(|v| v - mean).collect(), ..x };
        let (gain, zero) = (normal([9], 5), t([9], &[0.; 9]));
        let a = evaluate(Op::RmsNorm { eps: 1e-5 }, &[&centred, &gain]).unwrap();
        let b = evaluate(Op::LayerNorm { eps: 1e-5 }, &[&centred, &gain, &zero]).unwrap();
        a.data.iter().zip(&b.data).for_each(|(a, b)| close(*a, *b));
    }

    #[test]
    fn batch_norm_uses_the_stored_statistics() {
        // (5 − 1)/sqrt(3 + 1)·10 + 0.5 = 20.5 and (−2 − 0)/sqrt(0 + 1)·3 − 1 = −7.
        let [gain, bias, mean, variance] =
            [[10., 3.], [0.5, -1.], [1., 0.], [3., 0.]].map(|values| t([2], &values));
        let x = t([1, 1, 2], &[5., -2.]);
        let y = evaluate(Op::BatchNorm { eps: 1.0 }, &[&x, &gain, &bias, &mean, &variance]).unwrap();
        assert_eq!(y, t([1, 1, 2], &[20.5, -7.]));
    }

    #[test]
    fn the_scale_of_a_batch_norm() {
        // 10/sqrt(3 + 1) and 3/sqrt(0 + 1).
        let scale =
            evaluate(Op::BatchNormScale { eps: 1.0 }, &[&t([2], &[10., 3.]), &t([2], &[3., 0.])]).unwrap();
        assert_eq!(scale, t([2], &[5., 3.]));
        // A batch norm is that scale and a shift: y(x) − y(0) = scale · x.
        let [gain, bias, mean] = [7, 8, 9].map(|seed| normal([5], seed));
        let variance = t([5], &[0.1, 0.5, 1.0, 2.0, 9.0]);
        let norm = |x: &Tensor64| {
            evaluate(Op::BatchNorm { eps: 1e-5 }, &[x, &gain, &bias, &mean, &variance]).unwrap().data
        };
        let (x, zero) = (normal([1, 5], 10), t([1, 5], &[0.; 5]));
        let scale = evaluate(Op::BatchNormScale { eps: 1e-5 }, &[&gain, &variance]).unwrap().data;
        for (i, (y, y0)) in norm(&x).iter().zip(norm(&zero)).enumerate() {
            close(y - y0, scale[i] * x.data[i]);
        }
    }

    #[test]
    fn softmax_by_hand_and_at_the_extremes() {
        // exp: 1, 3 → 1/4, 3/4.
        let y = evaluate(Op::Softmax, &[&t([1, 2], &[0., 3f64.ln()])]).unwrap();
        close(y.data[0], 0.25);
        close(y.data[1], 0.75);
        let y = evaluate(Op::Softmax, &[&t([1, 3], &[1e5, 1e5, -1e5])]).unwrap();
        assert_eq!(y.data, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn softmax_rows_sum_to_one_and_its_log_agrees() {
        let x = normal([4, 31], 6);
        let y = evaluate(Op::Softmax, &[&x]).unwrap();
        let log = evaluate(Op::LogSoftmax, &[&x]).unwrap();
        y.rows().for_each(|row| close(row.iter().sum(), 1.0));
        y.data.iter().zip(&log.data).for_each(|(p, l)| close(p.ln(), *l));
    }

    #[test]
    fn log_softmax_by_hand() {
        let y = evaluate(Op::LogSoftmax, &[&t([1, 2], &[7.0, 7.0 + 3f64.ln()])]).unwrap();
        close(y.data[0], 0.25f64.ln());
        close(y.data[1], 0.75f64.ln());
    }

    #[test]
    fn argmax_takes_the_first_of_equals() {
        let y = evaluate(Op::Argmax, &[&t([3, 3], &[1., 9., 9., -3., -4., -5., 2., 2., 2.])]).unwrap();
        assert_eq!(y, t([3], &[1., 0., 0.]));
        assert!(evaluate(Op::Argmax, &[&t([3, 0], &[])]).is_err());
        let y = evaluate(Op::Argmax, &[&t([2, 2], &[f64::NAN, -1., f64::NAN, f64::NAN])]).unwrap();
        assert_eq!(y.data, [1., 0.]);
    }
}
