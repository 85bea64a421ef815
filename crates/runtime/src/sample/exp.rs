//! Exponentials over a whole vocabulary. The standard library's call is good to the last bit, differs between platforms and takes
//! milliseconds for 248,320 logits; this is a polynomial without branches that the compiler turns into vector code, good to 2e-7.

/// `exp(x)` for `x <= 0`, with a relative error below 2e-7; 0 below about -87.3, where the result would not be a normal number.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    // Cody and Waite: x = n ln 2 + r with ln 2 in two parts, so that r is exact to its last bits.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding and taking away 1.5 * 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let x = if x > -88.0 { x } else { -88.0 };
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    // Taylor to the seventh power: on |r| <= ln 2 / 2 the rest is below 6e-9.
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + coefficient;
    }
    // n is in -127..=0; -127 makes the bits of zero.
    p * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

/// `out[i] = exp((logits[i] - max) / temperature)` and their sum; `temperature` is above 0 and no logit above `max`.
pub(super) fn exps(logits: &[f32], max: f32, temperature: f32, out: &mut Vec<f32>) -> f64 {
    out.clear();
    // A division, because the inverse of the smallest temperatures is infinite, and that times 0 is no number.
    out.extend(logits.iter().map(|&logit| exp((logit - max) / temperature)));
    sum(out)
}

/// The sum of `exp(logits[i] - max)`; no logit is above `max`.
pub(super) fn exp_sum(logits: &[f32], max: f32) -> f64 {
    let mut buffer = [0.0; BLOCK];
    let block = |logits: &[f32]| {
        for (out, &logit) in buffer.iter_mut().zip(logits) {
            *out = exp(logit - max);
        }
        sum(&buffer[..logits.len()])
    };
    logits.chunks(BLOCK).map(block).sum()
}

const BLOCK: usize = 1024;
const LANES: usize = 16;

/// The sum of non-negative numbers: lanes in f32 over a block, blocks in f64.
pub(super) fn sum(values: &[f32]) -> f64 {
    let block = |values: &[f32]| {
        let mut lanes = [0f32; LANES];
        let (whole, rest) = values.as_chunks::<LANES>();
        for chunk in whole {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane += value;
            }
        }
        lanes.iter().chain(rest).map(|&lane| f64::from(lane)).sum::<f64>()
    };
    values.chunks(BLOCK).map(block).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_truth() {
        let mut worst = 0f64;
        for i in 0..870_000 {
            let x = -(i as f32) * 1e-4;
            let truth = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - truth).abs() / truth);
        }
        assert!(worst < 2e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-88.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::MIN), 0.0);
    }

    #[test]
    fn sums() {
        for n in [0, 1, 15, 16, 17, 1024, 5000] {
            let values: Vec<f32> = (0..n).map(|i| -((i % 97) as f32) / 9.0).collect();
            let truth: f64 = values.iter().map(|&v| f64::from(v - 0.5).exp()).sum();
            assert!((exp_sum(&values, 0.5) - truth).abs() <= 1e-6 * truth);
            let mut out = Vec::new();
            assert!((exps(&values, 0.5, 1.0, &mut out) - truth).abs() <= 1e-6 * truth);
            assert_eq!(out.len(), n);
        }
    }
}
