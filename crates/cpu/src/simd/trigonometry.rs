//! Sines on vectors, the same formulas for every instruction set.
//!
//! With `n = round(x / π)` the rest `r = x − n·π` is at most π/2, where the odd polynomial below is within 4.2e-8 of `sin r` relative
//! to it, a third of a unit in the last place; `n` odd turns the sign. π is taken in three parts of which `n` times the first two is
//! exact for |n| ≤ 2^13, halves too (Cody and Waite), so the result is good to two units in the last place of the larger of `|sin x|` and 2^-20
//! up to [`FAR`]. Beyond it, where angles say little, each lane is computed in f64.

use super::Simd;
use super::math::{ROUND, each};

/// Angles that the vector formula takes: 2^13·π.
const FAR: f32 = 25_735.0;
const PI_HIGH: f32 = 3.140_625;
const PI_MIDDLE: f32 = 9.670_257_6e-4;
const PI_LOW: f32 = 6.278_33e-7;

/// `sin r` for `|r|` up to π/2.
#[inline(always)]
fn polynomial<S: Simd>(s: S, r: S::F) -> S::F {
    let u = s.mul(r, r);
    let p = s.fma(s.splat(2.634_732_7e-6), u, s.splat(-1.982_273_2e-4));
    let p = s.fma(p, u, s.splat(8.333_242_5e-3));
    let p = s.fma(p, u, s.splat(-0.166_666_66));
    s.fma(s.mul(p, u), r, r)
}

/// `x − n·π`.
#[inline(always)]
fn reduce<S: Simd>(s: S, x: S::F, n: S::F) -> S::F {
    let r = s.fma(n, s.splat(-PI_HIGH), x);
    let r = s.fma(n, s.splat(-PI_MIDDLE), r);
    s.fma(n, s.splat(-PI_LOW), r)
}

/// The nearest whole number.
#[inline(always)]
fn round<S: Simd>(s: S, x: S::F) -> S::F {
    s.sub(s.add(x, s.splat(ROUND)), s.splat(ROUND))
}

/// `r` with its sign turned where the whole number `n` is odd.
#[inline(always)]
fn turn<S: Simd>(s: S, n: S::F, r: S::F) -> S::F {
    let twice = round(s, s.mul(n, s.splat(0.5)));
    let odd = s.fma(twice, s.splat(-2.0), n);
    s.mul(r, s.fma(s.mul(odd, odd), s.splat(-2.0), s.splat(1.0)))
}

/// Whether the vector formula takes all lanes.
#[inline(always)]
fn near<S: Simd>(s: S, x: S::F) -> bool {
    // What is no number goes either way, and stays none.
    !s.any(s.less(s.splat(FAR), s.abs(x)))
}

/// `sin x`.
#[inline(always)]
pub(crate) fn sin<S: Simd>(s: S, x: S::F) -> S::F {
    if !near(s, x) {
        return each(s, x, |x| f64::from(x).sin() as f32);
    }
    let n = round(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_PI)));
    turn(s, n, polynomial(s, reduce(s, x, n)))
}

/// `cos x = sin(x + π/2)`.
#[inline(always)]
pub(crate) fn cos<S: Simd>(s: S, x: S::F) -> S::F {
    if !near(s, x) {
        return each(s, x, |x| f64::from(x).cos() as f32);
    }
    let n = round(s, s.fma(x, s.splat(std::f32::consts::FRAC_1_PI), s.splat(0.5)));
    turn(s, n, polynomial(s, reduce(s, x, s.sub(n, s.splat(0.5)))))
}

/// `sin² x`, for which the sign of the sine doesn't matter.
#[inline(always)]
pub(crate) fn sin_squared<S: Simd>(s: S, x: S::F) -> S::F {
    if !near(s, x) {
        return each(s, x, |x| f64::from(x).sin().powi(2) as f32);
    }
    let n = round(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_PI)));
    let sine = polynomial(s, reduce(s, x, n));
    s.mul(sine, sine)
}
