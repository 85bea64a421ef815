//! What a voice is given besides a text. Whatever cuts texts up or draws them again is left out: one piece is said once.

use crate::flags::flow_steps;
use clap::Args;
use mynah::SpeakOptions;
use std::path::PathBuf;

/// How a text is said.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Speech")]
pub(super) struct SayingFlags {
    /// The file of S3Gen; by default the one beside T3's whose name has s3gen in place of t3
    #[arg(long, value_name = "FILE")]
    pub(super) s3gen: Option<PathBuf>,

    /// Whose voice: a recording, or a voice that was saved; by default the models' own
    #[arg(long, value_name = "FILE|FOLDER")]
    pub(super) voice: Option<PathBuf>,

    /// The language of the text; a multilingual model needs it
    #[arg(short, long, value_name = "LANGUAGE")]
    language: Option<String>,

    /// Decides everything that is random, the same for both sides
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Speech tokens at most, 25 a second (1000)
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,

    /// Steps of the flow; by default what the file says
    #[arg(long, value_name = "N", value_parser = flow_steps)]
    cfm_steps: Option<usize>,
}

impl SayingFlags {
    /// As the library takes them.
    pub(super) fn options(&self) -> SpeakOptions {
        SpeakOptions {
            language: self.language.clone(),
            seed: self.seed,
            max_tokens: self.max_tokens.map(|n| n as usize),
            steps: self.cfm_steps,
            retry: false,
            ..SpeakOptions::default()
        }
    }
}
