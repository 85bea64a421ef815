//! `mynah transcribe`: recordings in, words out.
//!
//! ```text
//! inputs (files, folders, stdin) ─► outputs (where each goes; what is done already) ─► run (library, results as ready)
//! ```

mod dump;
mod inputs;
mod outputs;
mod run;

use crate::debug::Debug;
use crate::exit::{Exit, Usage};
use crate::flags::{HearingFlags, ModelFlags, RenderFlags, TalkFlags};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Examples:
  mynah transcribe talk.mp3                            the words on standard output
  mynah transcribe a.wav b.flac                        one line a recording, NAME: WORDS
  mynah transcribe talk.mp3 -o talk.srt                subtitles
  mynah transcribe talks/ --recursive -f srt,json -o '{dir}/{stem}.{ext}'
  mynah transcribe -m parakeet-tdt-0.6b-v3-q8_0.gguf -t 8 lecture.m4a
  ffmpeg -i film.mkv -f wav - | mynah transcribe -";

/// Which stage of planning is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dump {
    /// The graphs as the model wrote them
    Graph,
    /// After rewrites, with the place of every value in memory
    Plan,
    /// The launches in order
    Steps,
    /// What runs on the device, and what falls back to the CPU and why
    Placement,
}

/// Flags of `mynah transcribe`.
#[derive(Args, Debug)]
pub(crate) struct Transcribe {
    /// Recordings (wav, flac, mp3, ogg, m4a, aac, aiff, caf, mka, webm), folders of them, or - for standard input
    #[arg(value_name = "INPUT", required_unless_present = "dump")]
    inputs: Vec<PathBuf>,

    /// Take recordings from folders inside folders too
    #[arg(short, long)]
    recursive: bool,

    /// Print the model's graphs at the shape of the first input (of 11 s without one), then stop
    #[arg(long, value_enum, value_name = "graph|plan|steps|placement")]
    dump: Option<Dump>,

    #[command(flatten)]
    render: RenderFlags,

    #[command(flatten)]
    hearing: HearingFlags,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

impl Transcribe {
    /// Runs the verb.
    ///
    /// # Errors
    /// Contradicting flags, a model that can't be used, a full disk. A recording that fails is told of and counted.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let debug = Debug::from_env()?;
        let gathered = inputs::gather(&self.inputs, self.recursive);
        if let Some(kind) = self.dump {
            return dump::run(self, kind, gathered.inputs.first());
        }
        if gathered.inputs.iter().filter(|input| input.path.is_none()).count() > 1 {
            return Err(Usage::plain("standard input can be read only once").into());
        }
        let failed = gathered.failures.len();
        for failure in &gathered.failures {
            crate::failure::print(failure);
        }
        let (work, skipped) = outputs::decide(gathered.inputs, gathered.several, &self.render)?;
        run::run(self, &work, &run::Before { failed, skipped }, debug)
    }
}
