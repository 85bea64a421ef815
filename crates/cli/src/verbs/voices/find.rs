//! Voices under a path: a file, a folder of arrays, or whatever of these lies in a folder.

use anyhow::Context as _;
use mynah::{VoiceError, VoiceParts};
use mynah_gguf::GgufFile;
use mynah_models::chatterbox::voice::VOICE_ARCHITECTURE;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The arrays of a folder that chatterbox.cpp reads.
const ARRAYS: [&str; 5] =
    ["speaker_emb", "cond_prompt_speech_tokens", "embedding", "prompt_token", "prompt_feat"];

/// A place of a voice, and what is there.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) parts: Result<VoiceParts, String>,
}

impl Found {
    pub(super) fn new(path: PathBuf, parts: Result<VoiceParts, VoiceError>) -> Self {
        let parts = parts.and_then(|parts| {
            // Parts that can't be of one voice are found when it is put together.
            if parts.missing().is_empty() {
                parts.clone().complete()?;
            }
            Ok(parts)
        });
        Self { path, parts: parts.map_err(|error| chain(&error)) }
    }

    /// What is there, whole or in part, or what is wrong with it.
    pub(super) fn whole(&self) -> Result<&VoiceParts, &str> {
        self.parts.as_ref().map_err(String::as_str)
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The voice at a path, or those in a folder, by name.
///
/// # Errors
/// A path that isn't there or a folder that can't be listed. What is wrong with a voice stands in its place.
pub(super) fn voices(path: &Path) -> anyhow::Result<Vec<Found>> {
    let unread = || format!("can't read {}", path.display());
    let meta = fs::metadata(path).with_context(unread)?;
    if !meta.is_dir() || has_arrays(path) {
        return Ok(vec![Found::new(path.to_owned(), VoiceParts::load(path))]);
    }
    let mut inside = Vec::new();
    for entry in fs::read_dir(path).with_context(unread)? {
        inside.push(entry.with_context(unread)?.path());
    }
    inside.sort();
    let voices = inside.into_iter().filter(|path| is_voice(path));
    Ok(voices.map(|path| Found::new(path.clone(), VoiceParts::load(&path))).collect())
}

fn has_arrays(folder: &Path) -> bool {
    ARRAYS.iter().any(|name| folder.join(format!("{name}.npy")).exists())
}

/// Whether something in a folder should be listed: models and other files that may lie there, too, should not. A GGUF file that can't
/// be read may be a voice.
fn is_voice(path: &Path) -> bool {
    if path.is_dir() {
        return has_arrays(path);
    }
    let mut magic = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut magic));
    let named = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
    if read.is_err() || magic != b"GGUF" {
        return named;
    }
    let architecture = GgufFile::open(path).map(|file| {
        file.get_str("general.architecture").ok().flatten().map(|name| name == VOICE_ARCHITECTURE)
    });
    architecture.ok().flatten().unwrap_or(true)
}
