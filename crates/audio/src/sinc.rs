//! Resampling by windowed sincs that other programs use (after Smith's "Digital Audio Resampling"). Models hear the roll-off of the
//! filter they were trained behind, in the bands below half the sample rate; where that doesn't matter, [`crate::Resampler`] is better.

use crate::AudioError;
use crate::resample::{MAX_RATE, MIN_RATE, resample};

/// Largest rates after their common factor is taken out; the table of filters has as many rows as the new one.
const LARGEST: u32 = 2048;

/// A windowed sinc.
#[derive(Clone, Copy)]
struct Filter {
    /// Zero crossings on each side.
    crossings: f64,
    /// Where it falls to a half, over the lower Nyquist frequency.
    cutoff: f64,
    /// The window, over -1 to 1.
    window: fn(f64) -> f64,
    /// Whether the taps are scaled for a gain of exactly one at 0 Hz.
    unity: bool,
}

/// `torchaudio.functional.resample` with its defaults.
const HANN: Filter = Filter { crossings: 6.0, cutoff: 0.99, window: hann, unity: false };

/// What soxr's quality HQ is made for: flat up to 91.3 % of the lower Nyquist frequency, nothing beyond it down to 126 dB. Kaiser's
/// formula gives the length of such a filter.
const KAISER: Filter = Filter { crossings: 90.0, cutoff: 0.9565, window: kaiser, unity: false };
/// Kaiser's beta for 126 dB.
const BETA: f64 = 12.93;

/// `scipy.signal.resample_poly` with its defaults, which librosa calls `polyphase`: Kaiser's window of beta 5 over ten zero crossings.
const POLYPHASE: Filter = Filter { crossings: 10.0, cutoff: 1.0, window: |t| kaiser_of(5.0, t), unity: true };

fn hann(t: f64) -> f64 {
    (t * std::f64::consts::FRAC_PI_2).cos().powi(2)
}

fn kaiser(t: f64) -> f64 {
    kaiser_of(BETA, t)
}

fn kaiser_of(beta: f64, t: f64) -> f64 {
    bessel(beta * (1.0 - t * t).max(0.0).sqrt()) / bessel(beta)
}

/// The modified Bessel function of order zero, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..64 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

/// Resamples a whole clip as torchaudio does by default, by a Hann-windowed sinc of six zero crossings cut off at 99 % of the lower
/// Nyquist frequency: `ceil(samples.len() · to / from)` samples.
///
/// # Errors
/// [`AudioError::Config`] if a rate is outside [`MIN_RATE`]..=[`MAX_RATE`], or if the two have too small a common factor.
pub fn resample_sinc_hann(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    match windowed(samples, from, to, &HANN)? {
        Some(out) => Ok(out),
        None => Err(AudioError::Config {
            what: "resampler",
            reason: format!("{from} Hz and {to} Hz have no large common factor"),
        }),
    }
}

/// Resamples a whole clip near to what soxr's quality HQ does, which librosa takes: a Kaiser-windowed sinc, flat up to 91.3 % of the
/// lower Nyquist frequency; `ceil(samples.len() · to / from)` samples. Rates without a large common factor go through
/// [`crate::resample`].
///
/// # Errors
/// [`AudioError::Config`] if a rate is outside [`MIN_RATE`]..=[`MAX_RATE`].
pub fn resample_sinc_kaiser(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    match windowed(samples, from, to, &KAISER)? {
        Some(out) => Ok(out),
        None => resample(samples, from, to),
    }
}

/// Resamples a whole clip as `scipy.signal.resample_poly` does with its defaults (librosa's `polyphase`): shorter and with more aliases
/// than [`resample_sinc_kaiser`]; `ceil(samples.len() · to / from)` samples. Rates without a large common factor go through
/// [`crate::resample`].
///
/// # Errors
/// [`AudioError::Config`] if a rate is outside [`MIN_RATE`]..=[`MAX_RATE`].
pub fn resample_polyphase(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    match windowed(samples, from, to, &POLYPHASE)? {
        Some(out) => Ok(out),
        None => resample(samples, from, to),
    }
}

/// `None` for rates whose table of filters would be too large.
fn windowed(samples: &[f32], from: u32, to: u32, filter: &Filter) -> Result<Option<Vec<f32>>, AudioError> {
    for rate in [from, to] {
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            let reason = format!("{rate} Hz is outside {MIN_RATE}..={MAX_RATE} Hz");
            return Err(AudioError::Config { what: "resampler", reason });
        }
    }
    if from == to {
        return Ok(Some(samples.to_vec()));
    }
    let divisor = gcd(from, to);
    let (old, new) = (from / divisor, to / divisor);
    if old.max(new) > LARGEST {
        return Ok(None);
    }
    let (kernels, width) = kernels(old, new, filter);
    let taps = 2 * width + old as usize;
    let total = (samples.len() as u64 * u64::from(new)).div_ceil(u64::from(old)) as usize;
    let out = (0..total).map(|n| {
        let (block, phase) = (n / new as usize, n % new as usize);
        let kernel = &kernels[phase * taps..(phase + 1) * taps];
        // The first tap lies `width` samples before the block's first sample.
        let first = (block * old as usize).checked_sub(width);
        let skipped = if first.is_some() { 0 } else { width - block * old as usize };
        let inside = samples.get(first.unwrap_or(0)..).unwrap_or_default();
        let sum = kernel.iter().skip(skipped).zip(inside);
        sum.map(|(&k, &s)| f64::from(k) * f64::from(s)).sum::<f64>() as f32
    });
    Ok(Some(out.collect()))
}

/// A filter of `2 · width + old` taps for each of the `new` phases, and the width.
fn kernels(old: u32, new: u32, filter: &Filter) -> (Vec<f32>, usize) {
    use std::f64::consts::PI;
    let base = f64::from(old.min(new)) * filter.cutoff;
    let width = (filter.crossings * f64::from(old) / base).ceil();
    let taps = 2 * width as usize + old as usize;
    let mut kernels = Vec::with_capacity(new as usize * taps);
    for phase in 0..new {
        kernels.extend((0..taps).map(|tap| {
            let t = -f64::from(phase) / f64::from(new) + (tap as f64 - width) / f64::from(old);
            let t = (t * base).clamp(-filter.crossings, filter.crossings);
            let sinc = if t == 0.0 { 1.0 } else { (t * PI).sin() / (t * PI) };
            (sinc * (filter.window)(t / filter.crossings) * base / f64::from(old)) as f32
        }));
    }
    if filter.unity {
        let sum: f64 = kernels.iter().map(|&k| f64::from(k)).sum();
        kernels.iter_mut().for_each(|k| *k = (f64::from(*k) * f64::from(new) / sum) as f32);
    }
    (kernels, width as usize)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates and what scipy makes of 1 to 8 between them.
    const SCIPY: [(u32, u32, &[f32]); 2] = [
        (
            24_000,
            32_000,
            &[
                1.000_637, 1.822_145, 2.383_27, 3.358_533, 4.002_546, 4.564_166, 5.870_67, 5.883_859,
                7.004_456, 8.782_271, 4.091_409,
            ],
        ),
        (24_000, 16_000, &[1.041_403, 2.356_917, 4.262_363, 5.052_397, 7.920_828, 4.073_212]),
    ];

    #[test]
    fn lengths_are_rounded_up() {
        for (n, wanted) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (24_000, 16_000)] {
            for f in [resample_sinc_hann, resample_sinc_kaiser, resample_polyphase] {
                assert_eq!(f(&vec![0.0; n], 24_000, 16_000).map(|s| s.len()).ok(), Some(wanted), "{n}");
            }
        }
        assert_eq!(resample_sinc_hann(&[1.0, -1.0], 16_000, 16_000).ok(), Some(vec![1.0, -1.0]));
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for (from, to) in [(0, 16_000), (16_000, 999), (400_000, 16_000)] {
            assert!(resample_sinc_hann(&[0.0; 10], from, to).is_err(), "{from} {to}");
            assert!(resample_sinc_kaiser(&[0.0; 10], from, to).is_err(), "{from} {to}");
        }
        assert!(resample_sinc_hann(&[0.0; 10], 48_000, 44_101).is_err());
        assert_eq!(resample_sinc_kaiser(&[0.0; 10], 48_000, 44_101).map(|s| s.len()).ok(), Some(10));
    }

    /// `scipy.signal.resample_poly(range(1, 9), up, down)` of scipy 1.17.
    #[test]
    fn polyphase_is_scipys() {
        let x: Vec<f32> = (1..9).map(|i| i as f32).collect();
        for (from, to, wanted) in SCIPY {
            let found = resample_polyphase(&x, from, to).unwrap_or_default();
            assert_eq!(found.len(), wanted.len(), "{from} {to}");
            let worst = found.iter().zip(wanted).map(|(f, w)| (f - w).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-6 * 8.0, "{from} {to}: {worst:e}");
        }
    }

    /// A tone in the pass band comes out as it is, one beyond it not at all.
    #[test]
    fn the_long_filter_passes_and_stops() {
        let tone = |hz: f64, rate: u32, n: usize| -> Vec<f32> {
            (0..n).map(|i| (i as f64 * hz * std::f64::consts::TAU / f64::from(rate)).sin() as f32).collect()
        };
        for (from, to) in [(24_000, 16_000), (44_100, 24_000), (16_000, 24_000)] {
            let lower = f64::from(from.min(to)) / 2.0;
            let through =
                |hz: f64| resample_sinc_kaiser(&tone(hz, from, 20_000), from, to).unwrap_or_default();
            let (found, wanted) = (through(0.9 * lower), tone(0.9 * lower, to, 8000));
            let worst = (2000..6000).map(|i| (found[i] - wanted[i]).abs()).fold(0.0, f32::max);
            assert!(worst < 3e-6, "{from} {to}: {worst:e}");
            if from > to {
                let rest = through(1.01 * lower)[2000..6000].iter().fold(0f32, |m, s| m.max(s.abs()));
                assert!(rest < 3e-6, "{from} {to}: {rest:e}");
            }
        }
    }
}
