//! Resampling by the Hann-windowed sinc of torchaudio (`torchaudio.functional.resample` with its defaults, after Smith's "Digital
//! Audio Resampling"): six zero crossings, cut off at 99 % of the lower Nyquist frequency. Models that were trained behind this
//! filter hear its roll-off; for everything else [`crate::Resampler`] is far better.

use crate::AudioError;
use crate::resample::{MAX_RATE, MIN_RATE};

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 6.0;
/// Cut-off over the lower Nyquist frequency.
const ROLLOFF: f64 = 0.99;
/// Largest rates after their common factor is taken out; the table of filters has as many rows as the new one.
const LARGEST: u32 = 4096;

/// Resamples a whole clip: `ceil(samples.len() · to / from)` samples.
///
/// # Errors
/// [`AudioError::Config`] if a rate is outside [`MIN_RATE`]..=[`MAX_RATE`], or if the two have too small a common factor.
pub fn resample_sinc_hann(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    let bad = |reason: String| AudioError::Config { what: "resampler", reason };
    for rate in [from, to] {
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            return Err(bad(format!("{rate} Hz is outside {MIN_RATE}..={MAX_RATE} Hz")));
        }
    }
    if from == to {
        return Ok(samples.to_vec());
    }
    let divisor = gcd(from, to);
    let (old, new) = (from / divisor, to / divisor);
    if old.max(new) > LARGEST {
        return Err(bad(format!("{from} Hz and {to} Hz have no large common factor")));
    }
    let (kernels, width) = kernels(old, new);
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
    Ok(out.collect())
}

/// A filter of `2 · width + old` taps for each of the `new` phases, and the width.
fn kernels(old: u32, new: u32) -> (Vec<f32>, usize) {
    use std::f64::consts::PI;
    let base = f64::from(old.min(new)) * ROLLOFF;
    let width = (CROSSINGS * f64::from(old) / base).ceil();
    let taps = 2 * width as usize + old as usize;
    let mut kernels = Vec::with_capacity(new as usize * taps);
    for phase in 0..new {
        kernels.extend((0..taps).map(|tap| {
            let t = -f64::from(phase) / f64::from(new) + (tap as f64 - width) / f64::from(old);
            let t = (t * base).clamp(-CROSSINGS, CROSSINGS);
            let window = (t * PI / CROSSINGS / 2.0).cos().powi(2);
            let sinc = if t == 0.0 { 1.0 } else { (t * PI).sin() / (t * PI) };
            (sinc * window * base / f64::from(old)) as f32
        }));
    }
    (kernels, width as usize)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_up_and_silence_stays() {
        for (n, wanted) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (24_000, 16_000)] {
            assert_eq!(
                resample_sinc_hann(&vec![0.0; n], 24_000, 16_000).map(|s| s.len()).ok(),
                Some(wanted),
                "{n}"
            );
        }
        assert_eq!(resample_sinc_hann(&[1.0, -1.0], 16_000, 16_000).ok(), Some(vec![1.0, -1.0]));
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for (from, to) in [(0, 16_000), (16_000, 999), (48_000, 44_101), (400_000, 16_000)] {
            assert!(resample_sinc_hann(&[0.0; 10], from, to).is_err(), "{from} {to}");
        }
    }
}
