//! A GGUF file as the source of a device's weights.

use mynah_device::{DeviceError, WeightBytes, WeightSource};
use mynah_gguf::GgufFile;
use mynah_graph::WeightSpec;
use std::sync::Arc;

/// The tensors of a mapped GGUF file.
#[derive(Clone, Debug)]
pub struct GgufWeights {
    file: Arc<GgufFile>,
}

impl GgufWeights {
    /// The tensors of `file`.
    pub fn new(file: Arc<GgufFile>) -> Self {
        Self { file }
    }
}

impl WeightSource for GgufWeights {
    fn spec(&self, name: &str) -> Option<WeightSpec> {
        let t = self.file.tensor(name)?;
        Some(WeightSpec { name: name.to_owned(), shape: t.shape, dtype: t.dtype().ok()? })
    }

    fn read(&self, name: &str) -> Result<WeightBytes<'_>, DeviceError> {
        let fail = |reason: String| DeviceError::Weight { name: name.to_owned(), reason };
        let info = self.file.tensor(name).ok_or_else(|| fail("the file has no such tensor".into()))?;
        let dtype = info.dtype().map_err(|e| fail(e.to_string()))?;
        let bytes = self.file.data(info).map_err(|e| fail(e.to_string()))?;
        Ok(WeightBytes { name: &info.name, dtype, shape: info.shape, bytes })
    }

    fn release(&self, name: &str) {
        if let Some(info) = self.file.tensor(name) {
            self.file.release_pages(info);
        }
    }
}
