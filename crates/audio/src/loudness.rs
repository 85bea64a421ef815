//! Integrated loudness by ITU-R BS.1770-4, and bringing a clip to a loudness. Chatterbox' reference recordings go through it.
//!
//! The K-weighting filters are those of pyloudnorm's default, since that is what the references were prepared with: they follow
//! the cookbook's formulas and differ from the standard's tabulated coefficients by less than 0.1 LU.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Length of a gating block in seconds, and how far apart blocks begin as a part of it.
const BLOCK: f64 = 0.4;
const STEP: f64 = 0.25;
/// Blocks quieter than this don't count, in LUFS.
const ABSOLUTE_GATE: f64 = -70.0;
/// Nor those so far below the mean of the rest, in LU.
const RELATIVE_GATE: f64 = -10.0;

/// Integrated loudness of a mono clip in LUFS. `None` for a clip shorter than a gating block (0.4 s), or one in which no block is
/// above the absolute gate: silence has no loudness.
pub fn integrated_loudness(samples: &[f32], sample_rate: u32) -> Option<f64> {
    let rate = f64::from(sample_rate);
    let seconds = samples.len() as f64 / rate;
    if sample_rate == 0 || seconds < BLOCK || samples.iter().any(|s| !s.is_finite()) {
        return None;
    }
    let mut weighted: Vec<f64> = samples.iter().map(|&s| f64::from(s)).collect();
    Biquad::high_shelf(4.0, FRAC_1_SQRT_2, 1500.0, rate).apply(&mut weighted);
    Biquad::high_pass(0.5, 38.0, rate).apply(&mut weighted);
    let blocks = ((seconds - BLOCK) / (BLOCK * STEP)).round_ties_even() as usize + 1;
    let powers: Vec<f64> = (0..blocks)
        .map(|j| {
            let at = |blocks: f64| ((BLOCK * blocks * rate) as usize).min(weighted.len());
            let own = &weighted[at(j as f64 * STEP)..at(j as f64 * STEP + 1.0)];
            own.iter().map(|x| x * x).sum::<f64>() / (BLOCK * rate)
        })
        .collect();
    let above = |gate: f64| mean(powers.iter().copied().filter(|&p| loudness(p) >= gate));
    let relative = loudness(above(ABSOLUTE_GATE)?) + RELATIVE_GATE;
    let found =
        loudness(mean(powers.iter().copied().filter(|&p| loudness(p) > relative.max(ABSOLUTE_GATE)))?);
    found.is_finite().then_some(found)
}

/// Scales a mono clip so that its integrated loudness is `target` LUFS, and gives the gain in dB. A clip without a loudness stays as
/// it is, with `None`.
pub fn normalize_loudness(samples: &mut [f32], sample_rate: u32, target: f64) -> Option<f64> {
    let gain = target - integrated_loudness(samples, sample_rate)?;
    let factor = 10f64.powf(gain / 20.0);
    samples.iter_mut().for_each(|s| *s = (f64::from(*s) * factor) as f32);
    Some(gain)
}

/// Loudness of a weighted mean square, in LUFS.
fn loudness(power: f64) -> f64 {
    -0.691 + 10.0 * power.log10()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), x| (sum + x, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// A filter of second order (Bristow-Johnson's cookbook), normalised.
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    fn new(b: [f64; 3], a: [f64; 3]) -> Self {
        Self { b: b.map(|x| x / a[0]), a: [a[1] / a[0], a[2] / a[0]] }
    }

    fn high_shelf(gain_db: f64, q: f64, centre: f64, rate: f64) -> Self {
        let a = 10f64.powf(gain_db / 40.0);
        let w = 2.0 * PI * centre / rate;
        let (cos, slope) = (w.cos(), 2.0 * a.sqrt() * w.sin() / (2.0 * q));
        Self::new(
            [
                a * ((a + 1.0) + (a - 1.0) * cos + slope),
                -2.0 * a * ((a - 1.0) + (a + 1.0) * cos),
                a * ((a + 1.0) + (a - 1.0) * cos - slope),
            ],
            [
                (a + 1.0) - (a - 1.0) * cos + slope,
                2.0 * ((a - 1.0) - (a + 1.0) * cos),
                (a + 1.0) - (a - 1.0) * cos - slope,
            ],
        )
    }

    fn high_pass(q: f64, centre: f64, rate: f64) -> Self {
        let w = 2.0 * PI * centre / rate;
        let (cos, alpha) = (w.cos(), w.sin() / (2.0 * q));
        let side = (1.0 + cos) / 2.0;
        Self::new([side, -(1.0 + cos), side], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    fn apply(&self, signal: &mut [f64]) {
        let (mut first, mut second) = (0.0, 0.0);
        for x in signal {
            let y = self.b[0] * *x + first;
            first = self.b[1] * *x - self.a[0] * y + second;
            second = self.b[2] * *x - self.a[1] * y;
            *x = y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate: u32, seconds: f64, peak: f32) -> Vec<f32> {
        let count = (f64::from(rate) * seconds) as usize;
        (0..count).map(|n| peak * (n as f64 * 2.0 * PI * 997.0 / f64::from(rate)).sin() as f32).collect()
    }

    /// The standard's own check: 997 Hz at full scale in one channel reads -3.01 LUFS. pyloudnorm reads it 0.04 LU higher.
    #[test]
    fn a_full_scale_sine_is_minus_three() {
        for rate in [16_000, 24_000, 48_000] {
            let found = integrated_loudness(&sine(rate, 5.0, 1.0), rate);
            assert!(found.is_some_and(|l| (l + 3.01).abs() < 0.1), "{rate}: {found:?}");
        }
    }

    #[test]
    fn pauses_do_not_count() {
        let mut clip = sine(24_000, 4.0, 0.1);
        let alone = integrated_loudness(&clip, 24_000);
        clip.extend(vec![0.0; 96_000]);
        let found = integrated_loudness(&clip, 24_000);
        assert!(alone.zip(found).is_some_and(|(a, f)| (a - f).abs() < 0.2), "{alone:?} {found:?}");
    }

    #[test]
    fn a_clip_reaches_its_target() {
        let mut clip = sine(24_000, 3.0, 0.5);
        assert!(normalize_loudness(&mut clip, 24_000, -27.0).is_some());
        let found = integrated_loudness(&clip, 24_000);
        assert!(found.is_some_and(|l| (l + 27.0).abs() < 1e-4), "{found:?}");
    }

    #[test]
    fn silence_and_scraps_have_no_loudness() {
        assert_eq!(integrated_loudness(&[0.0; 48_000], 24_000), None);
        assert_eq!(integrated_loudness(&[0.5; 9_000], 24_000), None);
        assert_eq!(integrated_loudness(&[f32::NAN; 48_000], 24_000), None);
        assert_eq!(integrated_loudness(&[0.5; 9_000], 0), None);
        let mut silence = vec![0.0; 48_000];
        assert_eq!(normalize_loudness(&mut silence, 24_000, -27.0), None);
        assert!(silence.iter().all(|&s| s == 0.0));
    }
}
