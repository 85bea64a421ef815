//! Extents of the flow encoder.

use crate::chatterbox::s3gen::config::{agree, short, unsupported};
use crate::error::ModelError;
use mynah_gguf::GgufFile;

/// The upsampling conformer and what is around it.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowConfig {
    /// Speech tokens that have an embedding.
    pub vocabulary: usize,
    /// Channels of the encoder.
    pub width: usize,
    /// Channels of the embedding table.
    pub embedding: usize,
    /// Attention heads.
    pub heads: usize,
    /// Channels within the feed-forward modules.
    pub feed_forward: usize,
    /// Blocks before upsampling.
    pub blocks: usize,
    /// Blocks after it.
    pub up_blocks: usize,
    /// Mel frames of a token.
    pub ratio: usize,
    /// Tokens that the first convolution looks ahead.
    pub lookahead: usize,
    /// Taps of its second convolution.
    pub lookahead_taps: usize,
    /// Added to variances within blocks.
    pub eps: f32,
    /// Mel bins.
    pub bins: usize,
    /// Channels of a speaker embedding.
    pub speaker: usize,
}

impl FlowConfig {
    /// Reads and checks what the file's tensors say.
    ///
    /// # Errors
    /// What is missing, contradictory or unsupported, by name.
    pub(crate) fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let t = short(file);
        let [vocabulary, embedding] = t.dims("flow/input_embedding")?;
        let [width, _] = t.dims("flow/encoder/embed/linear/w")?;
        let [heads, head] = t.dims("flow/encoder/block0/attn/pos_bias_u")?;
        if heads.checked_mul(head) != Some(width) {
            return Err(unsupported(format!("a flow encoder of {heads} heads of {head} at width {width}")));
        }
        let [feed_forward, _] = t.dims("flow/encoder/block0/ff/w1/w")?;
        let blocks = t.count(|i| format!("flow/encoder/block{i}/norm_mha/w"));
        let up_blocks = t.count(|i| format!("flow/encoder/up_block{i}/norm_mha/w"));
        let [_, _, taps] = t.dims("flow/encoder/pre_lookahead/conv1/w")?;
        let [_, _, lookahead_taps] = t.dims("flow/encoder/pre_lookahead/conv2/w")?;
        let [_, _, up_taps] = t.dims("flow/encoder/up_layer/conv/w")?;
        if up_taps < 3 || up_taps % 2 == 0 {
            return Err(unsupported(format!("upsampling with a convolution of {up_taps} taps")));
        }
        let [bins, _] = t.dims("flow/encoder_proj/w")?;
        let [_, speaker] = t.dims("flow/spk_embed_affine/w")?;
        let key = "s3gen.layer_norm_eps";
        let eps = file.get_f32(key)?.unwrap_or(1e-12);
        if !(eps.is_finite() && eps > 0.0) {
            let reason = "it must be a number above zero".to_owned();
            return Err(ModelError::BadKey { key: key.to_owned(), found: eps.to_string(), reason });
        }
        let config = Self {
            vocabulary,
            width,
            embedding,
            heads,
            feed_forward,
            blocks,
            up_blocks,
            ratio: (up_taps - 1) / 2,
            lookahead: taps - 1,
            lookahead_taps,
            eps,
            bins,
            speaker,
        };
        config.agree(file)?;
        Ok(config)
    }

    fn agree(&self, file: &GgufFile) -> Result<(), ModelError> {
        let said = [
            ("speech_vocab_size", self.vocabulary),
            ("input_size", self.embedding),
            ("output_size", self.bins),
            ("spk_embed_dim", self.speaker),
            ("encoder.n_blocks", self.blocks),
            ("encoder.up_n_blocks", self.up_blocks),
            ("encoder.attention_heads", self.heads),
            ("encoder.head_dim", self.width / self.heads),
            ("encoder.ff_size", self.feed_forward),
            ("encoder.token_mel_ratio", self.ratio),
            ("encoder.pre_lookahead_len", self.lookahead),
        ];
        said.iter().try_for_each(|(key, tensors)| agree(file, &format!("s3gen.{key}"), *tensors))
    }
}
