//! Extents of the flow-matching decoder, and how it is solved.

use crate::chatterbox::s3gen::config::{long, unsupported};
use crate::error::ModelError;
use mynah_gguf::GgufFile;

/// Channels of an attention head, which no tensor and no key tells.
const HEAD: usize = 64;

/// The estimator of the flow and the default way to solve it.
#[derive(Clone, Debug, PartialEq)]
pub struct CfmConfig {
    /// Mel bins.
    pub bins: usize,
    /// Channels of the estimator.
    pub channels: usize,
    /// Channels of the time embedding.
    pub time: usize,
    /// Numbers that describe a time, sines and cosines.
    pub sinusoids: usize,
    /// Attention heads.
    pub heads: usize,
    /// Channels of a head.
    pub head: usize,
    /// Channels within the feed-forward modules.
    pub feed_forward: usize,
    /// Transformer blocks after each residual block.
    pub transformers: usize,
    /// Stages between the first and the last.
    pub mid_blocks: usize,
    /// Whether it was distilled to mean flow.
    pub meanflow: bool,
    /// Steps unless others are asked for.
    pub steps: usize,
    /// How far to go beyond the conditional flow, away from the unconditional one; zero for mean flow.
    pub guidance: f32,
}

impl CfmConfig {
    /// Reads and checks what the file's tensors and keys say.
    ///
    /// # Errors
    /// What is missing, contradictory or unsupported, by name.
    pub(crate) fn read(file: &GgufFile, bins: usize) -> Result<Self, ModelError> {
        let t = long(file);
        let [channels, inputs, _] = t.dims("cfm/down_blocks/0/0/block1/block/0/weight")?;
        if Some(inputs) != bins.checked_mul(4) || t.has("cfm/down_blocks/1/0/block1/block/0/weight") {
            return Err(unsupported(format!(
                "an estimator of {inputs} channels at first for {bins} mel bins"
            )));
        }
        let [time, sinusoids] = t.dims("cfm/time_mlp/linear_1/weight")?;
        if sinusoids % 2 == 1 || sinusoids < 4 {
            return Err(unsupported(format!("{sinusoids} sines and cosines of a time")));
        }
        let [inner, _] = t.dims("cfm/down_blocks/0/1/0/attn1/to_q/weight")?;
        if !inner.is_multiple_of(HEAD) {
            return Err(unsupported(format!("attention of {inner} channels, no multiple of {HEAD}")));
        }
        let [feed_forward, _] = t.dims("cfm/down_blocks/0/1/0/ff/net/0/proj/weight")?;
        let meanflow = t.has("cfm/time_embed_mixer/weight");
        let key = "s3gen.n_timesteps";
        let steps = file.get_usize(key)?.unwrap_or(if meanflow { 2 } else { 10 });
        if !(1..=super::MAX_STEPS).contains(&steps) {
            let reason = format!("steps must be 1 to {}", super::MAX_STEPS);
            return Err(ModelError::BadKey { key: key.to_owned(), found: steps.to_string(), reason });
        }
        let key = "s3gen.cfg_rate";
        let guidance = file.get_f32(key)?.unwrap_or(if meanflow { 0.0 } else { 0.7 });
        if !guidance.is_finite() || guidance < 0.0 || (meanflow && guidance != 0.0) {
            let reason =
                if meanflow { "mean flow has no guidance" } else { "it must be a number, not below zero" };
            let (key, found) = (key.to_owned(), guidance.to_string());
            return Err(ModelError::BadKey { key, found, reason: reason.to_owned() });
        }
        Ok(Self {
            bins,
            channels,
            time,
            sinusoids,
            heads: inner / HEAD,
            head: HEAD,
            feed_forward,
            transformers: t.count(|i| format!("cfm/down_blocks/0/1/{i}/norm1/weight")),
            mid_blocks: t.count(|i| format!("cfm/mid_blocks/{i}/0/block1/block/0/weight")),
            meanflow,
            steps,
            guidance,
        })
    }

    /// Residual blocks, each of which has a part of its own of the time embedding.
    pub(crate) fn resnets(&self) -> usize {
        self.mid_blocks + 2
    }
}
