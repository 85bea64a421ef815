//! Routed experts: which, how much of each, and what they compute.

use super::elementwise::{activate, sigmoid};
use super::{Tensor64, index};
use crate::error::GraphError;
use crate::experts::{ExpertChoice, ExpertGateUp, ExpertWeights, RouterScore};
use std::cmp::Ordering;

fn scores(score: RouterScore, logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - largest).exp()).sum();
    let of = |&x: &f64| match score {
        RouterScore::Softmax => (x - largest).exp() / sum,
        RouterScore::Sigmoid => sigmoid(x),
        RouterScore::SqrtSoftplus => (x.max(0.0) + (-x.abs()).exp().ln_1p()).sqrt(),
    };
    logits.iter().map(of).collect()
}

pub(super) fn choice(c: &ExpertChoice, operands: &[&Tensor64]) -> Vec<f64> {
    let mut out = Vec::new();
    for logits in operands[0].rows() {
        let mut ranks = match operands.get(1) {
            Some(bias) => scores(c.score, logits).iter().zip(&bias.data).map(|(p, b)| p + b).collect(),
            None => logits.to_vec(),
        };
        ranks.iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = f64::NEG_INFINITY);
        let mut ids: Vec<usize> = (0..ranks.len()).collect();
        // Stable, so that of equals the lowest id comes first.
        ids.sort_by(|&a, &b| ranks[b].partial_cmp(&ranks[a]).unwrap_or(Ordering::Equal));
        out.extend(ids[..c.used].iter().map(|&id| id as f64));
    }
    out
}

pub(super) fn weights(
    node: &str,
    w: &ExpertWeights,
    logits: &Tensor64,
    ids: &Tensor64,
) -> Result<Vec<f64>, GraphError> {
    let mut out = Vec::new();
    for (logits, ids) in logits.rows().zip(ids.rows()) {
        let scores = scores(w.score, logits);
        let chosen = ids.iter().map(|&id| Ok(scores[index(node, "expert", id, scores.len())?]));
        let chosen = chosen.collect::<Result<Vec<f64>, GraphError>>()?;
        let divisor = w.normalise.map_or(1.0, |least| chosen.iter().sum::<f64>().max(f64::from(least)));
        out.extend(chosen.iter().map(|p| p / divisor * f64::from(w.scale)));
    }
    Ok(out)
}

/// Row `row` of expert `id` times `x`.
fn product(stack: &Tensor64, id: usize, row: usize, x: &[f64]) -> f64 {
    let (rows, width) = (stack.shape.dims()[1], stack.shape.last());
    let w = &stack.data[(id * rows + row) * width..][..width];
    w.iter().zip(x).map(|(w, x)| w * x).sum()
}

pub(super) fn gate_up(node: &str, g: &ExpertGateUp, operands: &[&Tensor64]) -> Result<Vec<f64>, GraphError> {
    let &[x, ids, gate, ..] = operands else { return Ok(Vec::new()) };
    let &[experts, rows, width] = gate.shape.dims() else { return Ok(Vec::new()) };
    let (units, up, first) = match operands.get(3) {
        Some(up) => (rows, *up, 0),
        None => (rows / 2, gate, rows / 2),
    };
    let mut out = Vec::new();
    for (token, ids) in ids.rows().enumerate() {
        let x = &x.data[token * width..(token + 1) * width];
        for &id in ids {
            let id = index(node, "expert", id, experts)?;
            for row in 0..units {
                let (mut a, mut b) = (product(gate, id, row, x), product(up, id, first + row, x));
                if let Some(limit) = g.limit.map(f64::from) {
                    // Comparisons, so that what is no number stays none.
                    a = if a > limit { limit } else { a };
                    b = if b.abs() > limit { limit.copysign(b) } else { b };
                }
                out.push(b * activate(g.activation, a));
            }
        }
    }
    Ok(out)
}

pub(super) fn down(node: &str, operands: &[&Tensor64]) -> Result<Vec<f64>, GraphError> {
    let &[h, ids, weights, stack] = operands else { return Ok(Vec::new()) };
    let &[experts, rows, width] = stack.shape.dims() else { return Ok(Vec::new()) };
    let used = ids.shape.last();
    let mut out = Vec::new();
    for (token, (ids, weights)) in ids.rows().zip(weights.rows()).enumerate() {
        let mut sums = vec![0.0; rows];
        for (i, (&id, weight)) in ids.iter().zip(weights).enumerate() {
            let id = index(node, "expert", id, experts)?;
            let h = &h.data[(token * used + i) * width..][..width];
            sums.iter_mut().enumerate().for_each(|(row, sum)| *sum += weight * product(stack, id, row, h));
        }
        out.extend(sums);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, evaluate, normal, t};
    use super::*;
    use crate::op::{Activation, Op};

    fn chosen(score: RouterScore, used: usize, logits: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
        let logits = t([1, logits.len()], logits);
        let bias = bias.map(|b| Tensor64::new([b.len()], b.to_vec()).unwrap());
        let op = Op::ExpertChoice(ExpertChoice { used, score, bias: bias.is_some() });
        let operands: Vec<&Tensor64> = [&logits].into_iter().chain(&bias).collect();
        evaluate(op, &operands).unwrap().data
    }

    #[test]
    fn the_highest_come_first_and_of_equals_the_lowest_id() {
        use RouterScore::{Sigmoid, Softmax, SqrtSoftplus};
        assert_eq!(chosen(Softmax, 3, &[1., 3., 2., 3.], None), [1., 3., 2.]);
        assert_eq!(chosen(Sigmoid, 2, &[0.; 5], None), [0., 1.]);
        assert_eq!(chosen(SqrtSoftplus, 2, &[-0.0, 0.0, f64::NAN], None), [0., 1.]);
        assert_eq!(chosen(Softmax, 3, &[f64::NAN, f64::NEG_INFINITY, -5.], None), [2., 0., 1.]);
        // Beyond where a sigmoid in floats could tell them apart.
        assert_eq!(chosen(Sigmoid, 2, &[40., 41., 39.], None), [1., 0.]);
    }

    #[test]
    fn the_bias_is_added_to_scores_and_not_to_logits() {
        // Sigmoids 0.5 and 0.73: a bias of 0.3 turns them, as a part of the logit it would not.
        assert_eq!(chosen(RouterScore::Sigmoid, 1, &[0., 1.], Some(&[0.3, 0.])), [0.]);
        assert_eq!(chosen(RouterScore::Sigmoid, 1, &[0., 1.], Some(&[0.2, 0.])), [1.]);
        // Softmaxes 0.27 and 0.73; roots of softplus 0.83 and 1.15.
        assert_eq!(chosen(RouterScore::Softmax, 1, &[0., 1.], Some(&[0.4, 0.])), [1.]);
        assert_eq!(chosen(RouterScore::SqrtSoftplus, 1, &[0., 1.], Some(&[0.4, 0.])), [0.]);
    }

    fn weights_of(w: ExpertWeights, logits: &[f64], ids: &[f64]) -> Result<Vec<f64>, GraphError> {
        let (logits, ids) = (t([1, logits.len()], logits), t([1, ids.len()], ids));
        Ok(evaluate(Op::ExpertWeights(w), &[&logits, &ids])?.data)
    }

    #[test]
    fn weights_by_hand() {
        let (l2, l3) = (2f64.ln(), 3f64.ln());
        let softmax = ExpertWeights { score: RouterScore::Softmax, normalise: None, scale: 1.0 };
        // Of 1 + 2 + 3 = 6 parts.
        let y = weights_of(softmax, &[0., l2, l3], &[2., 0.]).unwrap();
        y.iter().zip([0.5, 1.0 / 6.0]).for_each(|(&y, wanted)| close(y, wanted));
        let y =
            weights_of(ExpertWeights { normalise: Some(0.0), ..softmax }, &[0., l2, l3], &[2., 0.]).unwrap();
        y.iter().zip([0.75, 0.25]).for_each(|(&y, wanted)| close(y, wanted));
        let sigmoid = ExpertWeights { score: RouterScore::Sigmoid, normalise: Some(4.0), scale: 2.0 };
        // 3/4 and 1/2, whose sum is less than four.
        let y = weights_of(sigmoid, &[l3, 0.], &[0., 1.]).unwrap();
        y.iter().zip([0.375, 0.25]).for_each(|(&y, wanted)| close(y, wanted));
        let root = ExpertWeights { score: RouterScore::SqrtSoftplus, normalise: None, scale: 1.5 };
        close(weights_of(root, &[0.], &[0.]).unwrap()[0], 1.5 * l2.sqrt());
    }

    #[test]
    fn experts_compute_what_gated_units_of_their_own_would() {
        let x = t([2, 1], &[1., 2.]);
        let ids = t([2, 2], &[1., 0., 1., 1.]);
        let gate = t([2, 1, 1], &[3., -4.]);
        let up = t([2, 1, 1], &[5., 6.]);
        let relu = ExpertGateUp { activation: Activation::Relu, limit: None, fused: false };
        let h = evaluate(Op::ExpertGateUp(relu), &[&x, &ids, &gate, &up]).unwrap();
        assert_eq!(h.data, [0., 15., 0., 0.]);
        let limited = ExpertGateUp { limit: Some(2.5), ..relu };
        let h = evaluate(Op::ExpertGateUp(limited), &[&x, &ids, &gate, &up]).unwrap();
        assert_eq!(h.data, [0., 6.25, 0., 0.]);
        let both = t([2, 2, 1], &[3., 5., -4., 6.]);
        let fused =
            evaluate(Op::ExpertGateUp(ExpertGateUp { fused: true, ..limited }), &[&x, &ids, &both]).unwrap();
        assert_eq!(fused, h);
        let (h, weights) = (t([1, 2, 1], &[2., 3.]), t([1, 2], &[0.5, 10.]));
        let down = t([2, 2, 1], &[1., 2., 4., 8.]);
        let y = evaluate(Op::ExpertDown, &[&h, &t([1, 2], &[1., 0.]), &weights, &down]).unwrap();
        assert_eq!(y.data, [34., 68.]);
    }

    #[test]
    fn experts_that_are_not_there_are_refused() {
        let (x, stack) = (normal([1, 2], 1), normal([3, 2, 2], 2));
        let op = ExpertGateUp { activation: Activation::Silu, limit: None, fused: true };
        let weights = ExpertWeights { score: RouterScore::Softmax, normalise: None, scale: 1.0 };
        for bad in [3.0, -1.0] {
            let ids = t([1, 1], &[bad]);
            assert!(evaluate(Op::ExpertGateUp(op), &[&x, &ids, &stack]).is_err());
            assert!(
                evaluate(Op::ExpertDown, &[&normal([1, 1, 2], 3), &ids, &t([1, 1], &[1.0]), &stack]).is_err()
            );
            assert!(weights_of(weights, &[1., 2., 3.], &[bad]).is_err());
        }
    }
}
