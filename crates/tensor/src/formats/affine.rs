//! Choosing scales and minima for the formats of 8 groups of 32 values, `x = d·scale·q − dmin·min`, with six-bit
//! integer scales and minima: Q4_K (`q` to 15) and Q5_K (`q` to 31).

use super::{half, to_half};

/// Groups in a block.
const GROUPS: usize = 8;
/// Values in a group.
const LEN: usize = 32;
/// The largest integer scale or minimum.
const LARGEST: f32 = 63.0;
/// Rounds of joint refinement; the error stops falling sooner.
const ROUNDS: usize = 4;
/// The smallest positive half-precision number: blocks of tiny values still get a scale.
const SMALLEST_HALF: f32 = 5.960_464_5e-8;

/// The parts of a Q4_K or Q5_K block before packing.
pub(super) struct Superblock {
    pub(super) d: [u8; 2],
    pub(super) dmin: [u8; 2],
    pub(super) scales: [u8; 12],
    pub(super) q: [u8; GROUPS * LEN],
}

/// Rounds to the nearest integer, ties to even, for magnitudes below 2^22: adding 1.5·2^23 leaves no fraction bits.
/// Unlike `f32::round` this vectorises on every target.
pub(super) fn nearest(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    (x + SHIFT) - SHIFT
}

/// Sums a function of the values in eight lanes, which the compiler may not do by itself; `N` is a multiple of eight.
pub(super) fn sum_by<const N: usize>(values: &[f32; N], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 8];
    for chunk in values.as_chunks::<8>().0 {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f(value);
        }
    }
    fold(lanes)
}

/// Sums the products of two lists in eight lanes.
pub(super) fn dot<const N: usize>(a: &[f32; N], b: &[f32; N]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    fold(lanes)
}

fn fold([a, b, c, d, e, f, g, h]: [f32; 8]) -> f32 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The factor from values to levels, 0 where there is only one level.
pub(super) fn inverse(scale: f32) -> f32 {
    if scale.abs() < f32::MIN_POSITIVE { 0.0 } else { 1.0 / scale }
}

/// Minimises the squared error in three steps: every group finds the real scale and minimum it would like; these are
/// rounded to multiples of a common `d` and `dmin`; then rounds of choosing each group's best integers for that pair,
/// and the least-squares pair for those integers, until the error stops falling.
pub(super) fn encode(values: &[f32; 256], top: f32) -> Superblock {
    let (groups, _) = values.as_chunks::<LEN>();
    let wanted: [Line; GROUPS] = std::array::from_fn(|g| Line::fit(&groups[g], top));
    let largest = |part: fn(&Line) -> f32| wanted.iter().map(part).fold(0.0, f32::max);
    let (scale, min) = (largest(|line| line.scale), largest(|line| line.min));
    // A largest scale a little below 63 costs little resolution and may suit the other groups, or half precision, better.
    let start =
        |largest: f32| Choice::of(groups, &wanted, to_step(scale, largest), to_step(min, LARGEST), top);
    let mut best = start(LARGEST).or(start(LARGEST - 2.0)).0;
    for _ in 0..ROUNDS {
        let Some((d, dmin)) = best.refit(groups, top) else { break };
        let next = Choice::of(groups, &best.lines(), d, dmin, top);
        let better;
        (best, better) = best.or(next);
        if !better {
            break;
        }
    }
    let mut q = [0; 256];
    for ((out, group), line) in q.as_chunks_mut::<LEN>().0.iter_mut().zip(groups).zip(best.lines()) {
        *out = line.levels(group, top).map(|q| q as u8);
    }
    Superblock { d: to_half(best.d), dmin: to_half(best.dmin), scales: pack(&best.scales, &best.mins), q }
}

/// The half-precision unit in which `value` is about `steps`.
fn to_step(value: f32, steps: f32) -> f32 {
    if value == 0.0 { 0.0 } else { half(to_half(value / steps)).max(SMALLEST_HALF) }
}

/// How one group's levels map to values: `x = scale·q − min`, both not negative.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    scale: f32,
    min: f32,
}

impl Line {
    /// The line of least error: a grid of ways to lay the group's range on the levels, each with its least-squares
    /// line; the best of them is then refined by assigning levels and fitting again.
    fn fit(group: &[f32; LEN], top: f32) -> Line {
        let low = group.iter().fold(0.0f32, |m, &x| m.min(x));
        let high = group.iter().fold(f32::NEG_INFINITY, |m, &x| m.max(x));
        let range = high - low;
        // Also the way out for a constant group: its minimum alone says everything.
        if range < f32::MIN_POSITIVE {
            return Line { scale: 0.0, min: -low };
        }
        let spread = |step: i32| Line { scale: range / (top + step as f32 * 0.15), min: -low };
        let (mut best, mut least) = (Line::default(), f32::INFINITY);
        for step in -7..=7 {
            let q = spread(step).levels(group, top);
            let line = Line::through(group, &q);
            let error = line.error_at(group, &q);
            if error < least {
                (best, least) = (line, error);
            }
        }
        for _ in 0..ROUNDS {
            let q = best.levels(group, top);
            let line = Line::through(group, &q);
            let error = line.error_at(group, &q);
            if error >= least {
                break;
            }
            (best, least) = (line, error);
        }
        best
    }

    /// The nearest level of each value.
    fn levels(&self, group: &[f32; LEN], top: f32) -> [f32; LEN] {
        let inverse = inverse(self.scale);
        group.map(|x| nearest(((x + self.min) * inverse).clamp(0.0, top)))
    }

    /// The summed squared distance of the values from their nearest levels.
    fn error(&self, group: &[f32; LEN], top: f32) -> f32 {
        let inverse = inverse(self.scale);
        sum_by(group, |x| {
            let q = nearest(((x + self.min) * inverse).clamp(0.0, top));
            let distance = x - (self.scale * q - self.min);
            distance * distance
        })
    }

    /// The summed squared distance of the values from these levels.
    fn error_at(&self, group: &[f32; LEN], q: &[f32; LEN]) -> f32 {
        let mut distance = *group;
        for (distance, q) in distance.iter_mut().zip(q) {
            *distance -= self.scale * q - self.min;
        }
        dot(&distance, &distance)
    }

    /// The least-squares line that puts the values at these levels.
    fn through(group: &[f32; LEN], q: &[f32; LEN]) -> Line {
        let (x_sum, q_sum) = (sum_by(group, |x| x), sum_by(q, |q| q));
        let (qq, xq) = (dot(q, q), dot(group, q));
        let n = LEN as f32;
        let determinant = n * qq - q_sum * q_sum;
        if determinant <= 0.0 {
            // All at one level: below zero the minimum alone can be their mean, above it the scale alone.
            let scale = if qq > 0.0 { (xq / qq).max(0.0) } else { 0.0 };
            return if x_sum < 0.0 { Line { scale: 0.0, min: -x_sum / n } } else { Line { scale, min: 0.0 } };
        }
        let min = -(qq * x_sum - q_sum * xq) / determinant;
        if min < 0.0 {
            // The format cannot lift the lowest level above zero; the best line through the origin is next.
            return Line { scale: (xq / qq).max(0.0), min: 0.0 };
        }
        Line { scale: ((n * xq - x_sum * q_sum) / determinant).max(0.0), min }
    }
}

/// Integer scales and minima of all groups under one `d` and `dmin`.
struct Choice {
    d: f32,
    dmin: f32,
    scales: [f32; GROUPS],
    mins: [f32; GROUPS],
    error: f32,
}

impl Choice {
    /// The best integers near each wanted line.
    fn of(groups: &[[f32; LEN]], wanted: &[Line; GROUPS], d: f32, dmin: f32, top: f32) -> Choice {
        let (scales, mins) = ([0.0; GROUPS], [0.0; GROUPS]);
        let mut choice = Choice { d, dmin, scales, mins, error: 0.0 };
        for (g, (group, wanted)) in groups.iter().zip(wanted).enumerate() {
            let (error, scale, min) = best_integers(group, *wanted, d, dmin, top);
            (choice.scales[g], choice.mins[g]) = (scale, min);
            choice.error += error;
        }
        choice
    }

    /// The one of smaller error, and whether that is the other.
    fn or(self, other: Choice) -> (Choice, bool) {
        if other.error < self.error { (other, true) } else { (self, false) }
    }

    /// The lines that the integers stand for.
    fn lines(&self) -> [Line; GROUPS] {
        std::array::from_fn(|g| Line { scale: self.d * self.scales[g], min: self.dmin * self.mins[g] })
    }

    /// The least-squares `d` and `dmin` for these integers and the levels they lead to, in half precision; `None` when
    /// no such pair is positive.
    fn refit(&self, groups: &[[f32; LEN]], top: f32) -> Option<(f32, f32)> {
        let [mut aa, mut ab, mut bb, mut xa, mut xb] = [0.0f64; 5];
        for (g, (group, line)) in groups.iter().zip(self.lines()).enumerate() {
            let b = f64::from(self.mins[g]);
            for (&x, q) in group.iter().zip(line.levels(group, top)) {
                let (x, a) = (f64::from(x), f64::from(self.scales[g] * q));
                aa += a * a;
                ab += a * b;
                bb += b * b;
                xa += x * a;
                xb += x * b;
            }
        }
        // x = d·a − dmin·b; without any minimum (or any scale) the other factor alone.
        let determinant = aa * bb - ab * ab;
        let (d, dmin) = if determinant > 0.0 {
            ((xa * bb - xb * ab) / determinant, (xa * ab - xb * aa) / determinant)
        } else {
            (if aa > 0.0 { xa / aa } else { 0.0 }, if bb > 0.0 { -xb / bb } else { 0.0 })
        };
        let (d, dmin) = (half(to_half(d as f32)), half(to_half(dmin as f32)));
        (d >= 0.0 && dmin >= 0.0 && d.is_finite() && dmin.is_finite()).then_some((d, dmin))
    }
}

/// The error, scale and minimum of the best integers near a wanted line.
fn best_integers(group: &[f32; LEN], wanted: Line, d: f32, dmin: f32, top: f32) -> (f32, f32, f32) {
    let total = sum_by(group, |x| x);
    let mut best = (f32::INFINITY, 0.0, 0.0);
    for scale in around(wanted.scale, d) {
        // For another scale another minimum is best: the mean distance from the levels tells which.
        let q = Line { scale: d * scale, min: wanted.min }.levels(group, top);
        let min = (d * scale * sum_by(&q, |q| q) - total) / LEN as f32;
        for min in around(min, dmin) {
            let error = Line { scale: d * scale, min: dmin * min }.error(group, top);
            if error < best.0 {
                best = (error, scale, min);
            }
        }
    }
    best
}

/// The integers around `wanted / unit`, within range.
fn around(wanted: f32, unit: f32) -> [f32; 3] {
    let near = if unit == 0.0 { 0.0 } else { (wanted / unit).round() };
    [near, near - 1.0, near + 1.0].map(|n| n.clamp(0.0, LARGEST))
}

/// Eight scales and eight minima of six bits in twelve bytes, see [`unpack`].
fn pack(scales: &[f32; GROUPS], mins: &[f32; GROUPS]) -> [u8; 12] {
    let (s, m) = (scales.map(|s| s as u8), mins.map(|m| m as u8));
    let mut out = [0; 12];
    for g in 0..4 {
        out[g] = s[g] | (s[g + 4] >> 4) << 6;
        out[g + 4] = m[g] | (m[g + 4] >> 4) << 6;
        out[g + 8] = (s[g + 4] & 15) | (m[g + 4] & 15) << 4;
    }
    out
}

/// The six-bit scales and minima of the eight groups:
///
/// ```text
/// byte 0–3   s4+g high 2 | s0+g 6 bits
/// byte 4–7   m4+g high 2 | m0+g 6 bits
/// byte 8–11  m4+g low 4  | s4+g low 4
/// ```
pub(super) fn unpack(packed: &[u8; 12]) -> ([u8; GROUPS], [u8; GROUPS]) {
    let (mut scales, mut mins) = ([0; GROUPS], [0; GROUPS]);
    for g in 0..4 {
        let (s, m, low) = (packed[g], packed[g + 4], packed[g + 8]);
        scales[g] = s & 63;
        mins[g] = m & 63;
        scales[g + 4] = (low & 15) | (s >> 6) << 4;
        mins[g + 4] = (low >> 4) | (m >> 6) << 4;
    }
    (scales, mins)
}
