//! How much memory a model will need, known before anything is loaded.

use crate::error::ModelError;
use crate::parakeet::config::ParakeetConfig;
use crate::parakeet::encoder::{EncoderDims, Keep, encoder_graph};
use crate::parakeet::subsample::{TOGETHER, pre_encode_graph, subsample_graph, tile_frames, tiles};
use mynah_device::Device;
use mynah_gguf::GgufFile;
use mynah_plan::plan_memory;

/// Bytes by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// The weights as the device keeps them, about what the file holds.
    pub weights: u64,
    /// The largest arena.
    pub arena: u64,
    /// Samples, features and frames on their way.
    pub audio: u64,
}

impl MemoryEstimate {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.arena + self.audio
    }
}

/// The memory for pieces of `seconds` of audio on `device`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn estimate(
    file: &GgufFile,
    config: &ParakeetConfig,
    device: &dyn Device,
    seconds: f64,
) -> Result<MemoryEstimate, ModelError> {
    let samples = (seconds.max(0.0) * f64::from(config.mel.sample_rate)) as usize;
    let mel_frames = config.mel.valid_frames(samples);
    let frames: usize = tiles(mel_frames).iter().map(|t| t.keep).sum();
    let dims = EncoderDims {
        batch: 1,
        frames: frames.max(1),
        window: config.window,
        ctc: config.ctc && config.transducer.is_none(),
        transducer: config.transducer.is_some(),
        keep: Keep::Heads,
    };
    let encoder = plan_memory(&encoder_graph(file, config, &dims)?, device).arena_bytes;
    let subsample = subsample_graph(file, config, tile_frames(mel_frames))?;
    let subsample = plan_memory(&subsample, device).arena_bytes;
    let together = frames.clamp(1, TOGETHER);
    let pre_encode = plan_memory(&pre_encode_graph(file, config, together)?, device).arena_bytes;
    let flat = together * config.flat_width();
    let audio = 4 * (flat + samples + mel_frames * config.mel.n_mels + frames * config.d_model);
    Ok(MemoryEstimate {
        weights: file.tensors().iter().map(|t| t.nbytes as u64).sum(),
        arena: encoder.max(subsample).max(pre_encode) as u64,
        audio: audio as u64,
    })
}
