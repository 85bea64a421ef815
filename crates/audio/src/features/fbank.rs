//! Kaldi's log filter banks as `torchaudio.compliance.kaldi.fbank` computes them without dither: whole frames only, each freed of
//! its mean, pre-emphasised and windowed by itself.

use super::extractor::{MAX_FFT, MAX_MELS, bad, table};
use super::filterbank::{SparseBank, kaldi_filterbank};
use super::spectra::Spectra;
use super::{Features, povey};
use crate::AudioError;

/// Pre-emphasis within a frame, whose first sample stands for the one before it.
const PREEMPHASIS: f64 = 0.97;

/// Parameters of a [`KaldiFbank`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FbankConfig {
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// Samples of a frame; transforms are of the next power of two.
    pub win_length: usize,
    /// Samples between frames.
    pub hop_length: usize,
    /// Mel bands.
    pub n_mels: usize,
    /// Lower end of the bands in Hz.
    pub low_hz: f64,
}

impl FbankConfig {
    /// 25 ms every 10 ms, bands from 20 Hz: Kaldi's defaults.
    pub fn kaldi(sample_rate: u32, n_mels: usize) -> Self {
        let milliseconds = |ms: u32| (u64::from(sample_rate) * u64::from(ms) / 1000) as usize;
        Self { sample_rate, win_length: milliseconds(25), hop_length: milliseconds(10), n_mels, low_hz: 20.0 }
    }

    /// Whole frames of a clip of `samples` samples.
    pub fn frames(&self, samples: usize) -> usize {
        samples.checked_sub(self.win_length).map_or(0, |rest| rest / self.hop_length.max(1) + 1)
    }
}

/// Computes log filter banks of whole clips.
#[derive(Clone)]
pub struct KaldiFbank {
    config: FbankConfig,
    spectra: Spectra,
    bank: SparseBank,
}

impl std::fmt::Debug for KaldiFbank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KaldiFbank").field(&self.config).finish()
    }
}

impl KaldiFbank {
    /// An extractor with the filters of a model file, row-major `[n_mels, n_fft / 2 + 1]`, or computed ones.
    ///
    /// # Errors
    /// [`AudioError::Config`] if a size is zero or too large, or if the filters have the wrong length or values that are not finite.
    pub fn new(config: FbankConfig, filterbank: Option<&[f32]>) -> Result<Self, AudioError> {
        let FbankConfig { sample_rate, win_length, hop_length, n_mels, low_hz } = config;
        if win_length < 2 || win_length > MAX_FFT || hop_length == 0 {
            return Err(bad(format!("frames of {win_length} samples every {hop_length}")));
        }
        if n_mels == 0 || n_mels > MAX_MELS || !(low_hz >= 0.0 && low_hz < f64::from(sample_rate) / 2.0) {
            return Err(bad(format!(
                "{n_mels} bands from {low_hz} Hz at {sample_rate} Hz (1 to {MAX_MELS} bands)"
            )));
        }
        let n_fft = win_length.next_power_of_two();
        let bins = n_fft / 2 + 1;
        let bank = match table("filterbank", filterbank, n_mels * bins)? {
            Some(bank) => SparseBank::new(bank, bins),
            None => SparseBank::new(&kaldi_filterbank(sample_rate, n_fft, n_mels, low_hz), bins),
        };
        Ok(Self { config, spectra: Spectra::new(&povey(win_length), n_fft), bank })
    }

    /// The parameters.
    pub fn config(&self) -> &FbankConfig {
        &self.config
    }

    /// `ln(max(band, 2^-23))` of one clip of samples in ±1: [`FbankConfig::frames`] rows, all of them valid.
    pub fn extract(&self, samples: &[f32]) -> Features {
        let FbankConfig { win_length, hop_length, n_mels, .. } = self.config;
        let frames = self.config.frames(samples.len());
        let mut data = vec![0f32; frames * n_mels];
        let fill = |index: usize, frame: &mut [f64]| {
            let first = index * hop_length;
            let own = &samples[first..first + win_length];
            let mean = own.iter().map(|&s| f64::from(s)).sum::<f64>() / win_length as f64;
            let mut previous = f64::from(own[0]) - mean;
            for (x, &s) in frame.iter_mut().zip(own) {
                let centred = f64::from(s) - mean;
                *x = centred - PREEMPHASIS * previous;
                previous = centred;
            }
        };
        self.spectra.each(frames, fill, |index, power| {
            let row = &mut data[index * n_mels..(index + 1) * n_mels];
            self.bank.apply(power, row);
            row.iter_mut().for_each(|x| *x = x.max(f32::EPSILON).ln());
        });
        data.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
        Features { data, frames, valid: frames, n_mels }
    }
}
