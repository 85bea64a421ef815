//! Opens the recogniser that the flags ask for: the file after `-m`, or the model inside the binary.

use crate::flags::{HearingFlags, ModelFlags};
use crate::notes::Volume;
use anyhow::Context as _;
use mynah::{Options, Transcriber};
use mynah_gguf::GgufFile;
use std::path::Path;

/// Loads the model, and says so when nobody chose it.
///
/// # Errors
/// What is wrong with the model, the options or the device.
pub(crate) fn open(
    flags: &ModelFlags,
    hearing: &HearingFlags,
    volume: Volume,
) -> anyhow::Result<Transcriber> {
    let attention = hearing.attention.map(|a| a.0);
    load(flags, &Options { attention, ..flags.options() }, volume)
}

/// Loads the model with other options than the flags'.
///
/// # Errors
/// As [`open`].
pub(crate) fn load(flags: &ModelFlags, options: &Options, volume: Volume) -> anyhow::Result<Transcriber> {
    let Some(path) = &flags.model else {
        let ears = Transcriber::builtin(options)?;
        volume.note(&format!("no -m given, using the built-in model {}", mynah::BUILTIN_NAME));
        return Ok(ears);
    };
    let blame = || format!("can't use the model {}", path.display());
    let file = GgufFile::open(path).map_err(mynah::Error::from).with_context(blame)?;
    // A device that can't be opened is no fault of the model.
    let devices = mynah::open_devices(options.device, options.threads)?;
    let ears = Transcriber::on(file, devices, options).with_context(blame)?;
    volume.detail(&format!("model {}", path.display()));
    Ok(ears)
}

/// The file of a model, or that inside the binary, without loading it.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn file(path: Option<&Path>) -> anyhow::Result<GgufFile> {
    match path {
        None => Ok(mynah::builtin_file()?),
        Some(path) => GgufFile::open(path).with_context(|| format!("can't read {}", path.display())),
    }
}
