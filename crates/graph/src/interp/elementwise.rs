//! Ops that look at one element at a time.

use super::{Tensor64, special::erf};
use crate::op::{Activation, BinaryOp};

/// An activation of one element.
pub(super) fn activate(f: Activation, x: f64) -> f64 {
    match f {
        Activation::Relu => x.max(0.0),
        Activation::Silu => x * sigmoid(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Exp => x.exp(),
        // The same value as ln(1 + exp(x)) where that does not overflow.
        Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Activation::Rsqrt => 1.0 / x.sqrt(),
        Activation::LeakyRelu(slope) if x < 0.0 => f64::from(slope) * x,
        Activation::Elu if x < 0.0 => x.exp_m1(),
        Activation::LeakyRelu(_) | Activation::Elu => x,
        Activation::Mish => x * activate(Activation::Softplus, x).tanh(),
        Activation::Sin => x.sin(),
        Activation::Cos => x.cos(),
        Activation::Sqrt => x.sqrt(),
        Activation::Abs => x.abs(),
    }
}

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub(super) fn unary(f: Activation, x: &Tensor64) -> Vec<f64> {
    x.data.iter().map(|&v| activate(f, v)).collect()
}

/// The second operand is read with stride 0 along the dimensions it broadcasts over.
pub(super) fn binary(f: BinaryOp, a: &Tensor64, b: &Tensor64) -> Vec<f64> {
    let missing = a.shape.rank() - b.shape.rank();
    let mut strides = vec![0; a.shape.rank()];
    let mut step = 1;
    for (axis, &extent) in b.shape.dims().iter().enumerate().rev() {
        strides[missing + axis] = if extent == 1 { 0 } else { step };
        step *= extent;
    }
    let apply = |(i, &x): (usize, &f64)| {
        let (mut rest, mut at) = (i, 0);
        for (&extent, stride) in a.shape.dims().iter().zip(&strides).rev() {
            at += rest % extent * stride;
            rest /= extent;
        }
        let y = b.data[at];
        match f {
            BinaryOp::Add => x + y,
            BinaryOp::Sub => x - y,
            BinaryOp::Mul => x * y,
            BinaryOp::Div => x / y,
        }
    };
    a.data.iter().enumerate().map(apply).collect()
}

pub(super) fn gated(f: Activation, a: &Tensor64, b: &Tensor64) -> Vec<f64> {
    a.data.iter().zip(&b.data).map(|(a, &b)| a * activate(f, b)).collect()
}

/// What is no number stays none.
pub(super) fn clamp([min, max]: [f64; 2], x: &Tensor64) -> Vec<f64> {
    x.data.iter().map(|&v| if v.is_nan() { v } else { v.max(min).min(max) }).collect()
}

pub(super) fn snake(x: &Tensor64, alpha: &Tensor64) -> Vec<f64> {
    let periodic = |(x, alpha): (&f64, &f64)| x + (alpha * x).sin().powi(2) / (alpha + 1e-9);
    x.rows().flat_map(|row| row.iter().zip(&alpha.data).map(periodic)).collect()
}

pub(super) fn glu(x: &Tensor64) -> Vec<f64> {
    let half = x.shape.last() / 2;
    x.rows().flat_map(|row| (0..half).map(move |i| row[i] * sigmoid(row[half + i]))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, evaluate, normal, t};
    use super::*;
    use crate::op::Op;

    #[test]
    fn activations_at_known_points() {
        let (e, ln2) = (std::f64::consts::E, std::f64::consts::LN_2);
        // sigmoid(ln 3) = 3/4; tanh(ln 2) = 3/5; Φ(1) = 0.841344746068543 (the one-sigma quantile).
        let ln3 = 3f64.ln();
        for (f, x, y) in [
            (Activation::Relu, -2.0, 0.0),
            (Activation::Relu, 2.0, 2.0),
            (Activation::Silu, ln3, 0.75 * ln3),
            (Activation::Sigmoid, ln3, 0.75),
            (Activation::Sigmoid, -800.0, 0.0),
            (Activation::Tanh, ln2, 0.6),
            (Activation::Gelu, 1.0, 0.841_344_746_068_542_9),
            (Activation::Gelu, 0.0, 0.0),
            // 0.5·(1 + tanh(sqrt(2/π)·1.044715)), tanh(0.83355…) = 0.682383…
            (Activation::GeluTanh, 1.0, 0.841_191_990_608_300_6),
            (Activation::Exp, 1.0, e),
            (Activation::Softplus, 0.0, ln2),
            (Activation::Softplus, 900.0, 900.0),
            (Activation::Rsqrt, 4.0, 0.5),
            (Activation::LeakyRelu(0.25), -8.0, -2.0),
            (Activation::LeakyRelu(0.25), 8.0, 8.0),
            // exp(−ln 2) − 1.
            (Activation::Elu, -ln2, -0.5),
            (Activation::Elu, 3.0, 3.0),
            // softplus(0) = ln 2, whose tanh is 3/5; softplus(ln 3) = ln 4, whose tanh is 15/17.
            (Activation::Mish, 0.0, 0.0),
            (Activation::Mish, ln3, 15.0 / 17.0 * ln3),
            (Activation::Mish, 900.0, 900.0),
            (Activation::Sin, std::f64::consts::FRAC_PI_6, 0.5),
            (Activation::Cos, -std::f64::consts::FRAC_PI_3, 0.5),
            (Activation::Sqrt, 2.25, 1.5),
            (Activation::Abs, -7.0, 7.0),
        ] {
            let found = evaluate(Op::Unary(f), &[&t([1], &[x])]).unwrap();
            assert!((found.data[0] - y).abs() < 1e-12, "{f:?}({x}) is {}, not {y}", found.data[0]);
        }
    }

    #[test]
    fn activations_obey_their_identities() {
        for x in normal([200], 1).data {
            close(activate(Activation::Silu, x) - activate(Activation::Silu, -x), x);
            close(activate(Activation::Gelu, x) - activate(Activation::Gelu, -x), x);
            close(activate(Activation::Softplus, x) - activate(Activation::Softplus, -x), x);
            close(activate(Activation::Tanh, x), 2.0 * sigmoid(2.0 * x) - 1.0);
            assert!((activate(Activation::Gelu, x) - activate(Activation::GeluTanh, x)).abs() < 1e-3);
        }
    }

    #[test]
    fn snake_waves_around_the_identity_with_a_frequency_for_each_channel() {
        // sin²(π/6 · 1) = 1/4 over π/6; sin²(π/2 · −1) = 1 over π/2.
        let pi = std::f64::consts::PI;
        let y = evaluate(Op::Snake, &[&t([1, 2], &[1., -1.]), &t([2], &[pi / 6.0, pi / 2.0])]).unwrap();
        for (found, wanted) in y.data.iter().zip([1.0 + 1.5 / pi, -1.0 + 2.0 / pi]) {
            assert!((found - wanted).abs() < 1e-8, "{found} is not {wanted}");
        }
        // Where the frequency is zero so is the wave, and nothing is divided by it.
        let y = evaluate(Op::Snake, &[&t([1, 1], &[3.]), &t([1], &[0.])]).unwrap();
        assert_eq!(y.data, [3.0]);
    }

    #[test]
    fn clamped_elements_lie_within_the_bounds() {
        let x = t([4], &[-2., 0.25, 7., f64::NAN]);
        let y = evaluate(Op::Clamp { min: -1.0, max: 0.5 }, &[&x]).unwrap();
        assert_eq!(y.data[..3], [-1., 0.25, 0.5]);
        assert!(y.data[3].is_nan());
    }

    #[test]
    fn binary_ops() {
        let (a, b) = (t([3], &[6., 1., -4.]), t([3], &[3., -1., 0.5]));
        let of = |f| evaluate(Op::Binary(f), &[&a, &b]).unwrap().data;
        assert_eq!(of(BinaryOp::Add), [9., 0., -3.5]);
        assert_eq!(of(BinaryOp::Sub), [3., 2., -4.5]);
        assert_eq!(of(BinaryOp::Mul), [18., -1., -2.]);
        assert_eq!(of(BinaryOp::Div), [2., -1., -8.]);
    }

    #[test]
    fn the_second_operand_broadcasts() {
        let a = t([2, 3], &[1., 2., 3., 4., 5., 6.]);
        let add = |b: &Tensor64| evaluate(Op::Binary(BinaryOp::Add), &[&a, b]).unwrap().data;
        assert_eq!(add(&t([3], &[10., 20., 30.])), [11., 22., 33., 14., 25., 36.]);
        assert_eq!(add(&t([2, 1], &[10., 20.])), [11., 12., 13., 24., 25., 26.]);
        assert_eq!(add(&t([1], &[10.])), [11., 12., 13., 14., 15., 16.]);
        assert_eq!(add(&t([], &[10.])), [11., 12., 13., 14., 15., 16.]);
        let cube = normal([2, 3, 4], 9);
        let middle = normal([3, 1], 10);
        let y = evaluate(Op::Binary(BinaryOp::Mul), &[&cube, &middle]).unwrap();
        close(y.data[12 + 2 * 4 + 3], cube.data[12 + 2 * 4 + 3] * middle.data[2]);
    }

    #[test]
    fn scale_multiplies() {
        let y = evaluate(Op::Scale(-0.5), &[&t([2], &[3., -8.])]).unwrap();
        assert_eq!(y.data, [-1.5, 4.]);
    }

    #[test]
    fn glu_gates_the_first_half_by_the_second() {
        // sigmoid(0) = 1/2, sigmoid(ln 3) = 3/4.
        let y = evaluate(Op::Glu, &[&t([2, 2], &[8., 0., 4., 3f64.ln()])]).unwrap();
        assert_eq!(y.shape.dims(), [2, 1]);
        close(y.data[0], 4.0);
        close(y.data[1], 3.0);
        let y = evaluate(Op::Glu, &[&t([1, 4], &[8., 4., 0., 3f64.ln()])]).unwrap();
        close(y.data[0], 4.0);
        close(y.data[1], 3.0);
    }
}
