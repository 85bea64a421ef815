//! A recording as the networks see it: levels of the lowest bins, and which frames are loud enough to count.

use super::config::PerthConfig;
use mynah_audio::{AudioError, Bin, Stft};

/// Levels of a clip. A level is a magnitude in decibels, 0 at the least magnitude and 1 at the headroom above one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// Those of the lowest bins, `[frames, subband]`.
    pub subband: Vec<f32>,
    /// For each frame, the sum over all its bins.
    pub sums: Vec<f32>,
    /// For each frame, whether its sum exceeds the threshold.
    pub mask: Vec<bool>,
}

impl Levels {
    /// Of samples at the network's rate.
    ///
    /// # Errors
    /// Fewer samples than a window needs.
    pub(super) fn of(stft: &Stft, config: &PerthConfig, samples: &[f32]) -> Result<Self, AudioError> {
        let frames = stft.frames(samples.len());
        let mut subband = Vec::with_capacity(frames * config.subband);
        let mut sums = Vec::with_capacity(frames);
        stft.each(samples, |_, bins| {
            let levels = bins.iter().map(|bin| level(config, bin));
            subband.extend(levels.clone().take(config.subband).map(|x| x as f32));
            sums.push(levels.sum::<f64>() as f32);
        })?;
        let threshold = sums.iter().copied().fold(0.0, f32::max) * config.mask_threshold;
        let mask = sums.iter().map(|&sum| sum > threshold).collect();
        Ok(Self { subband, sums, mask })
    }
}

fn level(config: &PerthConfig, bin: &Bin) -> f64 {
    let db = 20.0 * libm::log10(bin.norm().max(config.magnitude_min));
    (db - config.floor_db()) / config.range_db()
}

/// Adds to the level of a bin and leaves its phase; the reference takes magnitudes to be no less than the least, and no more than
/// 10^10.
pub(super) fn raise(config: &PerthConfig, bin: &mut Bin, by: f32) {
    let magnitude = bin.norm();
    let (start, phase) = if magnitude > config.magnitude_min {
        (magnitude, *bin / magnitude)
    } else if magnitude > 0.0 {
        (config.magnitude_min, *bin / magnitude)
    } else {
        (config.magnitude_min, Bin::new(1.0, 0.0))
    };
    let gain = f64::from(by) * config.range_db() / 20.0;
    *bin = phase * (start * libm::pow(10.0, gain)).min(1e10);
}
