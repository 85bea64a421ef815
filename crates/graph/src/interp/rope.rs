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
            let (sin, cos) = (position * r.frequency(i)).sin_cos();
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
    use crate::decoder::RopeScaling;
    use crate::op::Op;

    fn turned(dims: usize, x: &Tensor64, positions: &[f64]) -> Tensor64 {
        let positions = t([1, positions.len()], positions);
        evaluate(Op::Rope(Rope::new(dims, 100.0)), &[x, &positions]).unwrap()
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
            let op = Op::Rope(Rope::new(dims, 10.0));
            assert!(matches!(evaluate(op, &[&x, &p]), Err(GraphError::Shape { .. })), "{dims}");
        }
        for theta in [0.0, f32::NAN, f32::INFINITY] {
            let op = Op::Rope(Rope::new(4, theta));
            assert!(matches!(evaluate(op, &[&x, &p]), Err(GraphError::Shape { .. })), "{theta}");
        }
    }

    #[test]
    fn wavelengths_are_stretched_by_hand() {
        // Turns within 200π positions: 100, 10, 1 and 0.1.
        let original = 200.0 * std::f32::consts::PI;
        let scaling = RopeScaling { factor: 8.0, low: 2.0, high: 34.0, original };
        let rope = Rope { dims: 8, theta: 1e4, scaling: Some(scaling) };
        let near = |pair: usize, wanted: f64| {
            let found = rope.frequency(pair);
            assert!((found - wanted).abs() <= 1e-6 * wanted, "{pair}: {found}, not {wanted}");
        };
        near(0, 1.0);
        // A quarter of the way from 2 to 34 turns.
        near(1, 0.1 * (0.25 + 0.75 / 8.0));
        near(2, 0.01 / 8.0);
        near(3, 0.001 / 8.0);
        assert_eq!(Rope::new(8, 1e4).frequency(2), 1e4f64.powf(-0.5));
    }

    #[test]
    fn scalings_that_make_no_sense_are_refused() {
        let good = RopeScaling { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        let (x, p) = (normal([1, 1, 1, 4], 4), t([1, 1], &[3.]));
        let turn =
            |scaling| evaluate(Op::Rope(Rope { scaling: Some(scaling), ..Rope::new(4, 1e4) }), &[&x, &p]);
        assert!(turn(good).is_ok());
        for bad in [
            RopeScaling { factor: 0.0, ..good },
            RopeScaling { factor: f32::NAN, ..good },
            RopeScaling { low: 4.0, ..good },
            RopeScaling { low: -1.0, ..good },
            RopeScaling { high: f32::INFINITY, ..good },
            RopeScaling { original: 0.0, ..good },
        ] {
            assert!(matches!(turn(bad), Err(GraphError::Shape { .. })), "{bad:?}");
        }
    }
}
