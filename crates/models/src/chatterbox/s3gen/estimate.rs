//! How much memory speaking will need, known before anything is loaded.

use super::config::S3GenConfig;
use super::error::S3GenError;
use crate::chatterbox::cfm::{StepDims, condition_states, step_graph};
use crate::chatterbox::flow::{FlowDims, flow_graph, position_states};
use crate::chatterbox::hift::{TILE, pitch_graph, vocoder_graph};
use mynah_device::Device;
use mynah_gguf::GgufFile;
use mynah_graph::StateDecl;
use mynah_plan::plan_memory;

/// Bytes by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// The weights as the device keeps them, about what the file holds of them; those that only cloning a voice needs left out.
    pub weights: u64,
    /// The arenas of the graphs, which stay for the next request.
    pub arenas: u64,
    /// State tensors: projected positions, mel frames and their conditions.
    pub states: u64,
    /// Spectra and samples on their way.
    pub host: u64,
}

impl MemoryEstimate {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.arenas + self.states + self.host
    }
}

/// The memory for `batch` requests of `tokens` speech tokens, those of the voice among them, on `device`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn estimate(
    file: &GgufFile,
    config: &S3GenConfig,
    device: &dyn Device,
    batch: usize,
    tokens: usize,
) -> Result<MemoryEstimate, S3GenError> {
    let tokens = tokens.clamp(1, super::MAX_TOKENS);
    let frames = tokens * config.flow.ratio;
    let flow = flow_graph(file, &config.flow, &FlowDims { batch, tokens, stages: false })?;
    let step = step_graph(file, &config.cfm, &StepDims { batch, frames, stages: false })?;
    let vocoder = vocoder_graph(file, &config.hift, frames.min(TILE), false)?;
    let pitch = pitch_graph(file, &config.hift, frames)?;
    let arenas = [flow, step, vocoder, pitch].map(|graph| plan_memory(&graph, device).arena_bytes as u64);
    let row = |decl: &StateDecl| 4 * decl.row.numel();
    let positions: usize = position_states(&config.flow).iter().map(|s| row(s) * 2 * frames).sum();
    let solver: usize =
        condition_states(config.flow.bins).iter().map(|s| row(s) * (1 + batch * frames)).sum();
    let spoken = |name: &str| ["flow/", "cfm/", "hift/"].iter().any(|part| name.starts_with(part));
    let weights = file.tensors().iter().filter(|t| spoken(&t.name)).map(|t| t.nbytes as u64).sum();
    let host = frames * (config.hift.frame_windows() * (config.hift.window + 2) + 2 * config.frame_samples());
    Ok(MemoryEstimate {
        weights,
        arenas: arenas.iter().sum(),
        states: (positions + solver) as u64,
        host: 4 * host as u64,
    })
}
