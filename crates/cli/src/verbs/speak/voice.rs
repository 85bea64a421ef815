//! Whose voice: what `--voice` names, a recording or a voice that was saved, else the models' own.

use crate::exit::Usage;
use crate::notes::{self, Volume};
use anyhow::Context as _;
use mynah::{AudioStream, MakeOptions, Speaker, Voice, VoiceParts, read_recording};
use mynah_models::chatterbox::voice::VoiceError;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The voice that was named, or the models' own.
///
/// # Errors
/// A voice or recording that can't be used.
pub(crate) fn voice(speaker: &Speaker, named: Option<&Path>, volume: Volume) -> anyhow::Result<Voice> {
    let Some(path) = named else { return Ok(speaker.built_in_voice()?) };
    let wrong = || format!("can't use the voice {}", path.display());
    let unread = |source| VoiceError::Io { doing: "read", path: path.to_owned(), source };
    if !is_saved(path).map_err(|error| mynah::Error::from(unread(error))).with_context(wrong)? {
        return recorded(speaker, path, volume).with_context(wrong);
    }
    let parts = VoiceParts::load(path).map_err(mynah::Error::from).with_context(wrong)?;
    let missing = parts.missing();
    if !missing.is_empty() {
        volume.note(&format!("{} comes from the model's own voice", missing.join(", ")));
    }
    speaker.completed(parts).with_context(wrong)
}

/// Whether a path leads to a voice that was saved: a folder of arrays or a GGUF file. Anything else is a recording.
fn is_saved(path: &Path) -> std::io::Result<bool> {
    if path.is_dir() {
        return Ok(true);
    }
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(magic == b"GGUF")
}

fn recorded(speaker: &Speaker, path: &Path, volume: Volume) -> anyhow::Result<Voice> {
    let stream = AudioStream::open(path).map_err(mynah::Error::from)?;
    let (samples, rate) = read_recording(stream).map_err(mynah::Error::from)?;
    let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let made = speaker.make_voice(&samples, rate, &MakeOptions { name, ..MakeOptions::default() })?;
    made.warnings.iter().for_each(|warning| notes::warn(&format!("{}: {warning}", path.display())));
    let time = made.times.total().as_secs_f64();
    volume.note(&format!("the voice of {} was made in {time:.1} s; --save-voice keeps it", path.display()));
    Ok(made.voice)
}

/// Keeps a voice: as one file for a name that ends in `.gguf`, else as a folder of arrays, which chatterbox.cpp reads, too.
///
/// # Errors
/// What can't be written.
pub(super) fn save(voice: &Voice, path: &Path) -> anyhow::Result<()> {
    let saved = match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("gguf") => voice.save(path),
        Some(ending) => {
            let message = format!("a voice can't be saved as .{}", ending.to_string_lossy());
            return Err(Usage::new(message, "name a .gguf file, or a folder").into());
        }
        None => voice.write_folder(path),
    };
    saved.map_err(mynah::Error::from).with_context(|| format!("can't save the voice to {}", path.display()))
}
