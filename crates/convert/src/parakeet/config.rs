//! What a Parakeet checkpoint says about itself, whichever format it came in: the answers that become GGUF keys.

/// Configuration of a Parakeet model. Counts are in their natural units; see each field.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `general.name` of the file to write.
    pub name: String,
    /// Front end.
    pub features: Features,
    /// FastConformer.
    pub encoder: Encoder,
    /// Whether there is a CTC head.
    pub ctc: bool,
    /// Prediction network and joint, if there are any.
    pub transducer: Option<Transducer>,
    /// Language prompt of multilingual streaming models.
    pub prompt: Option<Prompt>,
    /// Vocabulary without the blank, whose id is their number.
    pub pieces: Vec<String>,
}

/// Mel features.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Hz.
    pub sample_rate: usize,
    /// Mel bands.
    pub mels: usize,
    /// Samples of the Fourier transform.
    pub n_fft: usize,
    /// Samples of the window.
    pub win_length: usize,
    /// Samples between frames.
    pub hop_length: usize,
    /// Pre-emphasis factor, 0 for none.
    pub preemph: f32,
    /// Power of the magnitude.
    pub mag_power: f32,
    /// Added before the logarithm.
    pub log_zero_guard: f32,
    /// `per_feature`, or `NA` for none.
    pub normalize: String,
}

impl Default for Features {
    /// NeMo's defaults, which every released Parakeet uses, with 80 mels.
    fn default() -> Features {
        Features {
            sample_rate: 16_000,
            mels: 80,
            n_fft: 512,
            win_length: 400,
            hop_length: 160,
            preemph: 0.97,
            mag_power: 2.0,
            log_zero_guard: 1.0 / 16_777_216.0,
            normalize: "per_feature".to_owned(),
        }
    }
}

/// Encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Conformer blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward modules.
    pub ff_dim: usize,
    /// Taps of the depthwise convolution.
    pub conv_kernel: usize,
    /// Mel frames per encoder frame.
    pub subsampling_factor: usize,
    /// Channels of the subsampling convolutions.
    pub subsampling_channels: usize,
    /// Longest input NeMo prepares positions for.
    pub pos_emb_max_len: usize,
    /// Norm inside the convolution module.
    pub conv_norm: ConvNorm,
    /// Whether the subsampled frames are multiplied by the root of `d_model`.
    pub xscaling: bool,
    /// Whether linear and convolution layers of the blocks have biases.
    pub use_bias: bool,
    /// What a frame attends to.
    pub attention: Attention,
}

/// Norm inside the convolution module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvNorm {
    /// Batch norm with running statistics.
    Batch,
    /// Layer norm, which keeps the name `batch_norm` in the state dict.
    Layer,
}

/// What a frame attends to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attention {
    /// Every frame.
    Full,
    /// So many frames to the left and to the right (`rel_pos_local_attn`).
    Local {
        /// Frames before, -1 for all.
        left: i32,
        /// Frames after, -1 for all.
        right: i32,
    },
    /// Chunks, for cache-aware streaming (`chunked_limited`).
    Chunked(Streaming),
}

/// Cache-aware streaming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streaming {
    /// Contexts `[left, right]` the model was trained with; the first is the default. Never empty.
    pub contexts: Vec<[i32; 2]>,
    /// Whether subsampling sees no future.
    pub causal_downsampling: bool,
    /// Whether the depthwise convolutions see no future.
    pub conv_causal: bool,
}

/// Prediction network, joint and greedy decoding.
#[derive(Debug, Clone, PartialEq)]
pub struct Transducer {
    /// Width of embedding and LSTM.
    pub pred_hidden: usize,
    /// LSTM layers.
    pub pred_layers: usize,
    /// Width of the joint.
    pub joint_hidden: usize,
    /// Activation of the joint.
    pub activation: String,
    /// Most symbols that are emitted at one frame.
    pub max_symbols: usize,
    /// Durations a TDT joint chooses from; empty for RNN-T.
    pub durations: Vec<i32>,
}

/// Language prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Length of the one-hot prompt.
    pub prompts: usize,
    /// Locale to position.
    pub dictionary: Vec<(String, i32)>,
}

impl Config {
    /// parakeet.cpp's label for the combination of heads.
    pub fn arch(&self) -> &'static str {
        let durations = self.transducer.as_ref().map(|t| !t.durations.is_empty());
        match (durations, self.ctc) {
            (None, _) => "ctc",
            (Some(false), false) => "rnnt",
            (Some(true), false) => "tdt",
            (Some(false), true) => "hybrid_rnnt_ctc",
            (Some(true), true) => "hybrid_tdt_ctc",
        }
    }

    /// Mel bands that are left after subsampling.
    pub fn subsampled_mels(&self) -> usize {
        let stages = self.encoder.subsampling_factor.max(1).ilog2();
        let causal = matches!(&self.encoder.attention, Attention::Chunked(s) if s.causal_downsampling);
        // Kernel 3, stride 2; padding 1 on both sides, or 2 before and 1 behind.
        let stage = |bands: usize, _| if causal { bands / 2 + 1 } else { bands.saturating_sub(1) / 2 + 1 };
        (0..stages).fold(self.features.mels, stage)
    }
}
