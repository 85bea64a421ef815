//! Mel spectrograms as librosa and torch compute them: periodic Hann window, reflected edges, Slaney's bands, and then what the
//! model was trained on, energies as they are or a logarithm of some kind.

use super::extractor::{MAX_FFT, MAX_MELS, bad, table};
use super::filterbank::{SparseBank, slaney_filterbank_to};
use super::spectra::Spectra;
use super::{Features, hann_periodic};
use crate::AudioError;

/// What is summed into bands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Magnitude {
    /// `re² + im²`.
    Power,
    /// `sqrt(re² + im² + guard)`.
    Amplitude {
        /// Added under the root.
        guard: f64,
    },
}

/// What becomes of a band's sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Compression {
    /// Nothing.
    None,
    /// `ln(max(x, floor))`.
    Ln {
        /// Smallest value.
        floor: f64,
    },
    /// Whisper's (Radford et al. 2022): `y = log10(max(x, 1e-10))`, at most 8 below the clip's largest, then `(y + 4) / 4`.
    Whisper,
}

/// Parameters of a [`BandExtractor`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandConfig {
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// FFT size and window length in samples; even.
    pub n_fft: usize,
    /// Samples between frames.
    pub hop_length: usize,
    /// Mel bands.
    pub n_mels: usize,
    /// Upper end of the bands in Hz.
    pub high_hz: f64,
    /// Samples reflected at both ends: `n_fft / 2` for a centred transform.
    pub pad: usize,
    /// What is summed.
    pub magnitude: Magnitude,
    /// What becomes of the sums.
    pub compression: Compression,
    /// Whether the last frame is left out.
    pub drop_last: bool,
}

impl BandConfig {
    /// Frames of a clip of `samples` samples. An empty clip has none.
    pub fn frames(&self, samples: usize) -> usize {
        if samples == 0 || self.hop_length == 0 {
            return 0;
        }
        let padded = samples.saturating_add(2usize.saturating_mul(self.pad));
        let whole = padded.checked_sub(self.n_fft).map_or(0, |rest| rest / self.hop_length + 1);
        whole.saturating_sub(usize::from(self.drop_last))
    }
}

/// Computes mel spectrograms of whole clips.
#[derive(Clone)]
pub struct BandExtractor {
    config: BandConfig,
    spectra: Spectra,
    bank: SparseBank,
}

impl std::fmt::Debug for BandExtractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BandExtractor").field(&self.config).finish()
    }
}

impl BandExtractor {
    /// An extractor with the filters of a model file, row-major `[n_mels, n_fft / 2 + 1]`, or computed ones.
    ///
    /// # Errors
    /// [`AudioError::Config`] if a size is zero, odd (`n_fft`) or too large, or if the filters have the wrong length or values that
    /// are not finite.
    pub fn new(config: BandConfig, filterbank: Option<&[f32]>) -> Result<Self, AudioError> {
        let BandConfig { sample_rate, n_fft, hop_length, n_mels, high_hz, pad, .. } = config;
        if n_fft == 0 || n_fft % 2 == 1 || n_fft > MAX_FFT || pad > MAX_FFT {
            return Err(bad(format!("n_fft {n_fft} is not an even number up to {MAX_FFT}")));
        }
        if n_mels == 0 || n_mels > MAX_MELS || hop_length == 0 || sample_rate == 0 {
            return Err(bad(format!(
                "{n_mels} bands every {hop_length} samples of {sample_rate} Hz (1 to {MAX_MELS} bands)"
            )));
        }
        let nyquist = f64::from(sample_rate) / 2.0;
        if !(high_hz > 0.0 && high_hz <= nyquist) {
            return Err(bad(format!("bands up to {high_hz} Hz, which is not within {nyquist} Hz")));
        }
        let bins = n_fft / 2 + 1;
        let bank = match table("filterbank", filterbank, n_mels * bins)? {
            Some(bank) => SparseBank::new(bank, bins),
            None => SparseBank::new(&slaney_filterbank_to(sample_rate, n_fft, n_mels, high_hz), bins),
        };
        Ok(Self { config, spectra: Spectra::new(&hann_periodic(n_fft), n_fft), bank })
    }

    /// The parameters.
    pub fn config(&self) -> &BandConfig {
        &self.config
    }

    /// The spectrogram of one clip at the configured rate: [`BandConfig::frames`] rows, all of them valid. A clip shorter than the
    /// reflected edges is reflected as often as needed.
    pub fn extract(&self, samples: &[f32]) -> Features {
        let BandConfig { hop_length, n_mels, pad, .. } = self.config;
        let frames = self.config.frames(samples.len());
        let mut data = vec![0f32; frames * n_mels];
        let fill = |index: usize, frame: &mut [f64]| {
            let first = (index * hop_length) as isize - pad as isize;
            for (i, x) in frame.iter_mut().enumerate() {
                *x = samples.get(reflected(first + i as isize, samples.len())).map_or(0.0, |&s| f64::from(s));
            }
        };
        let mut energies = Vec::new();
        self.spectra.each(frames, fill, |index, power| {
            energies.clear();
            energies.extend(power.iter().map(|&p| match self.config.magnitude {
                Magnitude::Power => p,
                Magnitude::Amplitude { guard } => (p + guard).sqrt(),
            }));
            self.bank.apply(&energies, &mut data[index * n_mels..(index + 1) * n_mels]);
        });
        compress(self.config.compression, &mut data);
        Features { data, frames, valid: frames, n_mels }
    }
}

fn compress(compression: Compression, data: &mut [f32]) {
    match compression {
        Compression::None => {}
        Compression::Ln { floor } => {
            data.iter_mut().for_each(|x| *x = f64::from(*x).max(floor).ln() as f32);
        }
        Compression::Whisper => {
            data.iter_mut().for_each(|x| *x = f64::from(*x).max(1e-10).log10() as f32);
            let lowest = data.iter().copied().fold(f32::NEG_INFINITY, f32::max) - 8.0;
            data.iter_mut().for_each(|x| *x = (x.max(lowest) + 4.0) / 4.0);
        }
    }
    // Only samples beyond the range of audio (1e18 and up) overflow.
    data.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
}

/// The index that `index` is a reflection of, where the samples at both ends are not repeated.
fn reflected(index: isize, length: usize) -> usize {
    let period = 2 * (length as isize - 1);
    if period <= 0 {
        return 0;
    }
    let within = index.rem_euclid(period);
    within.min(period - within) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_reflected_without_the_end_samples() {
        let indices: Vec<usize> = (-4..8).map(|i| reflected(i, 4)).collect();
        assert_eq!(indices, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!((reflected(-5, 1), reflected(3, 0)), (0, 0));
    }
}
