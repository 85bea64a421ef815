//! Runs the vocoder's graphs and the host's part between them.

use super::config::HiftConfig;
use super::source::{Source, SourceState};
use super::spectrum::Spectrum;
use super::tiles::{TILE, tiles};
use super::{pitch_graph, vocoder_graph};
use crate::chatterbox::noise::Noise;
use crate::chatterbox::s3gen::config::{SAMPLE_RATE, long};
use crate::chatterbox::s3gen::error::S3GenError;
use crate::error::ModelError;
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_plan::{Executor, PlanKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time spent on the way to samples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HiftTimes {
    pub(crate) pitch: Duration,
    pub(crate) source: Duration,
    pub(crate) vocoder: Duration,
}

/// A vocoder's host side: tables made once.
#[derive(Clone, Debug)]
pub(crate) struct Hift {
    file: Arc<GgufFile>,
    config: HiftConfig,
    source: Source,
    spectrum: Spectrum,
    /// Threads of the host.
    threads: usize,
    /// Frames of a tile.
    tile: usize,
}

impl Hift {
    pub(crate) fn new(file: &Arc<GgufFile>, config: &HiftConfig, threads: usize) -> Result<Self, ModelError> {
        let t = long(file);
        let mix = t.elements("hift/m_source/l_linear/weight", [1, config.harmonics])?;
        let bias = t.elements("hift/m_source/l_linear/bias", [1])?;
        let source = Source {
            mix: mix.iter().map(|&x| f64::from(x)).collect(),
            bias: bias.first().copied().map_or(0.0, f64::from),
            sample_rate: f64::from(SAMPLE_RATE),
            frame: config.frame_samples(),
        };
        let spectrum = Spectrum::new(config.window, config.hop());
        Ok(Self { file: Arc::clone(file), config: config.clone(), source, spectrum, threads, tile: TILE })
    }

    /// Makes tiles as long as this, for tests of their seams.
    pub(crate) fn set_tile(&mut self, frames: usize) {
        self.tile = frames;
    }

    /// Fundamental frequencies in hertz of mel frames `[T, bins]`.
    pub(crate) fn pitch(&self, executor: &mut Executor, mel: &[f32]) -> Result<Vec<f32>, S3GenError> {
        let frames = mel.len() / self.config.bins;
        let key = PlanKey { graph: "pitch", dims: [frames, 0, 0, 0] };
        let plan = executor.plan(key, || pitch_graph(&self.file, &self.config, frames))?;
        executor.run(plan, &[Data::F32(mel)], &[], &[])?;
        Ok(executor.output(plan, "f0")?.to_vec())
    }

    /// Samples of the source for further frames.
    pub(crate) fn source(
        &self,
        f0: &[f32],
        state: &mut SourceState,
        noise: &dyn Noise,
    ) -> Result<Vec<f32>, S3GenError> {
        Ok(self.source.run(f0, state, noise, self.threads)?)
    }

    /// The spectrum of a source, `[windows, 2·bins]`.
    pub(crate) fn spectrum(&self, source: &[f32]) -> Vec<f32> {
        self.spectrum.run(source)
    }

    /// Samples of mel frames and their source, unless `cancel` is raised on the way.
    pub(crate) fn vocode(
        &self,
        executor: &mut Executor,
        mel: &[f32],
        source: &[f32],
        cancel: &AtomicBool,
    ) -> Result<Vec<f32>, S3GenError> {
        let (bins, samples) = (self.config.bins, self.config.frame_samples());
        let (windows, numbers) = (self.config.frame_windows(), self.config.window + 2);
        let spectrum = self.spectrum(source);
        let mut pcm = Vec::with_capacity(source.len());
        for tile in tiles(mel.len() / bins, self.tile, self.config.reach()) {
            if cancel.load(Ordering::Relaxed) {
                return Err(S3GenError::Cancelled);
            }
            let frames = tile.frames.len();
            let key = PlanKey { graph: "vocoder", dims: [frames, 0, 0, 0] };
            let plan = executor.plan(key, || vocoder_graph(&self.file, &self.config, frames, false))?;
            let mel = &mel[tile.frames.start * bins..tile.frames.end * bins];
            let rows = tile.frames.start * windows..tile.frames.end * windows + 1;
            let spectrum = &spectrum[rows.start * numbers..rows.end * numbers];
            executor.run(plan, &[Data::F32(mel), Data::F32(spectrum)], &[], &[])?;
            let skip = tile.kept.start - tile.frames.start;
            let kept = skip * samples..(skip + tile.kept.len()) * samples;
            pcm.extend_from_slice(&executor.output(plan, "pcm")?[kept]);
        }
        Ok(pcm)
    }

    /// What is between the stages of the vocoder, by name.
    pub(crate) fn stages(
        &self,
        executor: &mut Executor,
        mel: &[f32],
        spectrum: &[f32],
        names: &[&str],
    ) -> Result<Vec<Vec<f32>>, S3GenError> {
        let frames = mel.len() / self.config.bins;
        let key = PlanKey { graph: "vocoder", dims: [frames, 1, 0, 0] };
        let plan = executor.plan(key, || vocoder_graph(&self.file, &self.config, frames, true))?;
        executor.run(plan, &[Data::F32(mel), Data::F32(spectrum)], &[], &[])?;
        names.iter().map(|name| Ok(executor.output(plan, name)?.to_vec())).collect()
    }

    /// Samples of mel frames `[T, bins]`, from the beginning. The second executor is for the pitch.
    pub(crate) fn run(
        &self,
        [executor, plain]: [&mut Executor; 2],
        mel: &[f32],
        noise: &dyn Noise,
        cancel: &AtomicBool,
        times: &mut HiftTimes,
    ) -> Result<Vec<f32>, S3GenError> {
        let began = Instant::now();
        let f0 = self.pitch(plain, mel)?;
        times.pitch += began.elapsed();
        let began = Instant::now();
        let source = self.source(&f0, &mut SourceState::default(), noise)?;
        times.source += began.elapsed();
        let began = Instant::now();
        let pcm = self.vocode(executor, mel, &source, cancel)?;
        times.vocoder += began.elapsed();
        Ok(pcm)
    }
}
