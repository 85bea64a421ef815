//! Dimensions and hyperparameters of a PerTh network, from the keys of its file. Tensors are held against them when graphs are built.

use crate::error::ModelError;
use mynah_gguf::GgufFile;
use std::fmt::Display;

/// `general.architecture` of such files.
pub const ARCHITECTURE: &str = "perth";

/// No extent of the network comes near this, and products of two can be formed without a thought.
const LIMIT: usize = 1 << 16;
/// Most convolutions between the first layer and the last; each has a graph node for every stack.
const MOST_LAYERS: usize = 64;

/// A network's dimensions and how it looks at sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerthConfig {
    /// The rate that spectra are made at, in Hz.
    pub sample_rate: u32,
    /// Samples of a transform.
    pub n_fft: usize,
    /// Samples of the Hann window.
    pub window: usize,
    /// Samples between spectra.
    pub hop: usize,
    /// Magnitudes count as no less than this.
    pub magnitude_min: f64,
    /// Decibels above a magnitude of one that stand for 1, as the least magnitude stands for 0.
    pub headroom_db: f64,
    /// Lowest bins, the ones the networks see and change.
    pub subband: usize,
    /// Channels between the layers.
    pub hidden: usize,
    /// Convolutions between the first layer and the last.
    pub layers: usize,
    /// Taps of them.
    pub kernel: usize,
    /// Slope of the rectifiers below zero.
    pub slope: f32,
    /// Frames count whose levels sum to more than this part of the largest such sum.
    pub mask_threshold: f32,
    /// How far each of the detector's stacks stretches time: slow, normal, fast.
    pub stretches: [f32; 3],
}

impl PerthConfig {
    /// Reads a file's keys.
    ///
    /// # Errors
    /// [`ModelError::Family`] for a file of another kind, [`ModelError::MissingKey`], [`ModelError::BadKey`].
    pub fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let found = file.get_str("general.architecture")?.unwrap_or_default();
        if found != ARCHITECTURE {
            return Err(ModelError::Family { found: found.to_owned(), wanted: ARCHITECTURE });
        }
        let keys = Keys(file);
        if let Some(other) = file.get_str("perth.window_fn")?.filter(|&name| name != "hann") {
            return Err(keys.bad("window_fn", other, "only hann is known"));
        }
        let rate = keys.number("sample_rate")?;
        let config = Self {
            sample_rate: u32::try_from(rate).map_err(|_| keys.bad("sample_rate", rate, "no such rate"))?,
            n_fft: keys.number("n_fft")?,
            window: keys.number("window_size")?,
            hop: keys.number("hop_size")?,
            magnitude_min: keys.float("stft_magnitude_min")?,
            headroom_db: keys.float("headroom_db")?,
            subband: keys.number("subband")?,
            hidden: keys.number("hidden_size")?,
            layers: keys.number("layers")?,
            kernel: keys.number("kernel_size")?,
            slope: keys.float("leaky_relu_slope")? as f32,
            mask_threshold: keys.float("mask_threshold")? as f32,
            stretches: keys.stretches()?,
        };
        config.check(&keys)?;
        Ok(config)
    }

    fn check(&self, keys: &Keys<'_>) -> Result<(), ModelError> {
        let bins = self.n_fft / 2 + 1;
        if !(mynah_audio::MIN_RATE..=mynah_audio::MAX_RATE).contains(&self.sample_rate) {
            return Err(keys.bad("sample_rate", self.sample_rate, "sound has no such rate here"));
        }
        if !self.n_fft.is_multiple_of(2) {
            return Err(keys.bad("n_fft", self.n_fft, "it must be even"));
        }
        if self.window > self.n_fft {
            return Err(keys.bad("window_size", self.window, "a window is no longer than its transform"));
        }
        if self.hop > self.n_fft / 2 {
            return Err(keys.bad("hop_size", self.hop, "spectra must overlap by half"));
        }
        if self.subband > bins {
            return Err(keys.bad("subband", self.subband, format!("a spectrum has {bins} bins")));
        }
        if self.layers > MOST_LAYERS {
            return Err(keys.bad("layers", self.layers, format!("at most {MOST_LAYERS} make sense")));
        }
        if self.kernel.is_multiple_of(2) {
            return Err(keys.bad("kernel_size", self.kernel, "it must be odd"));
        }
        if self.magnitude_min >= 1.0 {
            return Err(keys.bad("stft_magnitude_min", self.magnitude_min, "it must be below one"));
        }
        Ok(())
    }

    /// Frames on either side that a frame's output depends on.
    pub fn reach(&self) -> usize {
        self.layers * (self.kernel / 2)
    }

    /// The least level in decibels.
    pub(super) fn floor_db(&self) -> f64 {
        20.0 * libm::log10(self.magnitude_min)
    }

    /// Decibels from level 0 to level 1.
    pub(super) fn range_db(&self) -> f64 {
        self.headroom_db - self.floor_db()
    }
}

/// Keys below `perth.`.
struct Keys<'a>(&'a GgufFile);

impl Keys<'_> {
    fn number(&self, key: &str) -> Result<usize, ModelError> {
        match self.0.get_usize(&format!("perth.{key}"))? {
            None => Err(self.missing(key)),
            Some(n) if (1..LIMIT).contains(&n) => Ok(n),
            Some(n) => Err(self.bad(key, n, format!("it must be within 1 and {LIMIT}"))),
        }
    }

    fn float(&self, key: &str) -> Result<f64, ModelError> {
        match self.0.get_f32(&format!("perth.{key}"))? {
            None => Err(self.missing(key)),
            // As the decimal number it was written as.
            Some(x) if x.is_finite() && x > 0.0 => Ok(x.to_string().parse().unwrap_or(f64::from(x))),
            Some(x) => Err(self.bad(key, x, "it must be a number above zero")),
        }
    }

    fn stretches(&self) -> Result<[f32; 3], ModelError> {
        let found = self.0.get_f32_array("perth.stretches")?.ok_or_else(|| self.missing("stretches"))?;
        let three: Result<[f32; 3], _> = found.as_slice().try_into();
        let sane = three.ok().filter(|three| three.iter().all(|s| (0.25..=4.0).contains(s)));
        sane.ok_or_else(|| {
            self.bad("stretches", format!("{found:?}"), "three numbers from 0.25 to 4 belong there")
        })
    }

    fn missing(&self, key: &str) -> ModelError {
        ModelError::MissingKey { key: format!("perth.{key}") }
    }

    fn bad(&self, key: &str, found: impl Display, reason: impl Into<String>) -> ModelError {
        ModelError::BadKey { key: format!("perth.{key}"), found: found.to_string(), reason: reason.into() }
    }
}
