//! How much memory a watermark takes, known before anything is loaded.

use super::config::PerthConfig;
use super::graph::{Stack, stack_graph};
use super::model::TILE;
use super::stretch;
use crate::error::ModelError;
use mynah_device::Device;
use mynah_gguf::GgufFile;
use mynah_plan::plan_memory;

/// Bytes by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// The weights as the device keeps them, about what the file holds.
    pub weights: u64,
    /// The arenas of the four networks' graphs, which stay for the next recording.
    pub arenas: u64,
    /// Samples and levels on their way.
    pub audio: u64,
}

impl MemoryEstimate {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.arenas + self.audio
    }
}

/// The memory for marking and examining `seconds` of audio on `device`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn estimate(
    file: &GgufFile,
    config: &PerthConfig,
    device: &dyn Device,
    seconds: f64,
) -> Result<MemoryEstimate, ModelError> {
    let samples = (seconds.max(0.0) * f64::from(config.sample_rate)) as usize;
    let frames = samples / config.hop + 1;
    let mut arenas = 0;
    for stack in [Stack::Encoder].into_iter().chain(Stack::DETECTOR) {
        let tile = frames.min(TILE + 2 * config.reach()).max(1);
        arenas += plan_memory(&stack_graph(file, config, stack, tile)?, device).arena_bytes;
    }
    // The given samples, those at the network's rate and the marked ones; levels, stretched levels and what the network makes of them.
    let stretched = stretch::length(frames, config.stretches.iter().copied().fold(1.0, f32::max));
    let audio = 4 * (3 * samples + (2 * frames + stretched) * config.subband);
    Ok(MemoryEstimate {
        weights: file.tensors().iter().map(|t| t.nbytes as u64).sum(),
        arenas: arenas as u64,
        audio: audio as u64,
    })
}
