//! Mel filter banks of the audio encoders, which the checkpoints lack and the files hold.

/// Triangular filters `[mels, fft / 2 + 1]`, row by row, as `librosa.filters.mel(sr=rate, n_fft=fft, n_mels=mels, fmin=0,
/// fmax=top)` has them: Slaney's scale, each filter of unit area.
pub(crate) fn slaney(rate: f64, fft: usize, mels: usize, top: f64) -> Vec<f32> {
    // Linear up to 1 kHz, mel 15, and 27 mels for a factor of 6.4 from there on.
    let (break_mel, step) = (15.0, 6.4f64.ln() / 27.0);
    let mel_of = |hz: f64| if hz < 1000.0 { hz * 0.015 } else { break_mel + (hz / 1000.0).ln() / step };
    let hz_of =
        |mel: f64| if mel < break_mel { mel / 0.015 } else { 1000.0 * ((mel - break_mel) * step).exp() };
    let edge = |index: usize| hz_of(mel_of(top) * index as f64 / (mels + 1) as f64);
    let mut bank = Vec::with_capacity(mels * (fft / 2 + 1));
    for mel in 0..mels {
        let (left, centre, right) = (edge(mel), edge(mel + 1), edge(mel + 2));
        bank.extend((0..=fft / 2).map(|bin| {
            let hz = bin as f64 * rate / fft as f64;
            let triangle = ((hz - left) / (centre - left)).min((right - hz) / (right - centre)).max(0.0);
            // The reference stores the triangle in single precision before it scales it.
            (f64::from(triangle as f32) * 2.0 / (right - left)) as f32
        }));
    }
    bank
}

/// Kaldi's filters `[mels, fft / 2 + 1]` from `low` Hz to half the rate: triangles over its mel scale, not normalised
/// (`torchaudio.compliance.kaldi.get_mel_banks`).
pub(crate) fn kaldi(rate: f64, fft: usize, mels: usize, low: f64) -> Vec<f32> {
    let mel_of = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let (first, last) = (mel_of(low), mel_of(rate / 2.0));
    let step = (last - first) / (mels + 1) as f64;
    let mut bank = Vec::with_capacity(mels * (fft / 2 + 1));
    for index in 0..mels {
        let centre = first + (index + 1) as f64 * step;
        bank.extend((0..=fft / 2).map(|bin| {
            let mel = mel_of(bin as f64 * rate / fft as f64);
            (1.0 - (mel - centre).abs() / step).max(0.0) as f32
        }));
    }
    bank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_bank_is_that_of_the_audio_crate() {
        assert_eq!(
            slaney(16_000.0, 400, 40, 8000.0),
            mynah_audio::features::slaney_filterbank(16_000, 400, 40)
        );
    }

    #[test]
    fn filters_have_their_peaks_where_they_should() {
        let bank = kaldi(16_000.0, 512, 80, 20.0);
        assert_eq!(bank.len(), 80 * 257);
        let sums: Vec<f32> = (0..257).map(|bin| bank.iter().skip(bin).step_by(257).sum()).collect();
        // Neighbouring triangles add up to one between the first and the last centre.
        assert!(sums[3..250].iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{sums:?}");
        let wide = slaney(24_000.0, 1920, 80, 8000.0);
        assert!(wide.chunks(961).all(|row| row[642..].iter().all(|&weight| weight == 0.0)));
    }
}
