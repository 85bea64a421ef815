//! One file or folder a verb: its flags, and what it does with them.

pub(crate) mod bench;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod ops;
pub(crate) mod quantize;
pub(crate) mod speak;
pub(crate) mod transcribe;
pub(crate) mod voices;
pub(crate) mod watermark;
pub(crate) mod wer;

use crate::cli::Command;
use crate::exit::Exit;

/// Runs a verb.
///
/// # Errors
/// What stops it.
pub(crate) fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Transcribe(verb) => verb.run(),
        Command::Generate(verb) => verb.run(),
        Command::Chat(verb) => verb.run(),
        Command::Speak(verb) => verb.run(),
        Command::Watermark(verb) => verb.run(),
        Command::Inspect(verb) => verb.run(),
        Command::Convert(verb) => verb.run(),
        Command::Quantize(verb) => verb.run(),
        Command::Bench(verb) => verb.run(),
        Command::Voices(verb) => verb.run(),
        Command::Wer(verb) => verb.run(),
        Command::Drift(verb) => verb.run(),
        Command::Ops(verb) => verb.run(),
        Command::Devices(verb) => verb.run(),
        Command::Doctor(verb) => verb.run(),
        Command::Completions(verb) => verb.run(),
    }
}
