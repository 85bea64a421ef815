//! Extents of the vocoder. What is no tensor's extent follows from one: rates from kernels, dilations from their number.

use crate::chatterbox::s3gen::config::{long, unsupported};
use crate::chatterbox::s3gen::tensors::Tensors;
use crate::error::ModelError;
use mynah_gguf::GgufFile;

/// A residual block: pairs of convolutions, the first of pair `i` with dilation `2i + 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResBlockConfig {
    /// The name of its tensors.
    pub(crate) name: String,
    /// Taps of each convolution, odd.
    pub taps: usize,
    /// Pairs of convolutions.
    pub pairs: usize,
}

impl ResBlockConfig {
    fn read(t: &Tensors<'_>, name: String) -> Result<Self, ModelError> {
        let [_, _, taps] = t.dims(&format!("{name}/convs1/0/weight"))?;
        if taps % 2 == 0 {
            return Err(unsupported(format!("a residual block of {taps} taps, an even number")));
        }
        let pairs = t.count(|i| format!("{name}/convs1/{i}/weight"));
        Ok(Self { name, taps, pairs })
    }

    /// Rows on each side that an output row depends on.
    pub(crate) fn reach(&self) -> usize {
        (0..self.pairs).map(|i| (2 * i + 2) * (self.taps - 1) / 2).sum()
    }
}

/// A stage of upsampling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpsampleConfig {
    /// Channels that come in.
    pub inputs: usize,
    /// Channels that come out.
    pub outputs: usize,
    /// Taps of the transposed convolution.
    pub taps: usize,
    /// Rows made of one.
    pub rate: usize,
    /// Taps of the convolution that brings the source to this stage's rate.
    pub source_taps: usize,
    /// Its stride.
    pub source_stride: usize,
    /// The residual block of the source.
    pub source: ResBlockConfig,
    /// The residual blocks whose mean is taken.
    pub blocks: Vec<ResBlockConfig>,
}

/// The vocoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiftConfig {
    /// Mel bins.
    pub bins: usize,
    /// Channels before upsampling.
    pub channels: usize,
    /// Taps of the first convolution.
    pub pre_taps: usize,
    /// Taps of the last.
    pub post_taps: usize,
    /// Stages in order.
    pub stages: Vec<UpsampleConfig>,
    /// Samples of a window of the spectra.
    pub window: usize,
    /// Harmonics of the source, the fundamental among them.
    pub harmonics: usize,
    /// Channels of the predictor of fundamental frequencies.
    pub pitch_channels: usize,
    /// Its convolutions.
    pub pitch_layers: usize,
    /// Their taps.
    pub pitch_taps: usize,
}

impl HiftConfig {
    /// Reads and checks what the file's tensors say.
    ///
    /// # Errors
    /// What is missing, contradictory or unsupported, by name.
    pub(crate) fn read(file: &GgufFile, bins: usize) -> Result<Self, ModelError> {
        let t = long(file);
        let [channels, _, pre_taps] = t.dims("hift/conv_pre/weight")?;
        let [numbers, _, post_taps] = t.dims("hift/conv_post/weight")?;
        let [_, harmonics] = t.dims("hift/m_source/l_linear/weight")?;
        let [pitch_channels, _, pitch_taps] = t.dims("hift/f0_predictor/condnet/0/weight")?;
        if numbers < 4 || numbers % 2 == 1 || (numbers - 2) % 4 != 0 {
            return Err(unsupported(format!("a spectrum of {numbers} numbers")));
        }
        if [pre_taps, post_taps, pitch_taps].iter().any(|taps| taps % 2 == 0) {
            return Err(unsupported("a vocoder with kernels of even length"));
        }
        Ok(Self {
            bins,
            channels,
            pre_taps,
            post_taps,
            stages: stages(&t, numbers)?,
            window: numbers - 2,
            harmonics,
            pitch_channels,
            pitch_layers: t.count(|i| format!("hift/f0_predictor/condnet/{}/weight", 2 * i)),
            pitch_taps,
        })
    }

    /// Samples from one window to the next.
    pub fn hop(&self) -> usize {
        self.window / 4
    }

    /// Windows of a mel frame.
    pub(crate) fn frame_windows(&self) -> usize {
        self.stages.iter().fold(1, |all, stage| all.saturating_mul(stage.rate))
    }

    /// Samples of a mel frame.
    pub fn frame_samples(&self) -> usize {
        self.frame_windows().saturating_mul(self.hop())
    }

    /// Mel frames on each side that a sample depends on, rounded up; of the source it depends on no more.
    pub fn reach(&self) -> usize {
        // In samples, from the end to the beginning: a row of a stage lasts as long as the rows that the later rates make of it.
        let hop = self.hop();
        let mut samples = self.window + (self.post_taps / 2 + 1) * hop;
        let mut farthest = 0;
        for stage in self.stages.iter().rev() {
            let row = hop * stage.source_stride;
            let blocks = stage.blocks.iter().map(ResBlockConfig::reach).max().unwrap_or(0);
            samples += (blocks + 1) * row;
            farthest =
                farthest.max(samples + stage.source.reach() * row + stage.source_taps * hop + self.window);
            samples += (stage.taps / stage.rate + 1) * stage.rate * row;
        }
        let frame = self.frame_samples();
        (samples + self.pre_taps / 2 * frame).max(farthest).div_ceil(frame)
    }
}

/// The stages, checked against the source's convolutions, whose strides are the rates that follow.
fn stages(t: &Tensors<'_>, numbers: usize) -> Result<Vec<UpsampleConfig>, ModelError> {
    let count = t.count(|i| format!("hift/ups/{i}/weight"));
    let blocks = t.count(|i| format!("hift/resblocks/{i}/convs1/0/weight"));
    if count == 0 || blocks == 0 || !blocks.is_multiple_of(count) {
        return Err(unsupported(format!("a vocoder of {count} stages and {blocks} residual blocks")));
    }
    let each = blocks / count;
    let mut stages = Vec::with_capacity(count);
    let mut later = 1_usize;
    for i in (0..count).rev() {
        let [inputs, outputs, taps] = t.dims(&format!("hift/ups/{i}/weight"))?;
        let rate = taps / 2;
        if rate == 0 || (taps - rate) % 2 == 1 {
            return Err(unsupported(format!("upsampling with a kernel of {taps} taps")));
        }
        let [_, source_numbers, source_taps] = t.dims(&format!("hift/source_downs/{i}/weight"))?;
        let source_stride = later;
        let wanted = if later == 1 { 1 } else { later.saturating_mul(2) };
        if source_taps != wanted || source_numbers != numbers {
            let what = format!("a source of {source_numbers} channels and {source_taps} taps at stage {i}");
            return Err(unsupported(what));
        }
        let blocks = (0..each).map(|j| ResBlockConfig::read(t, format!("hift/resblocks/{}", i * each + j)));
        stages.push(UpsampleConfig {
            inputs,
            outputs,
            taps,
            rate,
            source_taps,
            source_stride,
            source: ResBlockConfig::read(t, format!("hift/source_resblocks/{i}"))?,
            blocks: blocks.collect::<Result<_, _>>()?,
        });
        later = later.saturating_mul(rate);
    }
    stages.reverse();
    Ok(stages)
}
