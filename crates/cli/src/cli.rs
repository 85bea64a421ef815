//! The verbs and their flags. Help texts are written here and beside the flags; parsing is clap's.

use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::verbs;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Hears, thinks and speaks on the machine you own.
///
/// Words from recordings with NVIDIA Parakeet models, text from Qwen3.5 models, speech from Resemble Chatterbox models, on the CPU or a
/// GPU, with nothing else installed.
#[derive(Parser, Debug)]
#[command(name = "mynah", version, max_term_width = 110, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  mynah transcribe talk.mp3
  mynah transcribe -m parakeet.gguf -f srt,vtt -o '{dir}/{stem}.{ext}' talks/
  mynah chat -m qwen3.5-0.8b.gguf
  mynah speak -m chatterbox-turbo-t3.gguf 'Good morning.' -o morning.wav
  mynah convert parakeet-tdt-0.6b-v3.nemo parakeet.gguf --type q8_0
  mynah inspect parakeet.gguf

Settings: every flag can be set as MYNAH_FLAG in the environment (MYNAH_MODEL,
MYNAH_THREADS) and in mynah/config.toml in the XDG config folder; a flag beats
the environment, which beats the file.
Exit codes: 0 ok, 1 failure, 2 usage, 3 some inputs failed, 130 interrupted.";

/// What can be done.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Print or write what is said in recordings
    #[command(after_help = verbs::transcribe::EXAMPLES)]
    Transcribe(verbs::transcribe::Transcribe),
    /// Go on from a text with a language model, or answer it
    #[command(after_help = verbs::generate::EXAMPLES)]
    Generate(verbs::generate::Generate),
    /// Talk with a language model
    #[command(after_help = verbs::chat::COMMANDS)]
    Chat(verbs::chat::Chat),
    /// Say a text
    #[command(after_help = verbs::speak::EXAMPLES)]
    Speak(verbs::speak::Speak),
    /// List voices to speak with
    #[command(after_help = verbs::voices::EXAMPLES)]
    Voices(verbs::voices::Voices),
    /// Put a watermark on recordings, or look for one
    #[command(after_help = verbs::watermark::EXAMPLES)]
    Watermark(verbs::watermark::Mark),
    /// Show what is in a GGUF file and the memory it needs
    Inspect(verbs::inspect::Inspect),
    /// Make a GGUF of a NeMo archive, a Hugging Face folder and their like, or of random weights
    #[command(after_help = verbs::convert::EXAMPLES)]
    Convert(verbs::convert::Convert),
    /// Change the types of a GGUF's tensors
    #[command(after_help = verbs::quantize::EXAMPLES)]
    Quantize(verbs::quantize::Quantize),
    /// Measure speed and memory
    Bench(verbs::bench::Bench),
    /// Measure word error rates over a list of recordings with known words
    #[command(after_help = verbs::wer::EXAMPLES)]
    Wer(verbs::wer::Wer),
    /// Show where and how far two settings part, and which switch is to blame
    #[command(after_help = verbs::drift::EXAMPLES)]
    Drift(verbs::drift::Drift),
    /// List, check and time the ops of a device
    Ops(verbs::ops::Ops),
    /// List what --device can name on this machine
    Devices(verbs::devices::Devices),
    /// Show what Mynah found on this machine, and check that it computes
    Doctor(verbs::doctor::Doctor),
    /// Print a completion script for a shell
    Completions(verbs::completions::Completions),
}

/// What the command line asked for.
pub(crate) enum Parsed {
    /// A verb.
    Command(Box<Command>),
    /// Help or version, or a complaint; printed already.
    Done(Exit),
}

/// The whole command with defaults as clap knows them.
pub(crate) fn command() -> clap::Command {
    // No language model is inside the binary.
    let named = |c: clap::Command| c.mut_arg("model", |arg| arg.help("The model, a GGUF file"));
    let t3 = |c: clap::Command| {
        c.mut_arg("model", |arg| {
            arg.help("T3's file, a GGUF; S3Gen's lies beside it or is named with --s3gen")
        })
    };
    let command = Cli::command().mut_subcommand("generate", named).mut_subcommand("chat", named);
    let command = command.mut_subcommand("speak", t3);
    let perth = |c: clap::Command| c.mut_arg("model", |arg| arg.help("The watermark's file, a GGUF"));
    let command = command
        .mut_subcommand("watermark", |c| c.mut_subcommand("apply", perth).mut_subcommand("detect", perth));
    command.mut_subcommand("bench", |c| {
        c.mut_subcommand("llm", named).mut_subcommand("ppl", named).mut_subcommand("tts", t3)
    })
}

/// Parses the arguments; values that they lack come from the environment, then from `config`.
///
/// # Errors
/// A config file that names unknown flags, or a terminal that can't be written to.
pub(crate) fn parse(config: &Config) -> anyhow::Result<Parsed> {
    let command = config.apply(command())?;
    let matches = match command.try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            error.print()?;
            if let Some(hint) = config.blame(&error) {
                crate::notes::raw(&hint);
            }
            let exit = if error.exit_code() == 0 { Exit::Success } else { Exit::Usage };
            return Ok(Parsed::Done(exit));
        }
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|e| Usage::plain(e.to_string()))?;
    Ok(Parsed::Command(Box::new(cli.command)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_flags_are_sound() {
        super::command().debug_assert();
        super::Config::default().apply(super::command()).unwrap().debug_assert();
    }
}
