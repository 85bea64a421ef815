//! A loaded network: recordings in, marked recordings or scores out. Spectra are made on the host, in two passes over the samples
//! where they are to be changed, so that only the subband is ever held; the networks run in tiles.

use super::config::PerthConfig;
use super::error::PerthError;
use super::graph::{SAID, Stack, stack_graph};
use super::levels::{Levels, raise};
use super::stretch;
use crate::error::ModelError;
use crate::weights::GgufWeights;
use mynah_audio::features::hann_periodic;
use mynah_audio::{Stft, resample_polyphase, resample_sinc_kaiser};
use mynah_device::{Data, Device};
use mynah_gguf::GgufFile;
use mynah_plan::{Executor, Options, PlanKey};
use std::sync::Arc;

/// Frames that a run of a network gives: 10 s at the published hop.
pub(super) const TILE: usize = 1000;

/// What one of the detector's stacks says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Branch {
    /// Mean score over the frames that count.
    pub score: f32,
    /// Mean attention over them.
    pub attention: f32,
    /// What it counts in the whole, the softmax of the attentions.
    pub weight: f32,
}

/// What the detector says of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// How sure it is that there is a watermark, from 0 to 1.
    pub score: f32,
    /// The same before it is clipped to that range.
    pub raw: f32,
    /// The stacks: slow, normal, fast.
    pub branches: [Branch; 3],
}

impl Detection {
    /// Whether there is a watermark: the score rounded, a half to 0.
    pub fn is_marked(&self) -> bool {
        self.score > 0.5
    }
}

/// A watermarker and its detector.
pub struct Perth {
    file: Arc<GgufFile>,
    config: PerthConfig,
    stft: Stft,
    executor: Executor,
    tile: usize,
}

impl Perth {
    /// Reads what the file says of the network; weights go to the device when they are first needed.
    ///
    /// # Errors
    /// What is wrong with the file, by key or tensor, or that the device can't be opened.
    pub fn load(
        file: Arc<GgufFile>,
        device: Arc<dyn Device>,
        fallback: Option<Arc<dyn Device>>,
        options: Options,
    ) -> Result<Self, ModelError> {
        let config = PerthConfig::read(&file)?;
        let stft = Stft::new(config.n_fft, &hann_periodic(config.window), config.hop)?;
        for stack in [Stack::Encoder].into_iter().chain(Stack::DETECTOR) {
            stack_graph(&file, &config, stack, 1)?;
        }
        let weights = Arc::new(GgufWeights::new(Arc::clone(&file)));
        let executor = Executor::new(device, fallback, weights, options)?;
        Ok(Self { file, config, stft, executor, tile: TILE })
    }

    /// The network's dimensions.
    pub fn config(&self) -> &PerthConfig {
        &self.config
    }

    /// The executor, for reports and profiles.
    pub fn executor(&mut self) -> &mut Executor {
        &mut self.executor
    }

    /// Makes tiles as long as this, for tests of their seams.
    pub fn set_tile(&mut self, frames: usize) {
        self.tile = frames.max(1);
    }

    /// The shortest recording at `rate` Hz that can be marked or examined, in seconds.
    pub fn least_seconds(&self) -> f64 {
        self.stft.least() as f64 / f64::from(self.config.sample_rate)
    }

    /// Mono `samples` at `rate` Hz with a watermark, as many as there were. Silence stays as it is.
    ///
    /// Where the rate is not the network's, everything goes through two resamplers: what is above the lower of the two Nyquist
    /// frequencies is lost.
    ///
    /// # Errors
    /// [`PerthError::TooShort`], [`PerthError::Sample`], a rate out of range, or what running the network reports.
    pub fn apply(&mut self, samples: &[f32], rate: u32) -> Result<Vec<f32>, PerthError> {
        self.check(samples, rate)?;
        let own = self.config.sample_rate;
        let wave = resample_sinc_kaiser(samples, rate, own)?;
        let marked = self.apply_at_own_rate(&wave)?;
        let mut out = resample_sinc_kaiser(&marked, own, rate)?;
        out.truncate(samples.len());
        Ok(out)
    }

    /// Looks for a watermark in mono `samples` at `rate` Hz.
    ///
    /// # Errors
    /// As [`Perth::apply`], and [`PerthError::Silent`].
    pub fn detect(&mut self, samples: &[f32], rate: u32) -> Result<Detection, PerthError> {
        self.check(samples, rate)?;
        let wave = resample_polyphase(samples, rate, self.config.sample_rate)?;
        let levels = self.levels(&wave)?;
        self.detect_levels(&levels)
    }

    /// The levels of samples at the network's rate.
    ///
    /// # Errors
    /// [`PerthError::TooShort`].
    pub fn levels(&self, wave: &[f32]) -> Result<Levels, PerthError> {
        self.long_enough(wave.len(), self.config.sample_rate)?;
        Ok(Levels::of(&self.stft, &self.config, wave)?)
    }

    /// What the encoder adds to the levels of a subband, `[frames, subband]`; zeros for frames that don't count.
    ///
    /// # Errors
    /// What running the network reports.
    pub fn residual(&mut self, levels: &Levels) -> Result<Vec<f32>, PerthError> {
        let mut residual = self.run(Stack::Encoder, &levels.subband)?;
        let rows = residual.chunks_exact_mut(self.config.subband);
        rows.zip(&levels.mask).filter(|(_, counts)| !**counts).for_each(|(row, _)| row.fill(0.0));
        Ok(residual)
    }

    fn apply_at_own_rate(&mut self, wave: &[f32]) -> Result<Vec<f32>, PerthError> {
        let levels = self.levels(wave)?;
        let residual = self.residual(&levels)?;
        let (config, width) = (&self.config, self.config.subband);
        let marked = self.stft.edit(wave, |frame, bins| {
            let row = residual.get(frame * width..(frame + 1) * width).unwrap_or_default();
            bins.iter_mut().zip(row).for_each(|(bin, &by)| raise(config, bin, by));
        })?;
        Ok(marked)
    }

    /// What one of the detector's networks says of each frame of a clip, once time is stretched for it: `[stretched frames, 2]`,
    /// attention and score. The encoder's own is [`Perth::residual`].
    ///
    /// # Errors
    /// What running the network reports.
    pub fn said(&mut self, stack: Stack, levels: &Levels) -> Result<Vec<f32>, PerthError> {
        let subband = stretch::linear(&levels.subband, self.config.subband, self.stretched(stack, levels));
        self.run(stack, &subband)
    }

    /// Frames of a clip once time is stretched for a network.
    fn stretched(&self, stack: Stack, levels: &Levels) -> usize {
        let place = Stack::DETECTOR.iter().position(|&other| other == stack);
        let factor = place.and_then(|place| self.config.stretches.get(place)).copied().unwrap_or(1.0);
        stretch::length(levels.mask.len(), factor)
    }

    /// What the detector says of the levels of a clip.
    ///
    /// # Errors
    /// [`PerthError::Silent`], or what running the network reports.
    pub fn detect_levels(&mut self, levels: &Levels) -> Result<Detection, PerthError> {
        let mut branches = [Branch::default(); 3];
        for (branch, stack) in branches.iter_mut().zip(Stack::DETECTOR) {
            let mask = stretch::nearest(&levels.mask, self.stretched(stack, levels));
            let said = self.said(stack, levels)?;
            [branch.attention, branch.score] = masked_means(&said, &mask).ok_or(PerthError::Silent)?;
        }
        let largest = branches.iter().map(|b| b.attention).fold(f32::NEG_INFINITY, f32::max);
        let powers = branches.map(|b| libm::exp(f64::from(b.attention - largest)));
        let all: f64 = powers.iter().sum();
        branches.iter_mut().zip(powers).for_each(|(b, power)| b.weight = (power / all) as f32);
        let raw: f32 = branches.iter().map(|b| b.score * b.weight).sum();
        Ok(Detection { score: raw.clamp(0.0, 1.0), raw, branches })
    }

    /// A network's output for rows `[frames, subband]`. A tile is given the frames beside it that its own depend on, so that seams
    /// leave no trace.
    fn run(&mut self, stack: Stack, rows: &[f32]) -> Result<Vec<f32>, PerthError> {
        let Self { file, config, executor, .. } = self;
        let (width, outputs, reach) = (config.subband, stack.outputs(config), config.reach());
        let frames = rows.len() / width;
        let mut out = Vec::with_capacity(frames * outputs);
        for first in (0..frames).step_by(self.tile) {
            let last = (first + self.tile).min(frames);
            let (from, to) = (first.saturating_sub(reach), (last + reach).min(frames));
            let key = PlanKey { graph: stack.prefix(), dims: [to - from, 0, 0, 0] };
            let plan = executor.plan(key, || stack_graph(file, config, stack, to - from))?;
            let input = rows.get(from * width..to * width).unwrap_or_default();
            executor.run(plan, &[Data::F32(input)], &[], &[])?;
            let kept = (first - from) * outputs..(last - from) * outputs;
            out.extend_from_slice(executor.output(plan, "out")?.get(kept).unwrap_or_default());
        }
        Ok(out)
    }

    fn check(&self, samples: &[f32], rate: u32) -> Result<(), PerthError> {
        if let Some((index, &value)) = samples.iter().enumerate().find(|(_, s)| !s.is_finite()) {
            return Err(PerthError::Sample { index, value });
        }
        // The resampler names the rates there are.
        mynah_audio::resample(&[], rate, self.config.sample_rate)?;
        let resampled = (samples.len() as u64 * u64::from(self.config.sample_rate)).div_ceil(u64::from(rate));
        self.long_enough(usize::try_from(resampled).unwrap_or(usize::MAX), self.config.sample_rate)
    }

    fn long_enough(&self, samples: usize, rate: u32) -> Result<(), PerthError> {
        if samples >= self.stft.least() {
            return Ok(());
        }
        let seconds = samples as f64 / f64::from(rate);
        Err(PerthError::TooShort { seconds, least: self.least_seconds() })
    }
}

/// Means of both numbers over the frames that count, `None` if there is none.
fn masked_means(said: &[f32], mask: &[bool]) -> Option<[f32; SAID]> {
    let counted = said.chunks_exact(SAID).zip(mask).filter(|(_, counts)| **counts);
    let (mut sums, mut count) = ([0.0f64; SAID], 0u32);
    for (frame, _) in counted {
        sums.iter_mut().zip(frame).for_each(|(sum, &x)| *sum += f64::from(x));
        count += 1;
    }
    (count > 0).then(|| sums.map(|sum| (sum / f64::from(count)) as f32))
}
