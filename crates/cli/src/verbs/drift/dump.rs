//! `--dump FILE`: every stage of both sides as safetensors, to look at with other tools.

use super::setting::Setting;
use super::subject::Run;
use anyhow::Context as _;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::path::Path;

/// Writes `a/STAGE` and `b/STAGE` as F32 lists; the settings are in the metadata.
///
/// # Errors
/// A file that can't be written.
pub(super) fn write(path: &Path, a: (&Setting, &Run), b: (&Setting, &Run)) -> anyhow::Result<()> {
    let mut tensors: Vec<(String, usize, Vec<u8>)> = Vec::new();
    for (side, run) in [("a", a.1), ("b", b.1)] {
        for (stage, values) in &run.stages {
            // The values come from f32, so nothing is lost.
            let bytes = values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect();
            tensors.push((format!("{side}/{}", stage.replace(' ', ".")), values.len(), bytes));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, len, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, vec![*len], bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let metadata = HashMap::from([("a".to_owned(), a.0.to_string()), ("b".to_owned(), b.0.to_string())]);
    let bytes = safetensors::serialize(views, Some(metadata))?;
    std::fs::write(path, bytes).with_context(|| format!("can't write {}", path.display()))
}
