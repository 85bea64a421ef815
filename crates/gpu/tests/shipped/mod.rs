//! The shipped model and its samples.

use mynah_device::{Device, Policy};
use mynah_gguf::GgufFile;
use mynah_models::parakeet::{LoadOptions, Parakeet};
use mynah_plan::Options;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of the repository's `assets`.
pub(crate) fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets").join(name)
}

/// The shipped model on a device that has nothing to fall back to: a step it can't run is an error.
pub(crate) fn model(device: Arc<dyn Device>, policy: Policy) -> Parakeet {
    let file = Arc::new(GgufFile::open(asset("mynah-ears-en-q8_0.gguf")).unwrap());
    let executor = Options { policy, strict: true, ..Options::default() };
    Parakeet::load(file, device, None, LoadOptions { executor, attention: None }).unwrap()
}
