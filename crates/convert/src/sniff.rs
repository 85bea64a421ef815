//! Telling input formats apart by what they are, not by what they are called.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::{ConvertError, chatterbox, nemo, perth};

/// A format that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A tar, plain or gzip-compressed.
    Nemo,
    /// A folder with `config.json`.
    HfFolder,
    /// A folder with a T3 of Chatterbox, or such a T3.
    Chatterbox,
    /// The folder of a PerTh watermark, or a checkpoint in it.
    Perth,
    /// A GGUF file.
    Gguf,
}

/// Finds out what `path` is.
///
/// # Errors
/// [`ConvertError::Io`], [`ConvertError::UnknownInput`].
pub fn sniff(path: &Path) -> Result<InputKind, ConvertError> {
    let refused = |source| ConvertError::Io { path: path.to_owned(), source };
    let unknown = |what| Err(ConvertError::UnknownInput { path: path.to_owned(), what });
    let found = path.metadata().map_err(refused)?;
    if chatterbox::is_chatterbox(path) {
        return Ok(InputKind::Chatterbox);
    }
    if perth::is_perth(path) {
        return Ok(InputKind::Perth);
    }
    if found.is_dir() {
        if path.join("config.json").exists() {
            return Ok(InputKind::HfFolder);
        }
        return unknown(
            "a folder without config.json, which a Hugging Face folder has, and without a T3 of Chatterbox",
        );
    }
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(512).read_to_end(&mut head)).map_err(refused)?;
    if head.starts_with(b"GGUF") {
        Ok(InputKind::Gguf)
    } else if nemo::is_tar(&head) || nemo::is_gzip(&head) {
        Ok(InputKind::Nemo)
    } else if head.starts_with(b"PK\x03\x04") {
        unknown("a zip file, perhaps a bare torch checkpoint; the whole .nemo archive is needed")
    } else if path.extension().is_some_and(|extension| extension == "safetensors") {
        unknown("bare safetensors; give the folder with its config.json")
    } else {
        unknown("neither a .nemo archive nor a Hugging Face folder nor a GGUF file")
    }
}
