//! Greedy decoding: from a head's outputs to tokens with frames, durations and confidences.
//!
//! Confidence is NeMo's `max_prob`: the probability of the emitted token among tokens and blank, rescaled so that a
//! uniform guess gives 0: `(N·p − 1) / (N − 1)`.

pub(crate) mod ctc;
pub(crate) mod transducer;

pub use mynah_text::DecodedToken as Decoded;

/// Elements that the loops below work on side by side.
const LANES: usize = 16;

/// The largest element; negative infinity where there is none.
fn largest(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &v)| *lane = larger(*lane, v));
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}

/// The first index of the largest element, 0 where there is none.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let top = largest(values);
    values.iter().position(|&v| v == top).unwrap_or(0)
}

/// NeMo's rescaling of a probability among `choices` outcomes.
pub(crate) fn confidence(probability: f64, choices: usize) -> f32 {
    let n = choices as f64;
    ((n * probability - 1.0) / (n - 1.0)).clamp(0.0, 1.0) as f32
}

/// Softmax probability of one logit.
pub(crate) fn probability(logits: &[f32], index: usize) -> f64 {
    let top = f64::from(largest(logits));
    let mut lanes = [0.0; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|&l| exp(f64::from(l) - top)).sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &l)| *lane += exp(f64::from(l) - top));
    }
    exp(f64::from(logits[index]) - top) / (lanes.into_iter().sum::<f64>() + rest)
}

/// `e^x` for `x ≤ 0`, 0 below −700: without a branch or a call, so that a compiler can do several at once. A vocabulary's
/// worth of the library's function takes as long as a layer of the prediction network.
///
/// Cody and Waite: `x = n·ln 2 + r` with `|r| < 0.35`, where the Taylor polynomial of degree 13 is off by less than the
/// last bit.
#[inline(always)]
fn exp(x: f64) -> f64 {
    /// Adding and subtracting 1.5·2^52 rounds to the nearest whole number, which is then in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// The first 32 bits of ln 2, and what they lack.
    const LN2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_8e-10];
    /// `1/13!` down to `1/2!`.
    const TERMS: [f64; 12] = [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
    ];
    let shifted = x.max(-700.0) * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x.max(-700.0) - n * LN2[0]) - n * LN2[1];
    let p = TERMS.iter().fold(0.0, |sum, term| sum * r + term);
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    let y = power + power * (r + r * r * p);
    if x < -700.0 { 0.0 } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        for n in 1..70 {
            for at in 0..n {
                let mut values = vec![-1.0; n];
                values[at..].fill(2.0);
                assert_eq!(argmax(&values), at, "{n} elements");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_never_the_largest() {
        assert_eq!(argmax(&[f32::NAN, 1.0, f32::NAN, 2.0]), 3);
        assert_eq!(argmax(&[f32::NAN; 20]), 0);
        assert_eq!(argmax(&[f32::NEG_INFINITY; 3]), 0);
    }

    #[test]
    fn exp_is_right_to_the_last_bit_but_one() {
        for i in 0..200_000 {
            let x = -f64::from(i) * 0.0035;
            let (found, right) = (exp(x), x.exp());
            assert!((found - right).abs() <= 2.0 * f64::EPSILON * right, "exp({x}) = {found}, not {right}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn a_uniform_guess_has_no_confidence() {
        assert_eq!(confidence(0.25, 4), 0.0);
        assert_eq!(confidence(1.0, 4), 1.0);
        assert!((probability(&[0.0, 0.0], 1) - 0.5).abs() < 1e-12);
    }
}
