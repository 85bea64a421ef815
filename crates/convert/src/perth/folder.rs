//! Where resemble-perth keeps a network: the folder of a run. The installed package has it some levels down, so that the package's
//! folder may be given as well.

use std::fs;
use std::path::{Path, PathBuf};

use super::Perth;
use super::error::PerthError;
use super::layout::{Hparams, assemble};
use crate::bytes::Bytes;
use crate::settings::Settings;
use crate::{torch, yaml};

const HPARAMS: &str = "hparams.yaml";
const ENDING: &str = ".pth.tar";
/// Where the folder lies in the package, from the inside out.
const WITHIN: [&str; 4] =
    ["", "implicit", "perth_net/pretrained/implicit", "perth/perth_net/pretrained/implicit"];
/// Hyperparameters are a few lines.
const MOST_TEXT: u64 = 1 << 16;

/// Whether a path is a checkpoint of PerTh, the folder of one, or the package.
pub(crate) fn is_perth(path: &Path) -> bool {
    if path.is_dir() {
        return folder_of(path).is_some();
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.ends_with(ENDING)
}

fn folder_of(path: &Path) -> Option<PathBuf> {
    let folders = WITHIN.iter().map(|within| path.join(within));
    folders.into_iter().find(|folder| folder.join(HPARAMS).is_file() && latest(folder).is_some())
}

/// The checkpoint of the last step.
fn latest(folder: &Path) -> Option<PathBuf> {
    let step = |path: &Path| {
        let name = path.file_name()?.to_str()?.strip_suffix(ENDING)?;
        name.rsplit('_').next()?.parse::<u64>().ok()
    };
    let paths = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter_map(|path| Some((step(&path)?, path))).max().map(|(_, path)| path)
}

/// Reads a checkpoint with the hyperparameters beside it.
///
/// # Errors
/// [`PerthError`] for a file or tensor that is missing, broken or of another shape than the hyperparameters imply.
pub(crate) fn read(path: &Path, name: Option<&str>) -> Result<Perth, PerthError> {
    let (folder, checkpoint) = if path.is_dir() {
        let folder = folder_of(path).ok_or(PerthError::NoFile { name: HPARAMS })?;
        let checkpoint = latest(&folder).ok_or(PerthError::NoFile { name: "perth_net_STEP.pth.tar" })?;
        (folder, checkpoint)
    } else {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        (folder.unwrap_or(Path::new(".")).to_owned(), path.to_owned())
    };
    let file = checkpoint.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let text = hparams(&folder)?;
    let hparams = Hparams::read(&Settings::new(yaml::parse(&text)?))?;
    let bytes = Bytes::open(&checkpoint).map_err(|source| PerthError::Io { file: file.clone(), source })?;
    let tensors = torch::read_nested(&bytes)
        .map_err(|source| PerthError::Torch { file: file.clone(), source: Box::new(source) })?;
    let inner = tensors.into_iter().filter_map(|mut tensor| {
        tensor.name = tensor.name.strip_prefix("model.")?.to_owned();
        Some(tensor)
    });
    let stem = file.strip_suffix(ENDING).unwrap_or(&file);
    assemble(&hparams, inner.collect(), name.unwrap_or(stem))
}

fn hparams(folder: &Path) -> Result<String, PerthError> {
    let path = folder.join(HPARAMS);
    if !path.is_file() {
        return Err(PerthError::NoFile { name: HPARAMS });
    }
    let refused = |source| PerthError::Io { file: HPARAMS.to_owned(), source };
    let bytes = path.metadata().map_err(refused)?.len();
    if bytes > MOST_TEXT {
        return Err(
            crate::settings::ConfigError::TooLarge { what: "bytes", limit: MOST_TEXT as usize }.into()
        );
    }
    fs::read_to_string(path).map_err(refused)
}
