//! `mynah bench tts`: how fast a text becomes speech, stage by stage, at a fixed number of speech tokens.
//!
//! Tokens are random, so nothing is sampled and every run does the same work, as `bench llm` does it. `measure` takes the times,
//! `report` prints them.

mod measure;
mod report;

use crate::debug::Debug;
use crate::exit::Exit;
use crate::flags::{ModelFlags, TalkFlags};
use crate::out;
use crate::verbs::speak;
use clap::Args;
use measure::{Load, measure};
use std::path::PathBuf;

/// Flags of `mynah bench tts`.
#[derive(Args, Debug)]
pub(crate) struct Tts {
    /// The file of S3Gen; by default the one beside T3's whose name has s3gen in place of t3
    #[arg(long, value_name = "FILE")]
    s3gen: Option<PathBuf>,

    /// Tokens of the text
    #[arg(short, long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1024))]
    prompt_tokens: u32,

    /// Speech tokens that are made and spoken, 25 a second
    #[arg(short = 'n', long, value_name = "N", default_value_t = 140, value_parser = clap::value_parser!(u32).range(1..=4000))]
    max_tokens: u32,

    /// Texts at a time
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    batch: u32,

    /// Steps of the flow; by default what the file says
    #[arg(long, value_name = "N", value_parser = crate::flags::flow_steps)]
    cfm_steps: Option<usize>,

    /// How often it is measured, after a time that is not counted
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    reps: u16,

    /// Print JSON
    #[arg(long, conflicts_with = "bench_keys")]
    json: bool,

    /// Print the BENCH lines of chatterbox.cpp
    #[arg(long)]
    bench_keys: bool,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

impl Tts {
    /// Runs the measurement.
    ///
    /// # Errors
    /// Models that can't be used, or too little memory or room for so many tokens.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let debug = Debug::from_env()?;
        let began = std::time::Instant::now();
        let mut speaker = speak::open(&self.model, self.s3gen.as_deref(), self.talk.volume())?;
        let loaded = began.elapsed();
        let load = Load {
            text: self.prompt_tokens as usize,
            tokens: self.max_tokens as usize,
            batch: self.batch as usize,
            steps: self.cfm_steps,
        };
        debug.begin(speaker.t3().executor());
        debug.begin(speaker.s3gen().executor());
        debug.begin(speaker.s3gen().pitch_executor());
        let measured = measure(&mut speaker, &load, self.reps.into())?;
        debug.end(speaker.t3().executor());
        debug.end(speaker.s3gen().executor());
        debug.end(speaker.s3gen().pitch_executor());
        let report = report::Report { load, loaded, runs: measured };
        if self.json {
            out::write_json(&report.json())?;
        } else if self.bench_keys {
            out::write(&report.keys())?;
        } else {
            out::write(&report.text())?;
        }
        Ok(Exit::Success)
    }
}
