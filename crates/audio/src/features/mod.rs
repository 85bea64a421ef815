//! Log-mel features as NeMo's `FilterbankFeatures` computes them: pre-emphasis, zero-padded centred STFT, power, mel
//! bands, logarithm, normalisation per band. Takes 16 kHz clips from [`crate::AudioStream`] or [`crate::PieceReader`];
//! the frames go to a model's subsampling.
//!
//! Three things differ from common front ends and change the numbers: the window is the *symmetric* Hann window, the
//! edges are padded with *zeros* (not reflected), and the last frame, which the formula `1 + floor(S / hop)` gives, lies
//! outside the valid range and is zeroed after normalisation.

//!
//! Other models want other front ends: [`BandExtractor`] is librosa's and torch's mel spectrogram with what may follow it,
//! [`KaldiFbank`] Kaldi's filter banks.

mod bands;
mod extractor;
mod fbank;
mod filterbank;
mod normalize;
mod spectra;
mod window;

pub use bands::{BandConfig, BandExtractor, Compression, Magnitude};
pub use extractor::MelExtractor;
pub use fbank::{FbankConfig, KaldiFbank};
pub use filterbank::{kaldi_filterbank, slaney_filterbank, slaney_filterbank_to};
pub use window::{hann_periodic, hann_symmetric, povey};

/// How features are normalised over a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalize {
    /// Each band to zero mean and unit (unbiased) standard deviation over the clip's valid frames.
    PerFeature,
    /// Not at all, as streaming models need: every frame depends on its own samples only.
    None,
}

/// Parameters of the front end. [`MelConfig::parakeet`] gives those of the published Parakeet models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MelConfig {
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// FFT size in samples; even.
    pub n_fft: usize,
    /// Window length in samples, at most `n_fft`; centred in it.
    pub win_length: usize,
    /// Samples between frames.
    pub hop_length: usize,
    /// Mel bands.
    pub n_mels: usize,
    /// Pre-emphasis coefficient `a` of `y[n] = x[n] - a x[n-1]`; 0 for none.
    pub preemph: f32,
    /// Power to which magnitudes are raised; 2 gives the power spectrum.
    pub mag_power: f32,
    /// Added to a band's energy before the logarithm.
    pub log_zero_guard: f32,
    /// Normalisation over the clip.
    pub normalize: Normalize,
}

impl MelConfig {
    /// 16 kHz, 25 ms symmetric Hann windows every 10 ms, FFT of 512, pre-emphasis 0.97, power spectrum, guard 2^-24,
    /// per-feature normalisation.
    pub fn parakeet(n_mels: usize) -> Self {
        Self {
            sample_rate: 16_000,
            n_fft: 512,
            win_length: 400,
            hop_length: 160,
            n_mels,
            preemph: 0.97,
            mag_power: 2.0,
            log_zero_guard: (-24f32).exp2(),
            normalize: Normalize::PerFeature,
        }
    }

    /// Frames of a clip of `samples` samples: `1 + floor(samples / hop_length)`.
    pub fn frames(&self, samples: usize) -> usize {
        1 + self.valid_frames(samples)
    }

    /// Frames of a clip that count: `floor(samples / hop_length)`, one fewer than are computed.
    pub fn valid_frames(&self, samples: usize) -> usize {
        samples / self.hop_length.max(1)
    }
}

/// Features of one clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Row-major `[frames, n_mels]`: one frame after the other.
    pub data: Vec<f32>,
    /// Frames computed, `1 + floor(S / hop)`.
    pub frames: usize,
    /// Frames that count, `floor(S / hop)`; rows from here on are zero.
    pub valid: usize,
    /// Bands of a frame.
    pub n_mels: usize,
}

impl Features {
    /// The bands of frame `index`; empty if there is no such frame.
    pub fn row(&self, index: usize) -> &[f32] {
        let start = index.saturating_mul(self.n_mels);
        self.data.get(start..start.saturating_add(self.n_mels)).unwrap_or_default()
    }
}
