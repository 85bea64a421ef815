//! Mel filters: librosa's default bank (Slaney's scale and area normalisation), and a sparse form of any bank for the
//! extractor, since a band touches about 2 % of the FFT bins.

/// Mel per Hz below the break of Slaney's scale, which is linear up to 1 kHz (mel 15) and logarithmic above.
const HZ_PER_MEL: f64 = 200.0 / 3.0;
const BREAK_HZ: f64 = 1000.0;
const BREAK_MEL: f64 = BREAK_HZ / HZ_PER_MEL;

/// Width of one mel above the break, as the logarithm of a frequency ratio.
fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

fn hz_to_mel(hz: f64) -> f64 {
    if hz < BREAK_HZ { hz / HZ_PER_MEL } else { BREAK_MEL + (hz / BREAK_HZ).ln() / log_step() }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < BREAK_MEL { mel * HZ_PER_MEL } else { BREAK_HZ * ((mel - BREAK_MEL) * log_step()).exp() }
}

/// Triangular mel filters `[n_mels, n_fft / 2 + 1]`, row-major, from 0 Hz to half the sample rate, as
/// `librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels)` gives them (Slaney scale, each filter scaled to
/// unit area).
pub fn slaney_filterbank(sample_rate: u32, n_fft: usize, n_mels: usize) -> Vec<f32> {
    slaney_filterbank_to(sample_rate, n_fft, n_mels, f64::from(sample_rate) / 2.0)
}

/// As [`slaney_filterbank`], up to `high_hz` only (`fmax`).
pub fn slaney_filterbank_to(sample_rate: u32, n_fft: usize, n_mels: usize, high_hz: f64) -> Vec<f32> {
    let bins = n_fft / 2 + 1;
    let top = hz_to_mel(high_hz);
    let edges: Vec<f64> = (0..n_mels + 2).map(|i| mel_to_hz(top * i as f64 / (n_mels + 1) as f64)).collect();
    let mut bank = Vec::with_capacity(n_mels * bins);
    for edge in edges.windows(3) {
        let (left, centre, right) = (edge[0], edge[1], edge[2]);
        let area = 2.0 / (right - left);
        bank.extend((0..bins).map(|bin| {
            let hz = bin as f64 * f64::from(sample_rate) / n_fft as f64;
            let rise = (hz - left) / (centre - left);
            let fall = (right - hz) / (right - centre);
            // The reference stores the triangle in single precision before scaling it.
            let triangle = rise.min(fall).max(0.0) as f32;
            (f64::from(triangle) * area) as f32
        }));
    }
    bank
}

/// Kaldi's mel scale, which is HTK's.
fn hz_to_htk_mel(hz: f64) -> f64 {
    1127.0 * (hz / 700.0).ln_1p()
}

/// Triangular mel filters `[n_mels, n_fft / 2 + 1]`, row-major, from `low_hz` to half the sample rate as Kaldi makes them: HTK's
/// scale, sides straight in mel (not in Hz), tips of one, nothing from the bin of half the sample rate.
pub fn kaldi_filterbank(sample_rate: u32, n_fft: usize, n_mels: usize, low_hz: f64) -> Vec<f32> {
    let bins = n_fft / 2 + 1;
    let rate = f64::from(sample_rate);
    let (low, high) = (hz_to_htk_mel(low_hz), hz_to_htk_mel(rate / 2.0));
    let step = (high - low) / (n_mels + 1) as f64;
    let mut bank = Vec::with_capacity(n_mels * bins);
    for band in 0..n_mels {
        let left = low + band as f64 * step;
        let (centre, right) = (left + step, left + 2.0 * step);
        bank.extend((0..bins).map(|bin| {
            let mel = hz_to_htk_mel(bin as f64 * rate / n_fft as f64);
            let side = ((mel - left) / (centre - left)).min((right - mel) / (right - centre));
            if bin + 1 < bins { side.max(0.0) as f32 } else { 0.0 }
        }));
    }
    bank
}

/// A filter bank stored as one run of non-zero weights per band.
#[derive(Debug, Clone)]
pub(super) struct SparseBank {
    bands: Vec<(usize, Vec<f32>)>,
}

impl SparseBank {
    /// From a dense row-major bank of rows of `bins` weights.
    pub(super) fn new(dense: &[f32], bins: usize) -> Self {
        let bands = dense.chunks_exact(bins.max(1)).map(|row| {
            let first = row.iter().position(|&w| w != 0.0).unwrap_or(0);
            let end = row.iter().rposition(|&w| w != 0.0).map_or(first, |last| last + 1);
            (first, row[first..end].to_vec())
        });
        Self { bands: bands.collect() }
    }

    /// Energy of every band of one spectrum, into `out`.
    pub(super) fn apply(&self, spectrum: &[f64], out: &mut [f32]) {
        for ((first, weights), energy) in self.bands.iter().zip(out) {
            let bins = &spectrum[*first..*first + weights.len()];
            *energy = bins.iter().zip(weights).map(|(power, &weight)| power * f64::from(weight)).sum::<f64>()
                as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_round_trips_and_meets_at_the_break() {
        assert!((hz_to_mel(1000.0) - 15.0).abs() < 1e-12);
        assert!((hz_to_mel(6400.0) - 42.0).abs() < 1e-12);
        for hz in [0.0, 500.0, 999.9, 1000.0, 4000.0, 8000.0] {
            assert!((mel_to_hz(hz_to_mel(hz)) - hz).abs() < 1e-9);
        }
    }

    #[test]
    fn sparse_equals_dense() {
        let bank = slaney_filterbank(16_000, 512, 80);
        let spectrum: Vec<f64> = (0..257).map(|i| (f64::from(i) * 0.37).sin().abs()).collect();
        let mut energies = vec![0.0; 80];
        SparseBank::new(&bank, 257).apply(&spectrum, &mut energies);
        for (band, energy) in energies.iter().enumerate() {
            let dense: f64 = (0..257).map(|k| f64::from(bank[band * 257 + k]) * spectrum[k]).sum();
            assert!((dense as f32 - energy).abs() <= 1e-6 * energy, "band {band}: {dense} {energy}");
        }
    }

    #[test]
    fn an_empty_band_gives_zero() {
        let mut energies = [1.0; 2];
        SparseBank::new(&[0.0, 0.0, 0.0, 0.0, 2.0, 0.0], 3).apply(&[1.0, 3.0, 5.0], &mut energies);
        assert_eq!(energies, [0.0, 6.0]);
    }
}
