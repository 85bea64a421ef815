//! Reading a `.nemo` archive: a tar, plain or gzip-compressed, of `model_config.yaml`, a torch checkpoint and a
//! SentencePiece model. Nothing is unpacked to disk by name, no Python is run, and tensors stay in the mapped file
//! until they are written. The result is a [`Checkpoint`].

mod config;
mod gzip;
mod tar;

use std::collections::HashMap;
use std::io;
use std::path::Path;

use mynah_tensor::Shape;

pub(crate) use config::{MAX_FFT, MAX_LAYERS, MAX_MELS, MAX_WIDTH};
pub use gzip::GzipError;
pub use tar::TarError;

pub use crate::torch::{PickleError, TorchError, ZipError};

pub(crate) use gzip::is_gzip;
pub(crate) use tar::is_tar;

use crate::bytes::Bytes;
use crate::parakeet::{CheckError, Checkpoint, complete, sort_out};
use crate::sentencepiece::{self, SentencePieceError};
use crate::settings::{ConfigError, Settings};
use crate::{torch, yaml};

const CONFIG: &str = "model_config.yaml";
const WEIGHTS: &str = "model_weights.ckpt";

/// What is wrong with a `.nemo` archive.
#[derive(Debug, thiserror::Error)]
pub enum NemoError {
    /// Reading the file failed.
    #[error("reading the archive: {0}")]
    Io(#[from] io::Error),
    /// Unpacking failed.
    #[error(transparent)]
    Gzip(#[from] GzipError),
    /// The archive is broken or hostile.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A member is not there.
    #[error("archive has no {name:?}; it has {found}")]
    MissingMember {
        /// The member.
        name: String,
        /// What there is.
        found: String,
    },
    /// `model_config.yaml` is broken or describes another kind of model.
    #[error("{CONFIG}: {0}")]
    Config(#[from] ConfigError),
    /// `model_config.yaml` is not text.
    #[error("{CONFIG} is not UTF-8")]
    ConfigEncoding,
    /// The weights are broken or hostile.
    #[error("{WEIGHTS}: {0}")]
    Weights(#[from] TorchError),
    /// The tokenizer is broken.
    #[error("{name:?}: {source}")]
    Tokenizer {
        /// The member.
        name: String,
        /// What is wrong with it.
        source: SentencePieceError,
    },
    /// There is no vocabulary at all.
    #[error("archive has neither a SentencePiece model nor a list of labels")]
    NoVocabulary,
    /// Configuration and weights do not fit.
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// Reads an archive; the file's name without extension becomes the model's.
///
/// # Errors
/// [`NemoError`]; hostile input gives an error too.
pub fn read(path: &Path) -> Result<Checkpoint, NemoError> {
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    read_archive(&unpacked(Bytes::open(path)?)?, name)
}

/// Reads an archive that is in memory; what [`read`] does after opening the file.
///
/// # Errors
/// [`NemoError`].
pub fn read_bytes(bytes: Vec<u8>, name: &str) -> Result<Checkpoint, NemoError> {
    read_archive(&unpacked(bytes.into())?, name.to_owned())
}

/// The bytes of the tar.
fn unpacked(bytes: Bytes) -> Result<Bytes, NemoError> {
    if !is_gzip(&bytes) {
        return Ok(bytes);
    }
    let file = gzip::unpack(bytes.len() as u64, &bytes[..])?;
    Ok(Bytes::map(&file)?)
}

fn read_archive(bytes: &Bytes, name: String) -> Result<Checkpoint, NemoError> {
    let archive = Archive { bytes, entries: tar::entries(bytes)? };
    let text = archive.require(CONFIG)?;
    let text = std::str::from_utf8(&text).map_err(|_| NemoError::ConfigEncoding)?;
    let settings = Settings::new(yaml::parse(text)?);
    let (tensors, ignored) = sort_out(torch::read(&archive.require(WEIGHTS)?)?);
    let shapes: HashMap<&str, Shape> = tensors.iter().map(|t| (t.name.as_str(), t.shape)).collect();
    let (pieces, warnings) = archive.pieces(&settings)?;
    let config = config::read(&settings, &shapes, name, pieces)?;
    Ok(complete(config, tensors, ignored, warnings)?)
}

struct Archive<'a> {
    bytes: &'a Bytes,
    entries: Vec<tar::Entry>,
}

impl Archive<'_> {
    /// The member of this file name, in whatever folder of the archive.
    fn find(&self, name: &str) -> Option<Bytes> {
        let wanted = |entry: &&tar::Entry| entry.name.rsplit('/').next() == Some(name);
        let entry = self.entries.iter().find(wanted)?;
        self.bytes.slice(entry.range.clone())
    }

    fn require(&self, name: &str) -> Result<Bytes, NemoError> {
        self.find(name).ok_or_else(|| {
            let names: Vec<String> =
                self.entries.iter().take(8).map(|entry| format!("{:?}", entry.name)).collect();
            let found = if names.is_empty() { "no files".to_owned() } else { names.join(", ") };
            NemoError::MissingMember { name: name.to_owned(), found }
        })
    }

    /// The vocabulary: the SentencePiece model that the configuration names, any other, or the list of labels.
    fn pieces(&self, settings: &Settings) -> Result<(Vec<String>, Vec<String>), NemoError> {
        let named = settings.text("tokenizer.model_path")?.map(|path| path.trim_start_matches("nemo:"));
        let named = named.and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        let any =
            || self.entries.iter().map(|entry| &entry.name).find(|name| name.ends_with(".model")).cloned();
        if let Some(name) =
            named.filter(|name| name.ends_with(".model") && self.find(name).is_some()).or_else(any)
        {
            let name = name.rsplit('/').next().unwrap_or_default().to_owned();
            let model = self.require(&name)?;
            let pieces = sentencepiece::pieces(&model);
            return Ok((pieces.map_err(|source| NemoError::Tokenizer { name, source })?, Vec::new()));
        }
        for key in ["labels", "joint.vocabulary", "decoder.vocabulary"] {
            if let Some(pieces) = settings.texts(key)?.filter(|list| !list.is_empty()) {
                let warning =
                    format!("no SentencePiece model in the archive; pieces come from {key} of {CONFIG}");
                return Ok((pieces, vec![warning]));
            }
        }
        Err(NemoError::NoVocabulary)
    }
}
