//! Rotary position embedding.

use super::Tensor64;
use crate::decoder::Rope;
use crate::error::GraphError;

pub(super) fn rope(node: &str, r: &Rope, x: &Tensor64, positions: &Tensor64) -> Result<Vec<f64>, GraphError> {
    let &[_, _, heads, width] = x.shape.dims() else { return Ok(Vec::new()) };
    if let Some(bad) = positions.data.iter().find(|p| p.fract() != 0.0) {
        let reason = format!("holds {bad}, whole numbers are needed");
        return Err(GraphError::Argument { kind: "positions of", name: node.to_owned(), reason });
    }
    let half = r.dims / 2;
    let mut out = x.data.clone();
    for (head, y) in out.chunks_exact_mut(width.max(1)).enumerate() {
        let position = positions.data[head / heads];
        for i in 0..half {
            let angle = position * f64::from(r.theta).powf(-2.0 * i as f64 / r.dims as f64);
            let (sin, cos) = angle.sin_cos();
            let (a, b) = (y[i], y[i + half]);
            y[i] = a * cos - b * sin;
            y[i + half] = b * cos + a * sin;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, evaluate, normal, t};
    use super::*;
    use crate::op::Op;

    fn turned(dims: usize, x: &Tensor64, positions: &[f64]) -> Tensor64 {
        let positions = t([1, positions.len()], positions);
        evaluate(Op::Rope(Rope { dims, theta: 100.0 }), &[x, &positions]).unwrap()
    }

    #[test]
    fn pairs_turn_by_hand() {
        // Four of five channels turn: (x0, x2) by 3 · 1, (x1, x3) by 3 · 100^(−2/4) = 0.3.
        let x = t([1, 1, 1, 5], &[1., 0., 0., 2., 7.]);
        let y = turned(4, &x, &[3.]);
        close(y.data[0], 3f64.cos());
        close(y.data[2], 3f64.sin());
        close(y.data[1], -2.0 * 0.3f64.sin());
        close(y.data[3], 2.0 * 0.3f64.cos());
        close(y.data[4], 7.0);
    }

    #[test]
    fn scores_depend_on_the_distance_only() {
        let [q, k] = [1, 2].map(|seed| normal([1, 1, 1, 6], seed));
        let score = |a: f64, b: f64| -> f64 {
            let (q, k) = (turned(6, &q, &[a]), turned(6, &k, &[b]));
            q.data.iter().zip(&k.data).map(|(q, k)| q * k).sum()
        };
        assert!((score(5., 2.) - score(1003., 1000.)).abs() < 1e-9);
        assert!((score(5., 2.) - score(5., 3.)).abs() > 1e-3);
    }

    #[test]
    fn every_head_of_a_token_turns_alike() {
        let x = normal([1, 2, 3, 4], 3);
        let y = turned(4, &x, &[0., 9.]);
        assert_eq!(y.data[..12], x.data[..12]);
        for head in 3..6 {
            let alone = t([1, 1, 1, 4], &x.data[4 * head..4 * head + 4]);
            assert_eq!(y.data[4 * head..4 * head + 4], turned(4, &alone, &[9.]).data);
        }
    }

    #[test]
    fn what_cannot_turn_is_refused() {
        let (x, p) = (normal([1, 1, 1, 4], 4), t([1, 1], &[0.]));
        for dims in [0, 3, 6] {
            let op = Op::Rope(Rope { dims, theta: 10.0 });
            assert!(matches!(evaluate(op, &[&x, &p]), Err(GraphError::Shape { .. })), "{dims}");
        }
        for theta in [0.0, f32::NAN, f32::INFINITY] {
            let op = Op::Rope(Rope { dims: 4, theta });
            assert!(matches!(evaluate(op, &[&x, &p]), Err(GraphError::Shape { .. })), "{theta}");
        }
    }
}
