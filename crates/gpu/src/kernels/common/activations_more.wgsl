// Activations that few models have; they need the others' exponential.

// exp(x) - 1 below zero. Near zero the difference cancels: there the Taylor series, which leaves 3e-9 after its ninth term.
fn elu(x: f32) -> f32 {
    var sum = fma(x, 2.7557319e-6, 2.4801587e-5);
    sum = fma(sum, x, 1.9841270e-4);
    sum = fma(sum, x, 1.3888889e-3);
    sum = fma(sum, x, 8.3333333e-3);
    sum = fma(sum, x, 4.1666667e-2);
    sum = fma(sum, x, 0.16666667);
    sum = fma(sum, x, 0.5);
    sum = fma(sum, x, 1.0);
    let below = select(exponential(x) - 1.0, sum * x, x > -0.5);
    return select(x, below, x < 0.0);
}

// With e = exp x, tanh(ln(1 + e)) is (e² + 2e) / (e² + 2e + 2), above zero divided by e².
fn mish(x: f32) -> f32 {
    let e = exponential(-abs(x));
    let part = select(1.0 + 2.0 * e, e * (e + 2.0), x < 0.0);
    return x * (part / (part + select(2.0 * e * e, 2.0, x < 0.0)));
}

// A step of Newton's method on the device's own, which may err by several units in the last place.
fn square_root(x: f32) -> f32 {
    let s = sqrt(x);
    let better = fma(fma(-s, s, x), 0.5 / s, s);
    return select(s, better, s > 1e-18 && s < 1e18);
}

fn magnitude(x: f32) -> f32 {
    return abs(x);
}
