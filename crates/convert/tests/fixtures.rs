//! Archives that NeMo saved and folders that transformers saved give the same GGUF as the exporter of the oracles,
//! which goes from a live NeMo model through the Python package `gguf`.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use mynah_convert::{InputKind, Options, convert, sniff};
use mynah_gguf::GgufFile;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parakeet")
}

/// Differs by how the file was made.
const OWN_KEYS: [&str; 1] = ["general.name"];

fn compare(case: &str, input: &Path, computed_front_end: bool) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.gguf");
    let report = convert(input, &output, &Options::default(), &|_| {}).unwrap();
    assert!(report.unknown.is_empty(), "{case}: {:?}", report.unknown);
    let (found, wanted) =
        (GgufFile::open(&output).unwrap(), GgufFile::open(fixtures().join(case).join("model.gguf")).unwrap());
    for (key, value) in wanted.metadata().iter().filter(|(key, _)| !OWN_KEYS.contains(key)) {
        assert_eq!(found.metadata().get(key), Some(value), "{case}: {key}");
    }
    let extra: Vec<&str> = found
        .metadata()
        .iter()
        .map(|(key, _)| key)
        .filter(|key| wanted.metadata().get(key).is_none())
        .collect();
    assert!(extra.is_empty(), "{case}: {extra:?}");
    assert_eq!(found.tensors().len(), wanted.tensors().len(), "{case}");
    for tensor in wanted.tensors() {
        let same = found.require(&tensor.name, tensor.shape).unwrap();
        assert_eq!(same.ggml_id, tensor.ggml_id, "{case}: {}", tensor.name);
        let (a, b) = (found.host_tensor(same).unwrap(), wanted.host_tensor(tensor).unwrap());
        if computed_front_end && tensor.name.starts_with("preprocessor.") {
            let off = a.to_f32().iter().zip(b.to_f32()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= 6e-8, "{case}: {} differs by {off}", tensor.name);
        } else {
            assert!(a == b, "{case}: {}", tensor.name);
        }
    }
}

fn archive(case: &str) {
    let path = fixtures().join(case).join("model.nemo");
    assert_eq!(sniff(&path).unwrap(), InputKind::Nemo);
    compare(case, &path, false);
}

fn folder(case: &str) {
    let path = fixtures().join(case).join("hf");
    assert_eq!(sniff(&path).unwrap(), InputKind::HfFolder);
    compare(case, &path, true);
}

#[test]
fn nemo_ctc() {
    archive("ctc");
}

#[test]
fn nemo_rnnt() {
    archive("rnnt");
}

#[test]
fn nemo_hybrid_with_local_attention() {
    archive("tdt_ctc_local");
}

#[test]
fn transformers_ctc() {
    folder("ctc");
}

#[test]
fn transformers_rnnt() {
    folder("rnnt");
}

#[test]
fn transformers_tdt() {
    folder("tdt");
}
