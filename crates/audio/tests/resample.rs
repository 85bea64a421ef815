//! Quality, timing and length of the resampler.
#![allow(clippy::unwrap_used)]

mod common;

use common::snr;
use mynah_audio::{AudioError, Resampler, resample};
use proptest::prelude::*;
use std::f64::consts::TAU;

/// A sine at `hz`, sampled at `rate`.
fn sine(hz: f64, rate: u32, samples: usize) -> Vec<f32> {
    (0..samples).map(|n| (TAU * hz * n as f64 / f64::from(rate)).sin() as f32 * 0.5).collect()
}

/// An exponential sweep from 50 Hz to `top`, faded in and out so that its ends have no edge; a function of time alone.
fn sweep(top: f64, rate: u32, seconds: f64) -> Vec<f32> {
    let growth = (top / 50.0).ln();
    (0..(seconds * f64::from(rate)) as usize)
        .map(|n| {
            let t = n as f64 / f64::from(rate) / seconds;
            let phase = TAU * 50.0 * seconds / growth * ((growth * t).exp() - 1.0);
            let fade = (t.min(1.0 - t) * 10.0).min(1.0);
            (phase.sin() * (0.5 - 0.5 * (fade * std::f64::consts::PI).cos()) * 0.5) as f32
        })
        .collect()
}

const RATES: [u32; 11] =
    [8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 37_800, 44_100, 48_000, 96_000, 192_000];

/// In the pass band the output is the signal itself at the new times: flat, in phase, without delay.
#[test]
fn a_sweep_through_the_pass_band_is_preserved() {
    for rate in RATES {
        let top = f64::from(rate.min(16_000)) / 2.0 * 0.95;
        let resampled = resample(&sweep(top, rate, 2.0), rate, 16_000).unwrap();
        let expected = sweep(top, 16_000, 2.0);
        let ratio = snr(&expected, &resampled);
        println!("{rate} Hz: {ratio:.1} dB");
        assert!(ratio > 90.0, "{rate} Hz: {ratio:.1} dB");
    }
}

/// What 16 kHz cannot hold disappears instead of folding back.
#[test]
fn aliases_are_rejected() {
    for rate in RATES.into_iter().filter(|&r| r > 16_000) {
        for hz in [8_100.0, 8_500.0, 9_500.0, 10_900.0] {
            if hz >= f64::from(rate) / 2.0 {
                continue;
            }
            let samples = resample(&sine(hz, rate, rate as usize), rate, 16_000).unwrap();
            // The tone starts and ends with a step, whose spectrum is everywhere: look at the middle.
            let peak = samples[4000..12_000].iter().fold(0f32, |m, s| m.max(s.abs()));
            let db = 20.0 * f64::from(peak / 0.5).log10();
            println!("{hz} Hz at {rate}: {db:.1} dB");
            assert!(db < -80.0, "{hz} Hz at {rate}: {db:.1} dB");
        }
    }
}

/// Raising the rate leaves no mirror image above the old Nyquist frequency.
#[test]
fn images_are_rejected() {
    let samples = resample(&sine(3_500.0, 8_000, 8_000), 8_000, 16_000).unwrap();
    let expected = sine(3_500.0, 16_000, 16_000);
    assert!(snr(&expected[4000..12_000], &samples[4000..12_000]) > 90.0);
}

#[test]
fn an_impulse_stays_where_it_is() {
    for rate in RATES {
        let mut impulse = vec![0.0; rate as usize];
        impulse[rate as usize / 2] = 1.0;
        let samples = resample(&impulse, rate, 16_000).unwrap();
        let peak = (0..samples.len()).max_by(|&a, &b| samples[a].abs().total_cmp(&samples[b].abs())).unwrap();
        assert!(peak.abs_diff(8_000) <= 1, "{rate} Hz: peak at {peak}");
    }
}

#[test]
fn equal_rates_pass_through() {
    let samples = sweep(7_000.0, 16_000, 0.3);
    assert_eq!(resample(&samples, 16_000, 16_000).unwrap(), samples);
}

#[test]
fn absurd_rates_are_errors() {
    for (from, to) in [(0, 16_000), (16_000, 0), (999, 16_000), (16_000, u32::MAX)] {
        assert!(matches!(Resampler::new(from, to), Err(AudioError::Config { .. })), "{from} -> {to}");
    }
}

/// Rates that share no factor with 16 kHz: the tone survives, aliases do not, and time is right to the sample.
#[test]
fn prime_rates_work() {
    for rate in [7_919, 44_101, 95_999, 191_999, 383_987] {
        let hz = f64::from(rate).min(16_000.0) * 0.4;
        let tone = resample(&sine(hz, rate, rate as usize), rate, 16_000).unwrap();
        assert_eq!(tone.len(), 16_000);
        // What remains after a least-squares fit of amplitude and phase.
        let middle = &tone[4_000..12_000];
        let phase = |n: usize| TAU * hz * (n + 4_000) as f64 / 16_000.0;
        let sum = |f: &dyn Fn(usize) -> f64| (0..middle.len()).map(f).sum::<f64>();
        let (ss, cc) = (sum(&|n| phase(n).sin().powi(2)), sum(&|n| phase(n).cos().powi(2)));
        let sc = sum(&|n| phase(n).sin() * phase(n).cos());
        let sx = sum(&|n| phase(n).sin() * f64::from(middle[n]));
        let cx = sum(&|n| phase(n).cos() * f64::from(middle[n]));
        let determinant = ss * cc - sc * sc;
        let (sin, cos) = ((sx * cc - cx * sc) / determinant, (cx * ss - sx * sc) / determinant);
        let fitted: Vec<f32> =
            (0..middle.len()).map(|n| (sin * phase(n).sin() + cos * phase(n).cos()) as f32).collect();
        println!("{rate} Hz: {:.1} dB, amplitude {}", snr(&fitted, middle), sin.hypot(cos));
        assert!(snr(&fitted, middle) > 80.0, "{rate} Hz: {:.1} dB", snr(&fitted, middle));
        assert!((sin.hypot(cos) - 0.5).abs() < 1e-3);
        if rate > 20_000 {
            let alias = resample(&sine(9_000.0, rate, rate as usize), rate, 16_000).unwrap();
            let peak = alias[4_000..12_000].iter().fold(0f32, |m, s| m.max(s.abs()));
            assert!(peak < 0.5e-4, "{rate} Hz: {peak:e}");
        }
        let mut impulse = vec![0.0; rate as usize];
        impulse[rate as usize / 2] = 1.0;
        let samples = resample(&impulse, rate, 16_000).unwrap();
        let peak = (0..samples.len()).max_by(|&a, &b| samples[a].abs().total_cmp(&samples[b].abs())).unwrap();
        assert!(peak.abs_diff(8_000) <= 1, "{rate} Hz: peak at {peak}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// The length is the rounded-up ratio, and the way the input is divided does not show.
    #[test]
    fn length_and_division(rate_index in 0..RATES.len(), samples in 0usize..20_000, step in 1usize..5_000) {
        let rate = RATES[rate_index];
        let input = sine(440.0, rate, samples);
        let whole = resample(&input, rate, 16_000).unwrap();
        prop_assert_eq!(whole.len(), (samples * 16_000).div_ceil(rate as usize));
        let mut resampler = Resampler::new(rate, 16_000).unwrap();
        // A resampler starts anew after its end.
        for _ in 0..2 {
            let mut out = Vec::new();
            for part in input.chunks(step) {
                resampler.push(part, &mut out).unwrap();
            }
            resampler.finish(&mut out).unwrap();
            prop_assert_eq!(&out, &whole);
        }
    }
}
