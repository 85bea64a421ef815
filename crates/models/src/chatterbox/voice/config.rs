//! Dimensions of the three encoders of a voice, from the two files of a model. Tensors are held against them when graphs are built.

use super::keys::Keys;
use crate::chatterbox::s3gen::Variant;
use crate::error::ModelError;
use mynah_gguf::GgufFile;

/// The only rate that the three encoders hear, in Hz.
pub const ENCODER_RATE: u32 = 16_000;
/// Layers and blocks are fewer than this.
const MOST_LAYERS: usize = 256;

fn layers(keys: &Keys<'_>, key: &str, published: usize) -> Result<usize, ModelError> {
    match keys.number(key, published)? {
        n if n <= MOST_LAYERS => Ok(n),
        n => Err(keys.bad(key, n, format!("no model has more than {MOST_LAYERS}"))),
    }
}

/// The voice encoder (Resemblyzer's GE2E encoder, Wan et al. 2018), in the file of T3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoiceEncoderConfig {
    /// Mel bands.
    pub n_mels: usize,
    /// Width of an LSTM layer.
    pub hidden: usize,
    /// LSTM layers.
    pub layers: usize,
    /// Width of the embedding.
    pub embedding: usize,
    /// Mel frames of a window.
    pub window: usize,
    /// FFT size and window length of the spectrogram.
    pub n_fft: usize,
    /// Samples between mel frames.
    pub hop: usize,
    /// Windows a second.
    pub rate: f32,
    /// The part of a window that must be there for a last one.
    pub coverage: f32,
}

impl VoiceEncoderConfig {
    /// Reads the file of T3.
    ///
    /// # Errors
    /// A key with an impossible value.
    pub fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let keys = Keys { file, prefix: "voice_encoder" };
        keys.only("sample_rate", ENCODER_RATE as usize)?;
        let n_fft = keys.number("n_fft", 400)?;
        keys.only("win_size", n_fft)?;
        let config = Self {
            n_mels: keys.number("n_mels", 40)?,
            hidden: keys.number("hidden_size", 256)?,
            layers: layers(&keys, "num_layers", 3)?,
            embedding: keys.number("embedding_size", 256)?,
            window: keys.number("partial_frames", 160)?,
            n_fft,
            hop: keys.number("hop_size", 160)?,
            rate: keys.float("rate", 1.3)?,
            coverage: keys.float("min_coverage", 0.8)?,
        };
        if config.window > 4096 {
            return Err(keys.bad(
                "partial_frames",
                config.window,
                "a window of a few seconds is wanted".into(),
            ));
        }
        if config.step() == 0 || config.step() > config.window {
            let reason = format!("windows of {} frames would begin every {}", config.window, config.step());
            return Err(keys.bad("rate", config.rate, reason));
        }
        Ok(config)
    }

    /// Mel frames from one window to the next.
    pub fn step(&self) -> usize {
        (f64::from(ENCODER_RATE) / f64::from(self.rate) / self.window as f64).round_ties_even() as usize
    }

    /// Windows of a clip of `frames` mel frames, at least one; the last may reach beyond the clip, where there are zeros.
    pub fn windows(&self, frames: usize) -> usize {
        let (window, step) = (self.window, self.step().max(1));
        let reach = (frames + step).saturating_sub(window);
        let (whole, rest) = (reach / step, reach % step);
        // In single precision, in which the file gives 0.8: the part may be just that.
        let covered = ((rest + window - step) as f64 / window as f64) as f32;
        whole + usize::from(whole == 0 || covered >= self.coverage)
    }
}

/// CAMPPlus (Wang et al. 2023), in the file of S3Gen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CampplusConfig {
    /// Mel bands.
    pub n_mels: usize,
    /// Width of the embedding.
    pub embedding: usize,
    /// Channels a dense layer adds.
    pub growth: usize,
    /// Channels inside a dense layer over those it adds.
    pub bottleneck: usize,
    /// Channels before the first dense block.
    pub channels: usize,
    /// Layers and dilation of each dense block.
    pub blocks: [[usize; 2]; 3],
    /// Taps of a dense layer's convolution.
    pub kernel: usize,
    /// Frames of a segment of context.
    pub segment: usize,
}

impl CampplusConfig {
    /// Reads the file of S3Gen.
    ///
    /// # Errors
    /// A key with an impossible value.
    pub fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let keys = Keys { file, prefix: "campplus" };
        keys.only("sample_rate", ENCODER_RATE as usize)?;
        let block = |i: usize, published: [usize; 2]| -> Result<[usize; 2], ModelError> {
            Ok([
                layers(&keys, &format!("block{i}_layers"), published[0])?,
                keys.number(&format!("block{i}_dilation"), published[1])?,
            ])
        };
        let kernel = keys.number("kernel_size", 3)?;
        if kernel % 2 == 0 {
            return Err(keys.bad("kernel_size", kernel, "it must be odd".into()));
        }
        Ok(Self {
            n_mels: keys.number("feat_dim", 80)?,
            embedding: keys.number("embedding_size", 192)?,
            growth: keys.number("growth_rate", 32)?,
            bottleneck: keys.number("bn_size", 4)?,
            channels: keys.number("init_channels", 128)?,
            blocks: [block(1, [12, 1])?, block(2, [24, 2])?, block(3, [16, 2])?],
            kernel,
            segment: keys.number("seg_pool_len", 100)?,
        })
    }
}

/// S3TokenizerV2 (CosyVoice 2, Du et al. 2024), in the file of S3Gen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct S3TokenizerConfig {
    /// Mel bands.
    pub n_mels: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Blocks.
    pub layers: usize,
    /// Width of the feed-forward modules.
    pub feed_forward: usize,
    /// Taps of the memory block (FSMN).
    pub memory: usize,
    /// Numbers of a token.
    pub digits: usize,
    /// FFT size and window length of the spectrogram.
    pub n_fft: usize,
    /// Samples between mel frames.
    pub hop: usize,
    /// Base of the rotary frequencies.
    pub theta: f32,
}

impl S3TokenizerConfig {
    /// Reads the file of S3Gen.
    ///
    /// # Errors
    /// A key with an impossible value.
    pub fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let keys = Keys { file, prefix: "s3tokv2" };
        keys.only("sample_rate", ENCODER_RATE as usize)?;
        keys.only("conv_stride", 2)?;
        // Digits are -1, 0 and 1, and tokens must be those that S3Gen knows.
        keys.only("fsq_levels", 3)?;
        keys.only("fsq_dim", 8)?;
        let (width, heads) = (keys.number("n_audio_state", 1280)?, keys.number("n_audio_head", 20)?);
        if !width.is_multiple_of(heads) || !(width / heads).is_multiple_of(2) {
            return Err(keys.bad(
                "n_audio_head",
                heads,
                format!("{width} channels don't divide into even heads"),
            ));
        }
        Ok(Self {
            n_mels: keys.number("n_mels", 128)?,
            width,
            heads,
            layers: layers(&keys, "n_audio_layer", 6)?,
            feed_forward: width * layers(&keys, "mlp_ratio", 4)?,
            memory: keys.number("fsmn_kernel", 31)?,
            digits: 8,
            n_fft: keys.number("n_fft", 400)?,
            hop: keys.number("hop", 160)?,
            theta: keys.float("rope_theta", 10_000.0)?,
        })
    }
}

/// What T3 wants of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PromptConfig {
    /// Whether this is a Turbo model (or Nano, which is prepared alike).
    pub turbo: bool,
    /// Tokens of the prompt: 150 (6 s) or 375 (15 s).
    pub tokens: usize,
}

impl PromptConfig {
    /// The models that want it so.
    pub fn variant(&self) -> Variant {
        if self.turbo { Variant::Turbo } else { Variant::Multilingual }
    }

    /// Reads the file of T3. A file without `chatterbox.variant` is a Turbo.
    ///
    /// # Errors
    /// [`ModelError::Family`] for another family's file, a key with an impossible value.
    pub fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let architecture = file.get_str("general.architecture")?.unwrap_or_default();
        if architecture != "chatterbox" {
            return Err(ModelError::Family { found: architecture.to_owned(), wanted: "chatterbox" });
        }
        let turbo = file.get_str("chatterbox.variant")?.is_none_or(|v| v != "t3_mtl");
        let keys = Keys { file, prefix: "chatterbox" };
        let published = if turbo { 375 } else { 150 };
        let tokens = keys.number("cond_prompt_length", keys.number("speech_cond_prompt_len", published)?)?;
        if tokens > 10_000 {
            return Err(keys.bad("cond_prompt_length", tokens, "a prompt of some seconds is wanted".into()));
        }
        Ok(Self { turbo, tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `get_num_wins` of chatterbox-tts gives.
    #[test]
    fn windows_are_counted_as_by_resemblyzer() {
        let config = VoiceEncoderConfig {
            n_mels: 40,
            hidden: 256,
            layers: 3,
            embedding: 256,
            window: 160,
            n_fft: 400,
            hop: 160,
            rate: 1.3,
            coverage: 0.8,
        };
        assert_eq!(config.step(), 77);
        for (frames, windows) in [
            (1, 1),
            (83, 1),
            (128, 1),
            (159, 1),
            (160, 1),
            (204, 1),
            (205, 2),
            (237, 2),
            (281, 2),
            (282, 3),
            (601, 7),
        ] {
            assert_eq!(config.windows(frames), windows, "{frames}");
        }
    }
}
