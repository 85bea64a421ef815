//! Files as they occur in the wild: keys missing, labels wrong, tensors that contradict keys.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use mynah_gguf::{GgufFile, GgufWriter, Value};
use mynah_models::ModelError;
use mynah_models::parakeet::{Head, ParakeetConfig};
use std::path::PathBuf;

const CASES: [&str; 9] = [
    "hybrid_tdt_ctc",
    "ctc",
    "rnnt",
    "tdt",
    "tdt_ctc_local",
    "tdt_local_uneven",
    "ctc_layer_norm",
    "hybrid_rnnt_ctc",
    "odd_shapes",
];

fn fixture(case: &str) -> GgufFile {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parakeet");
    GgufFile::open(root.join(case).join("model.gguf")).unwrap()
}

/// A copy of a model with some keys and tensors left out and others set.
fn altered(
    case: &str,
    keep_key: impl Fn(&str) -> bool,
    keep_tensor: impl Fn(&str) -> bool,
    set: &[(&str, Value)],
) -> GgufFile {
    let file = fixture(case);
    let mut writer = GgufWriter::new();
    for (key, value) in
        file.metadata().iter().filter(|(k, _)| keep_key(k) && !set.iter().any(|(s, _)| s == k))
    {
        writer.set(key, value.clone());
    }
    for (key, value) in set {
        writer.set(*key, value.clone());
    }
    for t in file.tensors().iter().filter(|t| keep_tensor(&t.name)) {
        writer.tensor_bytes(&t.name, t.dtype().unwrap(), t.shape.dims(), file.data(t).unwrap()).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    GgufFile::from_bytes(bytes).unwrap()
}

/// What no tensor tells: the tokens' text, and what only the training knew.
fn untold(key: &str) -> bool {
    let told_elsewhere = ["tokenizer.pieces", "encoder.xscaling", "decoding.max_symbols", "tdt.durations"];
    let attention = key.starts_with("parakeet.encoder.att_context") || key.ends_with("self_attention_model");
    key.starts_with("general.") || attention || told_elsewhere.iter().any(|k| key.ends_with(k))
}

#[test]
fn tensors_tell_what_missing_keys_would() {
    for case in CASES {
        let wanted = ParakeetConfig::read(&fixture(case)).unwrap();
        let bare = altered(case, untold, |_| true, &[]);
        assert_eq!(ParakeetConfig::read(&bare).unwrap(), wanted, "{case}");
    }
}

#[test]
fn a_hybrid_label_without_a_ctc_head_is_a_transducer() {
    let label = ("parakeet.arch", Value::from("hybrid_tdt_ctc"));
    let file = altered("tdt", |_| true, |_| true, &[label]);
    assert_eq!(ParakeetConfig::read(&file).unwrap().heads_available(), [Head::Tdt]);
    let file = altered("hybrid_tdt_ctc", |_| true, |t| !t.starts_with("ctc_decoder"), &[]);
    assert_eq!(ParakeetConfig::read(&file).unwrap().heads_available(), [Head::Tdt]);
}

#[test]
fn contradictions_are_named() {
    let refused = |key: &str, value: Value| {
        let file = altered("tdt", |_| true, |_| true, &[(key, value)]);
        ParakeetConfig::read(&file).unwrap_err().to_string()
    };
    let error = refused("parakeet.encoder.n_layers", Value::from(7u32));
    assert_eq!(error, "key 'parakeet.encoder.n_layers' is 7: the tensors say 2");
    assert!(refused("parakeet.blank_id", Value::from(3u32)).contains("parakeet.blank_id"));
    assert!(refused("parakeet.encoder.conv_causal", Value::from(true)).contains("streaming"));
    assert!(refused("general.architecture", Value::from("llama")).contains("'llama'"));
    assert!(refused("parakeet.encoder.d_model", Value::from("wide")).contains("parakeet.encoder.d_model"));
}

#[test]
fn a_missing_tensor_is_named() {
    let file = altered("tdt", |_| true, |t| t != "encoder.pre_encode.out.weight", &[]);
    let error = ParakeetConfig::read(&file).unwrap_err();
    assert!(
        matches!(&error, ModelError::MissingTensor { name } if name == "encoder.pre_encode.out.weight"),
        "{error}"
    );
}
