// exp. WGSL lets a device err by 3 + 2|x| units in the last place, and some do: far from zero that is more than a plain
// formula may cost. Here x = n ln 2 + r with |r| <= ln 2 / 2; the high part of ln 2 has ten bits, so that its products with n
// are exact whether or not fma is fused, and the Taylor series of exp r leaves 5e-9 after its eighth term. The low part is
// multiplied by an integer twice as large: compilers that may reorder would else add the parts up again.
fn exponential(x: f32) -> f32 {
//#if FAST_EXP
    return exp(x);
//#else
    // The bounds keep both powers of two below within range; what is past them becomes 0 or infinity by itself.
    let n = clamp(round(x * 1.44269504), -252.0, 252.0);
    let r = fma(f32(i32(n) << 1u), 1.06097220e-4, fma(n, -0.693359375, x));
    var e = fma(r, 1.9841270e-4, 1.3888889e-3);
    e = fma(e, r, 8.3333333e-3);
    e = fma(e, r, 4.1666667e-2);
    e = fma(e, r, 0.16666667);
    e = fma(e, r, 0.5);
    e = fma(e, r, 1.0);
    e = fma(e, r, 1.0);
    // In two steps, so that neither the largest nor the smallest results need a power that f32 lacks.
    let lower = i32(n) / 2;
    let low = bitcast<f32>((lower + 127) << 23u);
    let high = bitcast<f32>((i32(n) - lower + 127) << 23u);
    return select(e * low * high, 0.0, x < -104.0);
//#endif
}

// log(1 + e) for e in [0, 1], where the logarithm of a device may err by 2^-21: 2 artanh(e / (2 + e)), whose series leaves
// 2e-9 after its eighth term.
fn log_one_plus(e: f32) -> f32 {
    let q = e / (2.0 + e);
    let s = q * q;
    var sum = 0.066666667;
    sum = fma(sum, s, 0.076923077);
    sum = fma(sum, s, 0.090909091);
    sum = fma(sum, s, 0.11111111);
    sum = fma(sum, s, 0.14285714);
    sum = fma(sum, s, 0.2);
    sum = fma(sum, s, 0.33333333);
    sum = fma(sum, s, 1.0);
    return 2.0 * q * sum;
}

fn relu(x: f32) -> f32 {
    // max may drop what is not a number.
    return select(x, 0.0, x < 0.0);
}

fn reciprocal_root(x: f32) -> f32 {
    return inverseSqrt(x);
}

fn sigmoid(x: f32) -> f32 {
    // exp of a positive number may overflow, and infinity divides to a clean zero only on some devices.
    let e = exponential(-abs(x));
    let s = 1.0 / (1.0 + e);
    return select(s, e * s, x < 0.0);
}

fn silu(x: f32) -> f32 {
    return x * sigmoid(x);
}

fn tanh_safe(x: f32) -> f32 {
    let a = abs(x);
    // Near zero the quotient below cancels: an odd polynomial of degree 9 is within an ulp or two there.
    let s = x * x;
    let near = x * (1.0 + s * (-0.33333333 + s * (0.13333333 + s * (-0.053968254 + s * 0.021869488))));
    let e = exponential(-2.0 * a);
    let far = sign(x) * ((1.0 - e) / (1.0 + e));
    return select(far, near, a < 0.25);
}

// The error function: its Taylor series up to 1, where eleven terms leave 1e-9, and beyond it 1 - erfc with a polynomial in
// 1 / (1 + a/2) within 1.2e-7 of erfc (Numerical Recipes, section 6.2), absolute error far below that for a >= 1.
fn erf(x: f32) -> f32 {
    let a = abs(x);
    if a < 1.0 {
        let s = x * x;
        var sum = 1.0 / (39916800.0 * 23.0);
        sum = 1.0 / (3628800.0 * 21.0) - sum * s;
        sum = 1.0 / (362880.0 * 19.0) - sum * s;
        sum = 1.0 / (40320.0 * 17.0) - sum * s;
        sum = 1.0 / (5040.0 * 15.0) - sum * s;
        sum = 1.0 / (720.0 * 13.0) - sum * s;
        sum = 1.0 / (120.0 * 11.0) - sum * s;
        sum = 1.0 / (24.0 * 9.0) - sum * s;
        sum = 1.0 / (6.0 * 7.0) - sum * s;
        sum = 1.0 / (2.0 * 5.0) - sum * s;
        sum = 1.0 / 3.0 - sum * s;
        sum = 1.0 - sum * s;
        return 1.1283791671 * x * sum;
    }
    return sign(x) * (1.0 - erfc_far(a));
}

fn erfc_far(a: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.5 * a);
    var sum = 0.17087277;
    sum = sum * t - 0.82215223;
    sum = sum * t + 1.48851587;
    sum = sum * t - 1.13520398;
    sum = sum * t + 0.27886807;
    sum = sum * t - 0.18628806;
    sum = sum * t + 0.09678418;
    sum = sum * t + 0.37409196;
    sum = sum * t + 1.00002368;
    sum = sum * t - 1.26551223;
    return t * exponential(sum - a * a);
}

fn gelu(x: f32) -> f32 {
    // For large negative x the sum 1 + erf cancels; half of erfc does not.
    let a = abs(x) * 0.70710678118;
    if x < -1.41421356 {
        return 0.5 * x * erfc_far(a);
    }
    return 0.5 * x * (1.0 + erf(x * 0.70710678118));
}

fn gelu_tanh(x: f32) -> f32 {
    // 0.5 (1 + tanh u) is the logistic function of 2u.
    return x * sigmoid(1.5957691216 * (x + 0.044715 * x * x * x));
}

fn softplus(x: f32) -> f32 {
    return relu(x) + log_one_plus(exponential(-abs(x)));
}
