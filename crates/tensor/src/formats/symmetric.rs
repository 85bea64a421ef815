//! Choosing scales for formats whose levels lie around zero.

use super::affine::{dot, inverse, nearest, sum_by};
use super::{half, to_half};

/// The scale that maps the value of largest magnitude (the first of equals) to `level`, and its inverse, 0 for zeros.
pub(super) fn extreme_scale(values: &[f32; 32], level: f32) -> (f32, f32) {
    let mut extreme = 0.0f32;
    for &x in values {
        if x.abs() > extreme.abs() {
            extreme = x;
        }
    }
    let d = extreme / level;
    (d, if d == 0.0 { 0.0 } else { 1.0 / d })
}

/// Groups in a block of signed six-bit values.
const GROUPS: usize = 16;
/// Values in a group.
const LEN: usize = 16;
/// The quantised range.
const LOW: f32 = -32.0;
const HIGH: f32 = 31.0;

/// 256 values as `d * scale[group] * q`: the parts of a Q6_K block before packing.
pub(super) struct Superblock {
    pub(super) d: [u8; 2],
    pub(super) scales: [i8; GROUPS],
    pub(super) q: [i8; GROUPS * LEN],
}

/// Minimises the squared error in three steps: every group finds the scale it would like among a grid; the scales are
/// rounded to multiples of a common `d`; then rounds of choosing each group's best integer scale for that `d`, and the
/// best `d` for those integers, until the error stops falling.
pub(super) fn encode(values: &[f32; 256]) -> Superblock {
    let (groups, _) = values.as_chunks::<LEN>();
    let wanted: [f32; GROUPS] = std::array::from_fn(|g| best_scale(&groups[g]));
    let extreme = wanted.iter().fold(0.0f32, |m, &s| if s.abs() > m.abs() { s } else { m });
    if extreme == 0.0 {
        return Superblock { d: to_half(0.0), scales: [0; GROUPS], q: [0; 256] };
    }
    // The largest scale takes the one integer more that the negative side has, or a few steps less where that suits
    // the other groups, or half precision, better.
    let mut best = Choice::of(groups, &wanted, to_step(extreme, -128.0));
    for steps in [-125.0, -122.0] {
        let other = Choice::of(groups, &wanted, to_step(extreme, steps));
        if other.error < best.error {
            best = other;
        }
    }
    for _ in 0..ROUNDS {
        let next = Choice::of(groups, &wanted, best.refit(groups));
        if next.error >= best.error {
            break;
        }
        best = next;
    }
    let mut q = [0; 256];
    for (g, out) in q.as_chunks_mut::<LEN>().0.iter_mut().enumerate() {
        *out = levels(&groups[g], best.d * best.scales[g]).map(|q| q as i8);
    }
    Superblock { d: to_half(best.d), scales: best.scales.map(|s| s as i8), q }
}

/// Where the error stops falling in practice.
const ROUNDS: usize = 4;
/// The smallest positive half-precision number: blocks of tiny values still get a scale.
const SMALLEST_HALF: f32 = 5.960_464_5e-8;

/// The half-precision unit in which `value` is about `steps`.
fn to_step(value: f32, steps: f32) -> f32 {
    let step = half(to_half(value / steps));
    if step == 0.0 { f32::copysign(SMALLEST_HALF, value / steps) } else { step }
}

/// Integer scales of the groups under one `d`.
struct Choice {
    d: f32,
    scales: [f32; GROUPS],
    error: f32,
}

impl Choice {
    /// The best integer near each wanted scale.
    fn of(groups: &[[f32; LEN]], wanted: &[f32; GROUPS], d: f32) -> Choice {
        let mut choice = Choice { d, scales: [0.0; GROUPS], error: f32::INFINITY };
        let mut error = 0.0;
        for ((group, &wanted), chosen) in groups.iter().zip(wanted).zip(&mut choice.scales) {
            let near = if d == 0.0 { 0.0 } else { (wanted / d).round() };
            let candidates = [near, near - 1.0, near + 1.0];
            let mut least = f32::INFINITY;
            for candidate in candidates.map(|s| s.clamp(-128.0, 127.0)) {
                let e = group_error(group, d * candidate);
                if e < least {
                    (least, *chosen) = (e, candidate);
                }
            }
            error += least;
        }
        choice.error = error;
        choice
    }

    /// The least-squares `d` for these integers and the levels they lead to, rounded to half precision.
    fn refit(&self, groups: &[[f32; LEN]]) -> f32 {
        let (mut xy, mut yy) = (0.0f64, 0.0f64);
        for (group, &scale) in groups.iter().zip(&self.scales) {
            for (&x, q) in group.iter().zip(levels(group, self.d * scale)) {
                let y = f64::from(scale * q);
                xy += f64::from(x) * y;
                yy += y * y;
            }
        }
        if yy == 0.0 { self.d } else { half(to_half((xy / yy) as f32)) }
    }
}

/// The nearest level of each value.
fn levels(group: &[f32; LEN], scale: f32) -> [f32; LEN] {
    let inverse = inverse(scale);
    group.map(|x| nearest((x * inverse).clamp(LOW, HIGH)))
}

fn group_error(group: &[f32; LEN], scale: f32) -> f32 {
    let inverse = inverse(scale);
    sum_by(group, |x| {
        let distance = x - scale * nearest((x * inverse).clamp(LOW, HIGH));
        distance * distance
    })
}

/// The real-valued scale with the least error for one group, from a grid of ways to lay the extreme value on the
/// levels, each followed by a least-squares fit.
fn best_scale(group: &[f32; LEN]) -> f32 {
    let extreme = group.iter().fold(0.0f32, |m, &x| if x.abs() > m.abs() { x } else { m });
    if extreme.abs() < f32::MIN_POSITIVE {
        return 0.0;
    }
    let mut best = (0.0, 0.0);
    // From the plain layout outwards, so that of equal layouts the plainest wins.
    for step in (0..=9).flat_map(|step| [step, -step]) {
        let q = levels(group, extreme / (LOW - step as f32 * 0.15));
        let (xq, qq) = (dot(group, &q), dot(&q, &q));
        // With the scale xq/qq the squared error is the values' square less xq²/qq.
        if qq > 0.0 && xq * xq > best.0 * qq {
            best = (xq * xq / qq, xq / qq);
        }
    }
    best.1
}
