//! `mynah watermark`: puts a watermark on a recording, or looks for one.

mod apply;
mod detect;

use crate::exit::{Exit, Usage};
use crate::flags::ModelFlags;
use crate::notes::Volume;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use mynah::{AudioStream, Devices, Error, Watermark};
use mynah_gguf::GgufFile;
use std::path::Path;

pub(crate) const EXAMPLES: &str = "\
The network is PerTh, which chatterbox-tts puts on all it says and mynah on nothing unless asked to; it is in the
package resemble-perth, and `mynah convert FOLDER perth.gguf` makes a GGUF of it.

Examples:
  mynah watermark detect -m perth.gguf talk.mp3 call.wav
  mynah watermark apply -m perth.gguf talk.wav marked.wav
  mynah speak -m turbo-t3.gguf --watermark perth.gguf 'Good morning.' -o morning.wav";

/// Flags of `mynah watermark`.
#[derive(Args, Debug)]
pub(crate) struct Mark {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Put a watermark on a recording
    Apply(apply::Apply),
    /// Tell whether recordings have a watermark; finding none is no failure
    Detect(detect::Detect),
}

impl Mark {
    /// Runs the verb.
    ///
    /// # Errors
    /// A model, recording or file that can't be used.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        match &self.what {
            What::Apply(apply) => apply.run(),
            What::Detect(detect) => detect.run(),
        }
    }
}

/// Loads a watermark's file on devices that are open already, or else on those of the flags.
///
/// # Errors
/// A file that is not there or of another family, a device that can't be opened.
pub(crate) fn open(
    path: &Path,
    devices: Option<Devices>,
    flags: &ModelFlags,
    volume: Volume,
) -> anyhow::Result<Watermark> {
    let blame = || format!("can't use the watermark {}", path.display());
    let file = GgufFile::open(path).map_err(Error::from).with_context(blame)?;
    let options = flags.options();
    let devices = match devices {
        Some(devices) => devices,
        None => mynah::open_devices(options.device, options.threads)?,
    };
    let watermark = Watermark::on(file, devices, &options).with_context(blame)?;
    volume.detail(&format!("watermark {}", path.display()));
    Ok(watermark)
}

/// The file after `-m`.
fn named(flags: &ModelFlags, volume: Volume) -> anyhow::Result<Watermark> {
    let hint = "name a watermark's file with -m; none is built in";
    let path = flags.model.as_deref().ok_or_else(|| Usage::new("no model was given", hint))?;
    open(path, None, flags, volume)
}

/// The samples of a file, or of standard input for `-`, and their rate.
fn read(watermark: &Watermark, path: &Path) -> anyhow::Result<(Vec<f32>, u32)> {
    let audio = if path.as_os_str() == "-" {
        AudioStream::from_reader(Box::new(std::io::stdin()), None)
    } else {
        AudioStream::open(path)
    };
    Ok(watermark.read(audio.map_err(Error::from)?)?)
}
