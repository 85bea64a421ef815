//! What the tests share: fixtures, and measures of how alike two signals are.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::PathBuf;

/// Path of a file in `fixtures/audio`.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/audio")).join(name)
}

pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// A fixture of raw little-endian f32 values.
pub fn floats(name: &str) -> Vec<f32> {
    bytes(name).chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The samples of `s16.wav`, read by another library.
pub fn original() -> Vec<f32> {
    let reader = hound::WavReader::open(path("s16.wav")).unwrap();
    reader.into_samples::<i16>().map(|s| f32::from(s.unwrap()) / 32768.0).collect()
}

/// Signal to noise ratio in dB of `test` against `reference`, over their common length.
pub fn snr(reference: &[f32], test: &[f32]) -> f64 {
    let power = |x: f32| f64::from(x) * f64::from(x);
    let signal: f64 = reference.iter().map(|&r| power(r)).sum();
    let noise: f64 = reference.iter().zip(test).map(|(&r, &t)| power(r - t)).sum();
    10.0 * (signal / noise.max(1e-30)).log10()
}

/// Delay of `test` against `reference` in samples, within `±range`, by the best signal to noise ratio; and that ratio.
pub fn best_delay(reference: &[f32], test: &[f32], range: usize) -> (isize, f64) {
    let padded: Vec<f32> = [&vec![0.0; range], test, &vec![0.0; 2 * range]].concat();
    let ratio = |shift: usize| snr(reference, &padded[shift..]);
    let best = (0..=2 * range).max_by(|&a, &b| ratio(a).total_cmp(&ratio(b))).unwrap();
    (best as isize - range as isize, ratio(best))
}
