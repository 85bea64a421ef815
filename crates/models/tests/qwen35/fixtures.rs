//! Cases and references on disk, and a sequence run piece by piece.

use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Policy;
use mynah_gguf::{GgufFile, GgufWriter, Value};
use mynah_models::ModelError;
use mynah_models::qwen35::{LoadOptions, Piece, Qwen35, StateLayout, Wanted};
use mynah_plan::Options;
use mynah_tensor::HostTensor;
use std::path::PathBuf;
use std::sync::Arc;

/// Every case of the manifest.
pub(crate) const CASES: [&str; 6] = ["dense", "tied_odd", "equal_heads", "drafting", "experts", "next"];

/// Tokens of every reference.
pub(crate) const TOKENS: usize = 150;

/// Small pages, so that sequences cross from one to the next.
pub(crate) const PAGE: usize = 16;

/// Pages enough for a whole reference.
pub(crate) const PAGES: usize = TOKENS.div_ceil(PAGE);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/qwen35")
}

pub(crate) fn file(case: &str) -> GgufFile {
    GgufFile::open(root().join(case).join("model.gguf")).unwrap()
}

pub(crate) fn model_with(case: &str, policy: Policy, threads: usize, snapshots: usize) -> Qwen35 {
    model_of(Arc::new(file(case)), policy, threads, snapshots)
}

/// A model of a file made by the test.
pub(crate) fn model_of(file: Arc<GgufFile>, policy: Policy, threads: usize, snapshots: usize) -> Qwen35 {
    let device = CpuDevice::new(CpuOptions { threads: Some(threads), simd: None }).unwrap();
    let options = LoadOptions {
        executor: Options { policy, ..Options::default() },
        layout: StateLayout { page: PAGE, snapshots, ..StateLayout::default() },
        sequences: 3,
        pages: 3 * PAGES,
    };
    Qwen35::load(file, Arc::new(device), None, options).unwrap()
}

pub(crate) fn model(case: &str) -> Qwen35 {
    model_with(case, Policy::exact(), 2, 1)
}

/// Tokens, and the logits `[TOKENS, vocabulary]` that transformers computed of them.
pub(crate) fn reference(case: &str) -> (Vec<u32>, Vec<f32>) {
    let file = GgufFile::open(root().join(case).join("logits.gguf")).unwrap();
    let tokens = file.get_u32_array("ref.tokens").unwrap().unwrap();
    assert_eq!(tokens.len(), TOKENS);
    (tokens, computed(case, "logits"))
}

/// Anything else that was computed of them.
pub(crate) fn computed(case: &str, name: &str) -> Vec<f32> {
    let file = GgufFile::open(root().join(case).join("logits.gguf")).unwrap();
    file.host_tensor(file.tensor(name).unwrap()).unwrap().to_f32()
}

/// A file with the metadata of another, but for what is `set`, and these tensors.
pub(crate) fn written(
    from: &GgufFile,
    set: &[(&str, Value)],
    tensors: &[(String, HostTensor)],
) -> Arc<GgufFile> {
    let mut writer = GgufWriter::new();
    for (key, value) in from.metadata().iter().filter(|(key, _)| !set.iter().any(|(s, _)| s == key)) {
        writer.set(key, value.clone());
    }
    for (key, value) in set {
        writer.set(*key, value.clone());
    }
    for (name, t) in tensors {
        writer.tensor_bytes(name, t.dtype(), t.shape().dims(), t.data()).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    Arc::new(GgufFile::from_bytes(bytes).unwrap())
}

/// All tensors of a case.
pub(crate) fn tensors(case: &str) -> Vec<(String, HostTensor)> {
    let file = file(case);
    file.tensors().iter().map(|t| (t.name.clone(), file.host_tensor(t).unwrap())).collect()
}

/// Pages of a row, none of them another row's, in no order.
pub(crate) fn pages(row: usize) -> Vec<u32> {
    (0..PAGES).map(|i| ((i * 7 + 3) % PAGES * 3 + row) as u32).collect()
}

/// Runs a sequence from its beginning in pieces of these lengths; all logits.
pub(crate) fn run(
    model: &mut Qwen35,
    row: usize,
    tokens: &[u32],
    pieces: &[usize],
) -> Result<Vec<f32>, ModelError> {
    model.reset(row)?;
    resume(model, row, tokens, pieces, 0)
}

/// The same from some tokens on.
pub(crate) fn resume(
    model: &mut Qwen35,
    row: usize,
    tokens: &[u32],
    pieces: &[usize],
    mut past: usize,
) -> Result<Vec<f32>, ModelError> {
    let (pages, mut all) = (pages(row), Vec::new());
    for &n in pieces {
        let tokens = &tokens[past..past + n];
        let piece = Piece { row, pages: &pages, past, snapshot: 0, tokens, wanted: Wanted::All };
        all.extend_from_slice(model.step(&[piece])?);
        past += n;
    }
    Ok(all)
}

/// Energy of the error over that of what is wanted.
pub(crate) fn nmse(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().all(|x| x.is_finite()));
    let energy = |x: f64| x * x;
    let error: f64 = found.iter().zip(wanted).map(|(f, w)| energy(f64::from(*f) - f64::from(*w))).sum();
    error / wanted.iter().map(|&w| energy(f64::from(w))).sum::<f64>()
}
