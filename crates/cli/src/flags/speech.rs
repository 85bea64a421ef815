//! How a text is said. What no flag sets is as in the reference for the model at hand.

use super::values;
use clap::Args;
use mynah::{Chunks, SpeakOptions, SplitLimits};
use std::time::Duration;

/// How a text is said.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Speech")]
pub(crate) struct SpeechFlags {
    /// The language of the text, a code or an English name; a multilingual model needs it
    #[arg(short, long, value_name = "LANGUAGE")]
    language: Option<String>,

    /// Decides everything that is random; the same seed gives the same samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// How freely speech tokens are drawn (0.8); 0 takes the likeliest, which rarely sounds well
    #[arg(long, value_name = "T", allow_negative_numbers = true, value_parser = values::not_below_zero)]
    temp: Option<f32>,

    /// Draw from the K likeliest tokens; 0 is all of them. Turbo: 1000, the others don't have it
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,

    /// Draw from the likeliest tokens that have this much of the probability together. Turbo: 0.95, else 1
    #[arg(long, value_name = "P", allow_negative_numbers = true, value_parser = values::part)]
    top_p: Option<f32>,

    /// Leave out tokens with less than this part of the largest probability. Turbo doesn't have it, else 0.05
    #[arg(long, value_name = "P", allow_negative_numbers = true, value_parser = values::part)]
    min_p: Option<f32>,

    /// Make tokens that were there less likely. Turbo and English: 1.2, Multilingual: 2
    #[arg(long, value_name = "R", allow_negative_numbers = true, value_parser = values::above_zero)]
    repeat_penalty: Option<f32>,

    /// How far speech is moved away from what would be said without the text (0.5); 0 halves T3's work. Turbo doesn't have it
    #[arg(long, value_name = "W", allow_negative_numbers = true, value_parser = values::not_below_zero)]
    cfg_weight: Option<f32>,

    /// How excited the voice is; 0.5 is as it was recorded. Turbo doesn't have it
    #[arg(long, value_name = "E", allow_negative_numbers = true, value_parser = values::not_below_zero)]
    pub(crate) exaggeration: Option<f32>,

    /// Steps of the flow, fewer being faster and rougher; by default what the file says, 10 or for Turbo 2
    #[arg(long, value_name = "N", value_parser = values::flow_steps)]
    cfm_steps: Option<usize>,

    /// Speech tokens of a piece at most, 25 a second (1000)
    #[arg(short = 'n', long, value_name = "N", value_parser = values::count)]
    max_tokens: Option<usize>,

    /// How fast it is said, 0.5 to 2; pitch stays
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true, value_parser = values::speed)]
    speed: f32,

    /// End speech that has left the text, as the reference did for Multilingual v2
    #[arg(long)]
    align: bool,

    /// Don't draw a piece again that ended before it can have been said
    #[arg(long)]
    no_retry: bool,

    /// Longest piece in characters that a text is cut into; 0 says all in one breath
    #[arg(long, value_name = "CHARS", default_value_t = SplitLimits::default().longest)]
    split: usize,

    /// How long pieces fade into each other
    #[arg(long, value_name = "MS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=1000))]
    crossfade_ms: u64,

    /// Say pieces in chunks, so that the first is heard early
    #[arg(long)]
    pub(crate) stream: bool,

    /// Tokens of the first chunk, 25 a second
    #[arg(long, value_name = "N", default_value_t = Chunks::default().first, value_parser = values::count, requires = "stream")]
    first_chunk: usize,

    /// Tokens of the other chunks
    #[arg(long, value_name = "N", default_value_t = Chunks::default().then, value_parser = values::count, requires = "stream")]
    chunk: usize,
}

impl SpeechFlags {
    /// As the library takes them.
    pub(crate) fn options(&self) -> SpeakOptions {
        let chunks = Chunks { first: self.first_chunk, then: self.chunk };
        let limits = SplitLimits { longest: self.split, ..SplitLimits::default() };
        SpeakOptions {
            language: self.language.clone(),
            seed: self.seed,
            temperature: self.temp,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repeat_penalty,
            cfg_weight: self.cfg_weight,
            max_tokens: self.max_tokens,
            align: self.align,
            retry: !self.no_retry,
            steps: self.cfm_steps,
            chunks: self.stream.then_some(chunks),
            speed: self.speed,
            split: (self.split > 0).then_some(limits),
            join: Duration::from_millis(self.crossfade_ms),
        }
    }
}
