//! `mynah convert`: checkpoints of other programs to GGUF, and random models of the released shapes.

use crate::exit::{Exit, Usage};
use crate::flags::{TalkFlags, target};
use crate::progress::bytes::ByteMeter;
use crate::{interrupt, notes, out};
use clap::Args;
use mynah_convert::random;
use mynah_convert::{ConvertError, ConvertReport, Options, Target};
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Examples:
  mynah convert parakeet-tdt-0.6b-v3.nemo parakeet.gguf --type q8_0
  mynah convert parakeet-ctc-1.1b/ parakeet-ctc.gguf           a Hugging Face folder
  mynah convert --random parakeet-tdt-0.6b-v3 random.gguf      to measure speed without a download
  mynah convert Qwen3.5-0.8B/ qwen.gguf --type q4_k_m          as llama.cpp would convert and quantise it
  mynah convert chatterbox-turbo/ voice.gguf --type q4_0       a Chatterbox: voice-t3.gguf and voice-s3gen.gguf
  mynah convert site-packages/perth/ perth.gguf                the watermark of the package resemble-perth
  mynah convert --random list                                  the shapes there are";

/// Flags of `mynah convert`.
#[derive(Args, Debug)]
pub(crate) struct Convert {
    /// IN OUT: a .nemo archive, a folder of Hugging Face, Chatterbox or PerTh, and the GGUF to write; with --random only OUT
    #[arg(value_name = "IN OUT", num_args = 0..=2)]
    paths: Vec<PathBuf>,

    /// Random weights of a released shape instead of IN; `list` prints the shapes, +mtp adds a predicting layer
    #[arg(long, value_name = "SHAPE")]
    random: Option<String>,

    /// Seed of the random weights
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Type of the large matrices: F32, F16, BF16, Q8_0, Q4_0, Q5_0, Q4_K_M, Q5_K_M, Q6_K, IQ4_NL, MXFP4
    #[arg(long = "type", value_name = "TYPE", default_value = "F32", value_parser = target)]
    dtype: Target,

    /// The model's name in the file; by default the name of IN
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Threads; by default one for each core. The file doesn't depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    #[command(flatten)]
    talk: TalkFlags,
}

impl Convert {
    /// Runs the verb.
    ///
    /// # Errors
    /// [`Usage`] for too few or too many names, and what reading or writing reports.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        if self.random.as_deref() == Some("list") {
            let names: String = random::names().map(|name| format!("{name}\n")).collect();
            out::write(&names)?;
            return Ok(Exit::Success);
        }
        let threads = self.threads.map(usize::from);
        let options = Options { name: self.name.clone(), threads, ..Options::to(self.dtype) };
        let meter = ByteMeter::new(self.talk.progress());
        let work = || -> anyhow::Result<Result<ConvertReport, ConvertError>> {
            Ok(match (&self.random, self.paths.as_slice()) {
                (Some(shape), [output]) => {
                    mynah_convert::random_model(shape, output, self.seed, &options, &|p| meter.at(p))
                }
                (None, [input, output]) => mynah_convert::convert(input, output, &options, &|p| meter.at(p)),
                (Some(_), _) => {
                    return Err(Usage::new(
                        "--random takes the file to write",
                        "mynah convert --random SHAPE OUT",
                    )
                    .into());
                }
                (None, _) => {
                    let hint = "mynah convert IN OUT, or mynah convert --random SHAPE OUT";
                    return Err(
                        Usage::new("two names are needed: what to read and what to write", hint).into()
                    );
                }
            })
        };
        let Some(report) = interrupt::cancellable(work) else {
            meter.clear();
            return Ok(Exit::Interrupted);
        };
        meter.clear();
        let report = report??;
        for name in &report.unknown {
            notes::warn(&format!("tensor {name} is unknown here and was copied as it is"));
        }
        out::write(&report.to_string())?;
        Ok(Exit::Success)
    }
}
