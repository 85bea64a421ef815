//! The front end as a reusable object: plan, window and filters are prepared once.
//!
//! All sums run in f64; only the logarithm is taken in f32. A f32 transform has an error of 1e-7 of the *strongest* bin, which is up to 5e-5 in the
//! logarithm of a weak band, and another such error with every FFT library and SIMD level. NeMo's own f32 result carries
//! it; this one stays within 1e-5 of the exact value, and costs little more.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::filterbank::{SparseBank, slaney_filterbank};
use super::normalize::per_feature;
use super::{Features, MelConfig, Normalize, hann_symmetric};
use crate::AudioError;

/// Computes [`Features`]. One extractor serves any number of clips and threads; the result does not depend on either.
#[derive(Clone)]
pub struct MelExtractor {
    config: MelConfig,
    /// `n_fft` long, the window in its middle.
    window: Vec<f32>,
    bank: SparseBank,
    fft: Arc<dyn RealToComplex<f64>>,
}

impl std::fmt::Debug for MelExtractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MelExtractor").field(&self.config).finish()
    }
}

impl MelExtractor {
    /// An extractor with computed window ([`hann_symmetric`]) and filters ([`slaney_filterbank`]).
    ///
    /// # Errors
    /// [`AudioError::Config`] if a size is zero, odd (`n_fft`), or too large.
    pub fn new(config: MelConfig) -> Result<Self, AudioError> {
        Self::with_tables(config, None, None)
    }

    /// An extractor with the tables of a model file: `window` of `win_length` samples and `filterbank` row-major
    /// `[n_mels, n_fft / 2 + 1]`. A table that is absent is computed.
    ///
    /// # Errors
    /// [`AudioError::Config`] as [`MelExtractor::new`], or if a table has the wrong length or values that are not finite.
    pub fn with_tables(
        config: MelConfig,
        window: Option<&[f32]>,
        filterbank: Option<&[f32]>,
    ) -> Result<Self, AudioError> {
        check(&config)?;
        let bins = config.n_fft / 2 + 1;
        let computed_window = hann_symmetric(config.win_length);
        let window = table("window", window, config.win_length)?.unwrap_or(&computed_window);
        let computed_bank;
        let bank = match table("filterbank", filterbank, config.n_mels * bins)? {
            Some(bank) => bank,
            None => {
                computed_bank = slaney_filterbank(config.sample_rate, config.n_fft, config.n_mels);
                &computed_bank
            }
        };
        let mut centred = vec![0.0; config.n_fft];
        let left = (config.n_fft - config.win_length) / 2;
        centred[left..left + config.win_length].copy_from_slice(window);
        let fft = RealFftPlanner::new().plan_fft_forward(config.n_fft);
        Ok(Self { config, window: centred, bank: SparseBank::new(bank, bins), fft })
    }

    /// The parameters.
    pub fn config(&self) -> &MelConfig {
        &self.config
    }

    /// Features of one clip at the configured rate. Clips of any length are accepted; one shorter than a hop has no valid
    /// frame and gives a single row of zeros.
    pub fn extract(&self, samples: &[f32]) -> Features {
        self.extract_together(samples, 1)
    }

    /// As [`MelExtractor::extract`], the frames of a clip that is long enough shared among up to `threads` threads.
    pub fn extract_together(&self, samples: &[f32], threads: usize) -> Features {
        let MelConfig { n_mels, .. } = self.config;
        let (frames, valid) = (self.config.frames(samples.len()), self.config.valid_frames(samples.len()));
        let mut data = vec![0.0; frames * n_mels];
        let share = valid.div_ceil(threads.max(1)).max(SHARE);
        let mut parts = data[..valid * n_mels].chunks_mut(share * n_mels).enumerate();
        let own = parts.next();
        std::thread::scope(|scope| {
            for (part, rows) in parts {
                scope.spawn(move || self.log_mels(samples, part * share, rows));
            }
            own.into_iter().for_each(|(_, rows)| self.log_mels(samples, 0, rows));
        });
        if self.config.normalize == Normalize::PerFeature && valid > 0 {
            per_feature(&mut data, n_mels, valid);
        }
        // Only samples beyond the range of audio (1e18 and up) overflow the power spectrum.
        for x in data.iter_mut().filter(|x| !x.is_finite()) {
            *x = 0.0;
        }
        Features { data, frames, valid, n_mels }
    }

    /// Log-mel bands of the frames from `first` on, a row each.
    fn log_mels(&self, samples: &[f32], first: usize, rows: &mut [f32]) {
        let mut work = Work {
            frame: self.fft.make_input_vec(),
            spectrum: self.fft.make_output_vec(),
            power: vec![0f64; self.config.n_fft / 2 + 1],
            scratch: self.fft.make_scratch_vec(),
        };
        for (index, row) in rows.chunks_exact_mut(self.config.n_mels).enumerate() {
            self.log_mel(samples, first + index, &mut work, row);
        }
    }

    /// Log-mel bands of frame `index`, not normalised.
    fn log_mel(&self, samples: &[f32], index: usize, work: &mut Work, row: &mut [f32]) {
        let half_power = f64::from(self.config.mag_power) / 2.0;
        self.window_frame(samples, index, &mut work.frame);
        // The buffers come from the plan, so their sizes fit.
        let done = self.fft.process_with_scratch(&mut work.frame, &mut work.spectrum, &mut work.scratch);
        debug_assert!(done.is_ok());
        for (power, bin) in work.power.iter_mut().zip(&work.spectrum) {
            let square = bin.norm_sqr();
            *power = if self.config.mag_power == 2.0 { square } else { square.powf(half_power) };
        }
        self.bank.apply(&work.power, row);
        for x in row {
            *x = (*x + self.config.log_zero_guard).ln();
        }
    }

    /// Pre-emphasised, windowed samples around frame `index`, zeros beyond the clip.
    fn window_frame(&self, samples: &[f32], index: usize, frame: &mut [f64]) {
        let half = self.config.n_fft / 2;
        let centre = index * self.config.hop_length;
        // Part of the frame that lies within the clip.
        let from = half.saturating_sub(centre);
        let to = (samples.len() + half).saturating_sub(centre).min(frame.len()).max(from);
        frame[..from].fill(0.0);
        frame[to..].fill(0.0);
        let start = centre + from - half;
        let inside = &samples[start..start + (to - from)];
        let preemph = f64::from(self.config.preemph);
        let mut previous = if start == 0 { 0.0 } else { samples[start - 1] };
        for ((y, &x), &w) in frame[from..to].iter_mut().zip(inside).zip(&self.window[from..to]) {
            *y = (f64::from(x) - preemph * f64::from(previous)) * f64::from(w);
            previous = x;
        }
    }
}

/// Frames that take a thread much longer than starting it, some 4 µs each.
const SHARE: usize = 64;

/// Buffers of one extraction.
struct Work {
    frame: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    power: Vec<f64>,
    scratch: Vec<Complex<f64>>,
}

/// Largest FFT and band count accepted; a model file's sizes are not to be trusted.
pub(super) const MAX_FFT: usize = 1 << 16;
pub(super) const MAX_MELS: usize = 4096;

pub(super) fn bad(reason: String) -> AudioError {
    AudioError::Config { what: "mel configuration", reason }
}

fn check(config: &MelConfig) -> Result<(), AudioError> {
    let MelConfig { sample_rate, n_fft, win_length, hop_length, n_mels, .. } = *config;
    if n_fft == 0 || n_fft % 2 == 1 || n_fft > MAX_FFT {
        return Err(bad(format!("n_fft {n_fft} is not an even number up to {MAX_FFT}")));
    }
    if win_length == 0 || win_length > n_fft {
        return Err(bad(format!("win_length {win_length} is not in 1..={n_fft} (n_fft)")));
    }
    if hop_length == 0 {
        return Err(bad("hop_length 0".into()));
    }
    if n_mels == 0 || n_mels > MAX_MELS {
        return Err(bad(format!("n_mels {n_mels} is not in 1..={MAX_MELS}")));
    }
    if sample_rate == 0 {
        return Err(bad("sample_rate 0".into()));
    }
    let floats = [
        ("preemph", config.preemph),
        ("mag_power", config.mag_power),
        ("log_zero_guard", config.log_zero_guard),
    ];
    match floats.iter().find(|(_, value)| !value.is_finite()) {
        Some((name, value)) => Err(bad(format!("{name} {value}"))),
        None => Ok(()),
    }
}

pub(super) fn table<'a>(
    what: &str,
    table: Option<&'a [f32]>,
    length: usize,
) -> Result<Option<&'a [f32]>, AudioError> {
    let Some(values) = table else { return Ok(None) };
    if values.len() != length {
        return Err(bad(format!("{what} of {} values, expected {length}", values.len())));
    }
    if let Some(value) = values.iter().find(|v| !v.is_finite()) {
        return Err(bad(format!("{what} contains {value}")));
    }
    Ok(Some(values))
}
