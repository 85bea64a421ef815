//! `mynah quantize`: a GGUF in, the same model with smaller tensors out.

use crate::exit::Exit;
use crate::flags::{TalkFlags, target};
use crate::notes::Volume;
use crate::progress::bytes::ByteMeter;
use crate::{interrupt, out};
use clap::Args;
use mynah_convert::{Glob, Layout, Options, Rules, Target};
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Of a Parakeet the large matrices of the encoder take the type. What decides over tokens (prediction network, joint, CTC
head) goes no lower than F16; norms, biases and small convolutions stay as they are. A language model takes the mixture
that llama.cpp has under the name. The report says what became of what.

Examples:
  mynah quantize parakeet-f32.gguf parakeet-q8_0.gguf q8_0
  mynah quantize in.gguf out.gguf q4_k --keep 'encoder.layers.0.*'
  mynah quantize in.gguf out.gguf q5_k --only '*feed_forward*'";

/// Flags of `mynah quantize`.
#[derive(Args, Debug)]
pub(crate) struct Quantize {
    /// The GGUF to read
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// The GGUF to write; may be IN
    #[arg(value_name = "OUT")]
    output: PathBuf,

    /// F32, F16, BF16, Q8_0, Q4_0, Q5_0, Q4_K_M, Q5_K_M, Q6_K, IQ4_NL or MXFP4
    #[arg(value_name = "TYPE", value_parser = target)]
    dtype: Target,

    /// Convert only tensors whose names match; * is any run of characters. May be given often
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,

    /// Leave tensors as they are whose names match. May be given often
    #[arg(long, value_name = "GLOB")]
    keep: Vec<String>,

    /// Quantize only what parakeet.cpp can read in that form
    #[arg(long)]
    for_parakeet_cpp: bool,

    /// Threads; by default one for each core. The file doesn't depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    #[command(flatten)]
    talk: TalkFlags,
}

impl Quantize {
    /// Runs the verb.
    ///
    /// # Errors
    /// What reading or writing reports.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let globs = |patterns: &[String]| patterns.iter().map(|p| Glob::from(p.as_str())).collect();
        let layout = if self.for_parakeet_cpp { Layout::ParakeetCpp } else { Layout::Mynah };
        let rules = Rules { only: globs(&self.only), keep: globs(&self.keep), layout };
        let options = Options { rules, threads: self.threads.map(usize::from), ..Options::to(self.dtype) };
        let meter = ByteMeter::new(self.talk.progress());
        let work = || mynah_convert::quantize(&self.input, &self.output, &options, &|p| meter.at(p));
        let Some(report) = interrupt::cancellable(work) else {
            meter.clear();
            return Ok(Exit::Interrupted);
        };
        meter.clear();
        let report = report?;
        if self.talk.volume() == Volume::Verbose {
            let lines: String = report.tensors.iter().map(|tensor| format!("{tensor}\n")).collect();
            out::write(&lines)?;
        }
        out::write(&report.to_string())?;
        Ok(Exit::Success)
    }
}
