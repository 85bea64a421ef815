//! Elementary functions on vectors, the same formulas for every instruction set.
//!
//! `exp` follows Cody and Waite: with `n = round(x / ln 2)` the remainder `r = x − n·ln 2` is at most 0.347, where the
//! Taylor polynomial of degree seven is off by less than a tenth of an ulp; `2^n` is exact.

use super::Simd;
use super::trigonometry::{cos, sin};
use mynah_graph::Activation;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// The first bits of ln 2: `n` times it is exact for |n| < 2^9.
const LN2_HIGH: f32 = 0.693_359_4;
/// What [`LN2_HIGH`] lacks.
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding and subtracting 1.5·2^23 rounds to the nearest whole number.
pub(super) const ROUND: f32 = 12_582_912.0;

/// `n` and `e^r − 1` of the decomposition above.
#[inline(always)]
fn split<S: Simd>(s: S, x: S::F) -> (S::F, S::F) {
    let round = s.splat(ROUND);
    let n = s.sub(s.fma(x, s.splat(LOG2_E), round), round);
    let r = s.fma(n, s.splat(-LN2_HIGH), x);
    (n, remainder(s, s.fma(n, s.splat(-LN2_LOW), r)))
}

/// `e^r − 1`.
#[inline(always)]
fn remainder<S: Simd>(s: S, r: S::F) -> S::F {
    let p = s.fma(s.splat(1.0 / 5040.0), r, s.splat(1.0 / 720.0));
    let p = s.fma(p, r, s.splat(1.0 / 120.0));
    let p = s.fma(p, r, s.splat(1.0 / 24.0));
    let p = s.fma(p, r, s.splat(1.0 / 6.0));
    let p = s.fma(p, r, s.splat(0.5));
    s.fma(s.mul(p, r), r, r)
}

/// `e^(x + y)` for x from −400 to 0 and a small y: the exponent is never rounded as a whole.
#[inline(always)]
fn exp_sum<S: Simd>(s: S, x: S::F, y: S::F) -> S::F {
    let round = s.splat(ROUND);
    let n = s.sub(s.fma(s.add(x, y), s.splat(LOG2_E), round), round);
    let r = s.fma(n, s.splat(-LN2_HIGH), x);
    let r = s.add(s.fma(n, s.splat(-LN2_LOW), r), y);
    let p = s.add(remainder(s, r), s.splat(1.0));
    s.scale2(p, s.max(s.splat(-160.0), n))
}

/// `e^x`; 0 below −104, infinity above 88.73, not a number for not a number.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.min(s.splat(89.0), s.max(s.splat(-104.0), x));
    let (n, p) = split(s, x);
    s.scale2(s.add(p, s.splat(1.0)), n)
}

/// `2^x` for x up to 127, off by at most 2.6e-6 of the value; 0 from −151 on, not a number for not a number. Polynomial of
/// degree four for the fraction, fitted for the least relative error: for weights that are rounded anyway.
#[inline(always)]
pub(crate) fn exp2_fast<S: Simd>(s: S, x: S::F) -> S::F {
    let (x, round) = (s.max(s.splat(-151.0), x), s.splat(ROUND));
    let n = s.sub(s.add(x, round), round);
    let r = s.sub(x, n);
    let p = s.fma(s.splat(0.009_570_1), r, s.splat(0.055_917_86));
    let p = s.fma(p, r, s.splat(0.240_247_44));
    let p = s.fma(p, r, s.splat(0.693_121_8));
    let p = s.fma(p, r, s.splat(0.999_999_3));
    s.scale2(p, n)
}

/// `e^x − 1` without cancellation near 0, for x in −80..=80.
#[inline(always)]
fn exp_m1<S: Simd>(s: S, x: S::F) -> S::F {
    let (n, p) = split(s, x);
    let power = s.scale2(s.splat(1.0), n);
    s.fma(p, power, s.sub(power, s.splat(1.0)))
}

/// `1 / (1 + e^−x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.zero(), x))))
}

/// `x · sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu<S: Simd>(s: S, x: S::F) -> S::F {
    s.div(x, s.add(s.splat(1.0), exp(s, s.sub(s.zero(), x))))
}

/// `tanh x = sign(x) · m / (m + 2)` with `m = e^(2|x|) − 1`; 1 to the last bit beyond 20.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    let size = s.min(s.splat(20.0), s.abs(x));
    let m = exp_m1(s, s.add(size, size));
    let t = s.div(m, s.add(m, s.splat(2.0)));
    s.select(s.less(x, s.zero()), s.sub(s.zero(), t), t)
}

/// `x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
#[inline(always)]
fn gelu_tanh<S: Simd>(s: S, x: S::F) -> S::F {
    let inner = s.mul(x, s.fma(s.mul(x, x), s.splat(0.044_715), s.splat(1.0)));
    let t = tanh(s, s.mul(inner, s.splat(0.797_884_6)));
    s.mul(s.mul(x, s.splat(0.5)), s.add(t, s.splat(1.0)))
}

/// `x` above zero, `e^x − 1` below, without cancellation near it.
#[inline(always)]
fn elu<S: Simd>(s: S, x: S::F) -> S::F {
    let below = exp_m1(s, s.max(s.splat(-80.0), s.min(x, s.zero())));
    s.select(s.less(x, s.zero()), below, x)
}

/// `x · tanh(ln(1 + e^x))`: with `n = e^2x + 2·e^x` the hyperbolic tangent is `n / (n + 2)`; 1 to the last bit from 20 on.
#[inline(always)]
fn mish<S: Simd>(s: S, x: S::F) -> S::F {
    let e = exp(s, s.min(s.splat(20.0), x));
    let n = s.fma(e, e, s.add(e, e));
    s.mul(x, s.div(n, s.add(n, s.splat(2.0))))
}

/// `ln(1 + e^x) = max(x, 0) + ln(1 + e)` with `e = e^−|x|`, arranged so that neither end over- or underflows. The logarithm is
/// `2·artanh(q)` with `q = e / (2 + e)`, at most a third, of whose series eight terms leave 2e-9.
#[inline(always)]
fn softplus<S: Simd>(s: S, x: S::F) -> S::F {
    let e = exp(s, s.sub(s.zero(), s.abs(x)));
    let q = s.div(e, s.add(e, s.splat(2.0)));
    let u = s.mul(q, q);
    let sum = s.fma(s.splat(1.0 / 15.0), u, s.splat(1.0 / 13.0));
    let sum = s.fma(sum, u, s.splat(1.0 / 11.0));
    let sum = s.fma(sum, u, s.splat(1.0 / 9.0));
    let sum = s.fma(sum, u, s.splat(1.0 / 7.0));
    let sum = s.fma(sum, u, s.splat(1.0 / 5.0));
    let sum = s.fma(sum, u, s.splat(1.0 / 3.0));
    let near = s.mul(q, s.fma(s.mul(sum, u), s.splat(2.0), s.splat(2.0)));
    s.add(s.max(s.zero(), x), near)
}

/// `x · Φ(x) = x/2 · erfc(−x/√2)`.
///
/// `erfc z = t·exp(−z² + p(t))` with `t = 1 / (1 + z/2)` and a polynomial p, off by less than 1.2e-7 of the value for all z ≥ 0
/// (Press et al., Numerical Recipes, section 6.2), so that the left tail keeps its digits. `z² = x²/2` is taken in two parts,
/// because what it is rounded by would be an error of the exponent.
#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    // Beyond 15 both tails are what they are at 15, to the last bit.
    let size = s.min(s.splat(15.0), s.abs(x));
    // z/2 = |x| / (2·√2).
    let t = s.div(one, s.fma(size, s.splat(0.353_553_4), one));
    let p = s.fma(s.splat(0.170_872_77), t, s.splat(-0.822_152_23));
    let p = s.fma(p, t, s.splat(1.488_515_9));
    let p = s.fma(p, t, s.splat(-1.135_204));
    let p = s.fma(p, t, s.splat(0.278_868_07));
    let p = s.fma(p, t, s.splat(-0.186_288_06));
    let p = s.fma(p, t, s.splat(0.096_784_18));
    let p = s.fma(p, t, s.splat(0.374_091_96));
    let p = s.fma(p, t, s.splat(1.000_023_7));
    let p = s.fma(p, t, s.splat(-1.265_512_2));
    // The nearest multiple of 2^-7 has twelve bits, and its square is exact.
    let near = s.sub(s.add(size, s.splat(98_304.0)), s.splat(98_304.0));
    let square = s.mul(near, near);
    let rest = s.mul(s.sub(size, near), s.add(size, near));
    let half = s.splat(-0.5);
    let tail = s.mul(t, exp_sum(s, s.mul(square, half), s.fma(rest, half, p)));
    let phi = s.mul(s.splat(0.5), tail);
    s.mul(x, s.select(s.less(x, s.zero()), phi, s.sub(one, phi)))
}

/// Applies a scalar function to each lane.
#[inline(always)]
pub(super) fn each<S: Simd>(s: S, x: S::F, f: impl Fn(f32) -> f32) -> S::F {
    let mut lanes = [0.0f32; 16];
    // SAFETY: no set has more than sixteen lanes.
    unsafe {
        s.store(lanes.as_mut_ptr(), x);
        lanes.iter_mut().take(S::LANES).for_each(|x| *x = f(*x));
        s.load(lanes.as_ptr())
    }
}

/// Any activation.
#[inline(always)]
pub(crate) fn activate<S: Simd>(s: S, f: Activation, x: S::F) -> S::F {
    match f {
        Activation::Relu => s.max(x, s.zero()),
        Activation::Silu => silu(s, x),
        Activation::Sigmoid => sigmoid(s, x),
        Activation::Tanh => tanh(s, x),
        Activation::Gelu => gelu(s, x),
        Activation::GeluTanh => gelu_tanh(s, x),
        Activation::Exp => exp(s, x),
        Activation::Softplus => softplus(s, x),
        Activation::Rsqrt => s.div(s.splat(1.0), s.sqrt(x)),
        Activation::LeakyRelu(slope) => s.select(s.less(x, s.zero()), s.mul(x, s.splat(slope)), x),
        Activation::Elu => elu(s, x),
        Activation::Mish => mish(s, x),
        Activation::Sin => sin(s, x),
        Activation::Cos => cos(s, x),
        Activation::Sqrt => s.sqrt(x),
        Activation::Abs => s.abs(x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{SimdLevel, dispatch};

    unsafe fn body<S: Simd>(s: S, f: Activation, x: &mut [f32]) {
        for x in x.chunks_exact_mut(S::LANES) {
            // SAFETY: the chunk has as many elements as the vector.
            unsafe { s.store(x.as_mut_ptr(), activate(s, f, s.load(x.as_ptr()))) };
        }
    }
    dispatch! { fn apply(f: Activation, x: &mut [f32]) = body; }

    /// The largest error over a sweep, in units of the last place of the right answer (or of `floor`).
    fn worst(
        level: SimdLevel,
        f: Activation,
        range: [f32; 2],
        floor: f64,
        right: impl Fn(f64) -> f64,
    ) -> f64 {
        let n = 65536;
        let at = |i: usize| range[0] + (range[1] - range[0]) * i as f32 / (n - 1) as f32;
        let mut y: Vec<f32> = (0..n).map(at).collect();
        // SAFETY: the level is one of the machine's.
        unsafe { apply(level.isa(), f, &mut y) };
        let error = |(i, y): (usize, &f32)| {
            let right = right(f64::from(at(i)));
            let ulp = right.abs().max(floor) * f64::from(f32::EPSILON);
            (f64::from(*y) - right).abs() / ulp
        };
        y.iter().enumerate().map(error).fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_accurate_on_every_level() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for level in SimdLevel::available() {
            let within = |limit: f64, found: f64, what: &str| {
                assert!(found <= limit, "{level}: {what} is off by {found} ulp");
            };
            within(2.0, worst(level, Activation::Exp, [-87.0, 88.7], 0.0, f64::exp), "exp");
            within(3.0, worst(level, Activation::Sigmoid, [-80.0, 40.0], 0.0, sigmoid), "sigmoid");
            within(4.0, worst(level, Activation::Silu, [-80.0, 40.0], 1e-30, |x| x * sigmoid(x)), "silu");
            within(4.0, worst(level, Activation::Tanh, [-12.0, 12.0], 1e-30, f64::tanh), "tanh");
            within(4.0, worst(level, Activation::Tanh, [-0.01, 0.01], 1e-30, f64::tanh), "tanh near 0");
            let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
            within(3.0, worst(level, Activation::Softplus, [-80.0, 80.0], 0.0, softplus), "softplus");
            let gelu = |x: f64| 0.5 * x * erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
            within(6.0, worst(level, Activation::Gelu, [-3.0, 9.0], 1e-30, gelu), "gelu");
            within(9.0, worst(level, Activation::Gelu, [-12.0, -3.0], 1e-30, gelu), "gelu's tail");
            let elu = |x: f64| if x < 0.0 { x.exp_m1() } else { x };
            within(3.0, worst(level, Activation::Elu, [-90.0, 9.0], 0.0, elu), "elu");
            within(3.0, worst(level, Activation::Elu, [-0.01, 0.01], 1e-30, elu), "elu near 0");
            let mish = |x: f64| x * softplus(x).tanh();
            within(5.0, worst(level, Activation::Mish, [-80.0, 30.0], 1e-30, mish), "mish");
            let turn = std::f32::consts::TAU;
            for (f, right) in [(Activation::Sin, f64::sin as fn(f64) -> f64), (Activation::Cos, f64::cos)] {
                within(2.0, worst(level, f, [-turn, turn], 1e-3, right), f.name());
                within(2.0, worst(level, f, [-2e4, 2e4], 0.1, right), f.name());
                within(1.0, worst(level, f, [3e4, 1e9], 0.0, right), f.name());
            }
            within(2.0, worst(level, Activation::Rsqrt, [1e-6, 9.0], 0.0, |x| 1.0 / x.sqrt()), "rsqrt");
        }
    }

    #[test]
    fn ends_of_the_range_are_the_limits() {
        for level in SimdLevel::available() {
            let mut y =
                [f32::NEG_INFINITY, f32::INFINITY, f32::NAN, -200.0, 200.0, 0.0, 88.8, -103.0].repeat(2);
            // SAFETY: the level is one of the machine's.
            unsafe { apply(level.isa(), Activation::Exp, &mut y) };
            assert_eq!(y[..2], [0.0, f32::INFINITY], "{level}");
            assert!(y[2].is_nan(), "{level}");
            assert_eq!(y[3..7], [0.0, f32::INFINITY, 1.0, f32::INFINITY], "{level}");
            assert!(y[7] > 0.0 && y[7] < f32::MIN_POSITIVE, "{level}: {} is not subnormal", y[7]);
            let mut t = [f32::NEG_INFINITY, f32::INFINITY, 0.0, -0.0, -50.0, 50.0, 1e-20, -1e-20].repeat(2);
            // SAFETY: as above.
            unsafe { apply(level.isa(), Activation::Tanh, &mut t) };
            assert_eq!(t[..8], [-1.0, 1.0, 0.0, 0.0, -1.0, 1.0, 1e-20, -1e-20], "{level}");
        }
    }

    unsafe fn exp2_body<S: Simd>(s: S, x: &mut [f32]) {
        for x in x.chunks_exact_mut(S::LANES) {
            // SAFETY: the chunk has as many elements as the vector.
            unsafe { s.store(x.as_mut_ptr(), exp2_fast(s, s.load(x.as_ptr()))) };
        }
    }
    dispatch! { fn apply_exp2(x: &mut [f32]) = exp2_body; }

    #[test]
    fn powers_of_two_keep_five_digits() {
        for level in SimdLevel::available() {
            let x: Vec<f32> = (0..65536).map(|i| i as f32 / 65536.0 * 200.0 - 120.0).collect();
            let mut y = x.clone();
            // SAFETY: the level is one of the machine's.
            unsafe { apply_exp2(level.isa(), &mut y) };
            for (&x, &y) in x.iter().zip(&y) {
                assert!((f64::from(y) / f64::from(x).exp2() - 1.0).abs() < 2.8e-6, "{level}: 2^{x} = {y}");
            }
            let mut ends = [f32::NEG_INFINITY, -151.0, f32::NAN, 0.0].repeat(4);
            // SAFETY: as above.
            unsafe { apply_exp2(level.isa(), &mut ends) };
            assert!(ends[..2] == [0.0, 0.0] && ends[2].is_nan() && (ends[3] - 1.0).abs() < 1e-6, "{level}");
        }
    }

    /// The complementary error function: its Maclaurin series near 0, Lentz's continued fraction in the tails
    /// (Abramowitz and Stegun 7.1.6 and 7.1.14).
    fn erfc(x: f64) -> f64 {
        let size = x.abs();
        let square = size * size;
        let tail = if size < 2.5 {
            // erf x = 2/√π · e^(−x²) · Σ 2^n x^(2n+1) / (1·3·…·(2n+1)): all terms positive, nothing cancels.
            let (mut term, mut sum, mut n) = (size, size, 1.0);
            while term > sum * 1e-17 {
                term *= 2.0 * square / (2.0 * n + 1.0);
                sum += term;
                n += 1.0;
            }
            1.0 - std::f64::consts::FRAC_2_SQRT_PI * (-square).exp() * sum
        } else {
            let fraction = (1..=60).rev().fold(size, |rest, n| size + f64::from(n) * 0.5 / rest);
            (-square).exp() / (fraction * std::f64::consts::PI.sqrt())
        };
        if x < 0.0 { 2.0 - tail } else { tail }
    }

    #[test]
    fn erfc_matches_known_values() {
        // From tables of erfc (NIST DLMF 7.23).
        let known = [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (2.0, 4.677_734_981_047_266e-3),
            (3.0, 2.209_049_699_858_544e-5),
            (5.0, 1.537_459_794_428_034_8e-12),
        ];
        for (x, right) in known {
            assert!((erfc(x) / right - 1.0).abs() < 1e-11, "erfc({x}) = {}", erfc(x));
            assert!((erfc(-x) - (2.0 - right)).abs() < 1e-14);
        }
    }
}
