//! How a text is said. What is `None` is as in the reference for the model at hand.

use super::{Chunks, SPEECH_RATE};
use mynah_text::speech::SplitLimits;
use std::time::Duration;

/// How a text is said.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakOptions {
    /// The language, by code or English name; a model of several needs to be told.
    pub language: Option<String>,
    /// Decides everything that is random: piece `n` takes the stream of `seed + n`.
    pub seed: u64,
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: Option<f32>,
    /// So many tokens are left to be drawn from; Turbo alone has it.
    pub top_k: Option<usize>,
    /// Tokens that have so much of the probability together are left.
    pub top_p: Option<f32>,
    /// Tokens below this part of the largest probability are cut; Turbo doesn't have it.
    pub min_p: Option<f32>,
    /// Tokens that were there become less likely by this factor.
    pub repetition_penalty: Option<f32>,
    /// How far speech is moved away from what would be said without the text; Turbo doesn't have it.
    pub cfg_weight: Option<f32>,
    /// Tokens of a piece at most, 25 a second.
    pub max_tokens: Option<usize>,
    /// Whether to end speech that has left the text (see [`mynah_models::chatterbox::t3::T3Options::align`]).
    pub align: bool,
    /// Whether to draw a piece again that ended before it can have been said; short texts want it.
    pub retry: bool,
    /// Steps of the flow; `None` for the file's own number.
    pub steps: Option<usize>,
    /// Says pieces in chunks, so that the first is heard early. Each chunk runs the flow over all of its piece so far, so small ones cost
    /// more.
    pub chunks: Option<Chunks>,
    /// How fast it is said, 0.5 to 2 times as fast as the model would: mel frames are interpolated in time, so pitch stays.
    pub speed: f32,
    /// How long texts are cut; `None` says all in one breath.
    pub split: Option<SplitLimits>,
    /// How long pieces fade into each other.
    pub join: Duration,
}

impl Default for SpeakOptions {
    fn default() -> Self {
        Self {
            language: None,
            seed: 0,
            temperature: None,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: None,
            cfg_weight: None,
            max_tokens: None,
            align: false,
            retry: true,
            steps: None,
            chunks: None,
            speed: 1.0,
            split: Some(SplitLimits::default()),
            join: Duration::from_millis(30),
        }
    }
}

impl SpeakOptions {
    /// Samples of a join, a second of them at most.
    pub(super) fn join_samples(&self) -> usize {
        (self.join.as_secs_f64().min(1.0) * f64::from(SPEECH_RATE)) as usize
    }
}
