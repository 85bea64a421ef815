//! Errors of the three commands; readers have their own, which these wrap with the file's name.

use std::io;
use std::path::PathBuf;

use mynah_gguf::GgufError;
use mynah_tensor::DType;

use crate::chatterbox::ChatterboxError;
use crate::hf::HfError;
use crate::nemo::NemoError;
use crate::perth::PerthError;
use crate::quantize::Target;
use crate::random::UnknownShape;

/// Why a conversion failed.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The input cannot be looked at.
    #[error("{}: {source}", path.display())]
    Io {
        /// The input.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The input is nothing that is read here.
    #[error("{}: {what}", path.display())]
    UnknownInput {
        /// The input.
        path: PathBuf,
        /// What it looks like and what would do.
        what: &'static str,
    },
    /// A `.nemo` archive is broken, hostile or of another model.
    #[error("{}: {source}", path.display())]
    Nemo {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<NemoError>,
    },
    /// A Hugging Face folder is broken or of another model.
    #[error("{}: {source}", path.display())]
    Hf {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<HfError>,
    },
    /// A folder of Chatterbox is broken or lacks a file.
    #[error("{}: {source}", path.display())]
    Chatterbox {
        /// The folder, or the T3 in it.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ChatterboxError>,
    },
    /// A PerTh watermark is broken or lacks a file.
    #[error("{}: {source}", path.display())]
    Perth {
        /// The folder, or the checkpoint in it.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<PerthError>,
    },
    /// A finished file cannot get its name.
    #[error("{}: {source}", path.display())]
    Rename {
        /// The name.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading or writing GGUF.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// No such random model.
    #[error(transparent)]
    Shape(#[from] UnknownShape),
    /// A target type that can only be read.
    #[error("tensors can be read as {dtype} but not written; {} can", Target::NAMES)]
    Encoder {
        /// The type asked for.
        dtype: DType,
    },
    /// The threads asked for cannot be started.
    #[error("starting threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}
