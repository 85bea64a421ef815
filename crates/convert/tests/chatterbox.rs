//! Chatterbox checkpoints to GGUF: the same keys and tensors as chatterbox.cpp's converters write
//! (oracles/chatterbox_convert.py), random models of the released shapes, and which tensor takes which type.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mynah_convert::{ConvertReport, InputKind, Options, convert, quantize, random_model, sniff};
use mynah_gguf::{GgufFile, Value};
use mynah_tensor::{DType, decode_row};
use mynah_text::speech::{Blank, FrontEnd};
use serde_json::Value as Json;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chatterbox/convert").join(name)
}

/// Converts a fixture; the two files.
fn converted(folder: &Path, name: &str, dtype: DType) -> (ConvertReport, GgufFile, GgufFile) {
    let out = folder.join(format!("{name}.gguf"));
    let report = convert(&fixture(name), &out, &Options::to(dtype), &|_| {}).unwrap();
    let open = |part: &str| GgufFile::open(folder.join(format!("{name}-{part}.gguf"))).unwrap();
    (report, open("t3"), open("s3gen"))
}

fn expected(name: &str) -> Json {
    let text = std::fs::read_to_string(fixture(name).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn values(file: &GgufFile, name: &str) -> Vec<f32> {
    let info = file.tensor(name).unwrap_or_else(|| panic!("no tensor {name}"));
    let mut values = vec![0.0; info.shape.numel()];
    decode_row(info.dtype().unwrap(), file.data(info).unwrap(), &mut values).unwrap();
    values
}

/// Plain, absolute, and weighted by a ramp of period 997, as the oracle has them.
fn sums(values: &[f32]) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for (at, &value) in values.iter().enumerate() {
        let value = f64::from(value);
        sums[0] += value;
        sums[1] += value.abs();
        sums[2] += value * ((at % 997 + 1) as f64 / 997.0);
    }
    sums
}

fn same_tensors(file: &GgufFile, expected: &Json, name: &str) {
    let tensors = expected["tensors"].as_object().unwrap();
    let ours: BTreeSet<&str> = file.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    let theirs: BTreeSet<&str> = tensors.keys().map(String::as_str).collect();
    assert_eq!(ours, theirs, "{name}");
    for (tensor, wanted) in tensors {
        // Theirs have as many bands as the released models; ours as many as the encoder takes.
        if !BANKS.contains(&tensor.as_str()) {
            same_tensor(file, tensor, wanted);
        }
    }
}

/// Filter banks of encoders, which the tiny checkpoints have narrower.
const BANKS: [&str; 2] = ["voice_encoder/mel_fb", "campplus/mel_fb_kaldi_80"];

fn same_tensor(file: &GgufFile, tensor: &str, wanted: &Json) {
    let shape: Vec<u64> = file.tensor(tensor).unwrap().shape.dims().iter().map(|&n| n as u64).collect();
    assert_eq!(Json::from(shape), wanted["shape"], "{tensor}");
    let found = sums(&values(file, tensor));
    // Half precision where theirs is; sums of many are better than any one of them.
    let relative = if wanted["type"] == "F16" { 1e-3 } else { 1e-5 };
    let scale = wanted["sums"][1].as_f64().unwrap();
    for (found, wanted) in found.iter().zip(wanted["sums"].as_array().unwrap()) {
        let wanted = wanted.as_f64().unwrap();
        assert!((found - wanted).abs() <= relative * scale + 1e-7, "{tensor} {found} {wanted}");
    }
}

/// Keys whose values are words about the file, and those that the oracle shortened.
const WORDS: [&str; 6] = [
    "general.name",
    "general.description",
    "chatterbox.quantization",
    "s3gen.quantization",
    "tokenizer.ggml.mtl_json",
    "tokenizer.ggml.mtl_cangjie",
];

/// Types always, values but for `except`.
fn same_keys(file: &GgufFile, expected: &Json, except: &[&str]) {
    for (key, wanted) in expected["keys"].as_object().unwrap() {
        let found = file.metadata().get(key).unwrap_or_else(|| panic!("no key {key}"));
        assert_eq!(
            Json::from(format!("{:?}", found.value_type()).to_uppercase()),
            upper(&wanted[0]),
            "{key}"
        );
        if WORDS.contains(&key.as_str()) || except.iter().any(|prefix| key.starts_with(prefix)) {
            continue;
        }
        let (found, wanted) = (plain(found), &wanted[1]);
        match (found.as_f64(), wanted.as_f64()) {
            (Some(found), Some(wanted)) => {
                assert!((found - wanted).abs() <= 1e-6 * wanted.abs(), "{key}: {found} {wanted}");
            }
            _ => assert_eq!(&found, wanted, "{key}"),
        }
    }
}

fn upper(name: &Json) -> Json {
    // The package says UINT32 where Rust says U32.
    let name = name.as_str().unwrap();
    let short = name.replace("UINT", "U").replace("INT", "I").replace("FLOAT", "F");
    Json::from(short)
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Bool(flag) => (*flag).into(),
        Value::String(text) => text.as_str().into(),
        Value::F32(number) => f64::from(*number).into(),
        Value::Array(array) => serde_json::json!({"items": array.len()}),
        other => i64::try_from(other.as_integer().unwrap()).unwrap().into(),
    }
}

#[test]
fn the_same_as_chatterbox_cpp_s_converters() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mtl", "turbo"] {
        assert_eq!(sniff(&fixture(name)).unwrap(), InputKind::Chatterbox);
        let (report, t3, s3gen) = converted(folder.path(), name, DType::F32);
        let expected = expected(name);
        same_tensors(&t3, &expected["t3"], name);
        same_tensors(&s3gen, &expected["s3gen"], name);
        // Sizes of the voice encoder are constants in theirs and those of the tensors in ours.
        same_keys(&t3, &expected["t3"], &["voice_encoder."]);
        same_keys(&s3gen, &expected["s3gen"], &["s3gen.", "campplus.", "s3tokv2."]);
        assert_eq!(report.files.len(), 2);
        assert!(report.report.warnings.is_empty(), "{:?}", report.report.warnings);
        let left: BTreeSet<&str> = report.ignored.iter().map(|ignored| ignored.why).collect();
        assert!(!left.contains("not part of the model"), "{:?}", report.ignored);
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left % 2, 0, "nothing but the two files is left");
        assert!(t3.metadata().get("tokenizer.ggml.mtl_cangjie").is_some() == (name == "mtl"));
    }
}

#[test]
fn half_precision_has_their_types_in_t3() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mtl", "turbo"] {
        let (_, t3, _) = converted(folder.path(), name, DType::F16);
        let expected = expected(name);
        let mut other = BTreeMap::new();
        for tensor in t3.tensors() {
            let (ours, theirs) = (tensor.dtype().unwrap(), &expected["t3"]["tensors"][&tensor.name]["type"]);
            if theirs.as_str() != Some(&ours.to_string()) {
                other.insert(tensor.name.as_str(), (ours, theirs.clone()));
            }
        }
        // Their perceiver is F32 until it is quantised.
        let perceiver = |name: &str| name.starts_with("chatterbox/perceiver/attn/") && name.ends_with("/w");
        assert!(other.keys().all(|name| perceiver(name)), "{other:?}");
    }
}

#[test]
fn converted_texts_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, language) in [("mtl", Some("zh")), ("turbo", None)] {
        let (_, t3, _) = converted(folder.path(), name, DType::F32);
        let front_end = FrontEnd::from_metadata(t3.metadata()).unwrap();
        let ids = front_end.tokens("hello [laugh] 我能", language, Blank::Refuse).unwrap().ids;
        assert!(ids.len() > 5, "{ids:?}");
    }
}

#[test]
fn a_random_model_has_the_released_keys_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("random");
    for (shape, name, t3_tensors, s3gen_tensors) in
        [("chatterbox-mtl", "mtl", 308, 2048), ("chatterbox-nano", "turbo", 170, 2049)]
    {
        random_model(shape, &out, 1, &Options::to(DType::Q4_0), &|_| {}).unwrap();
        let (t3, s3gen) = (folder.path().join("random-t3.gguf"), folder.path().join("random-s3gen.gguf"));
        let (t3, s3gen) = (GgufFile::open(t3).unwrap(), GgufFile::open(s3gen).unwrap());
        assert_eq!((t3.tensors().len(), s3gen.tensors().len()), (t3_tensors, s3gen_tensors), "{shape}");
        let expected = expected(name);
        // Now the sizes are the true ones, and so are all of S3Gen's; but not of the voice and the tiny T3.
        same_keys(&s3gen, &expected["s3gen"], &["s3gen.builtin."]);
        let voice: Vec<&str> = expected["t3"]["keys"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .filter(|key| !key.starts_with("voice_encoder."))
            .collect();
        same_keys(&t3, &expected["t3"], &voice);
        assert_eq!(t3.get_u32("chatterbox.n_embd").unwrap(), Some(if name == "mtl" { 1024 } else { 768 }));
        for (file, part, bank) in [(&t3, "t3", BANKS[0]), (&s3gen, "s3gen", BANKS[1])] {
            same_tensor(file, bank, &expected[part]["tensors"][bank]);
        }
        let front_end = FrontEnd::from_metadata(t3.metadata()).unwrap();
        assert!(front_end.tokens("Some words.", Some("en"), Blank::Refuse).unwrap().unknown.is_empty());
        assert_eq!(values(&s3gen, "s3gen/builtin/prompt_token").len(), 250);
        std::fs::remove_file(folder.path().join("random-t3.gguf")).unwrap();
        std::fs::remove_file(folder.path().join("random-s3gen.gguf")).unwrap();
    }
}

#[test]
fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |skip: &[&str]| {
        let to = folder.path().join("checkpoint");
        let _ = std::fs::remove_dir_all(&to);
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(fixture("mtl")).unwrap() {
            let entry = entry.unwrap();
            if !skip.contains(&entry.file_name().to_str().unwrap()) {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        to
    };
    let out = folder.path().join("out.gguf");
    let run = |from: &Path| convert(from, &out, &Options::default(), &|_| {});
    for (file, part) in [
        ("s3gen.pt", "no s3gen.safetensors or s3gen.pt"),
        ("grapheme_mtl_merged_expanded_v1.json", "grapheme_mtl_merged_expanded_v1.json"),
    ] {
        let error = run(&copy(&[file])).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let report = run(&copy(&["conds.pt", "ve.pt", "Cangjie5_TC.json"])).unwrap();
    let warnings = report.report.warnings.join("\n");
    assert!(["conds.pt", "ve.pt", "Chinese"].iter().all(|part| warnings.contains(part)), "{warnings}");
    // Another T3 beside it is named, and taken when it is asked for.
    let both = copy(&[]);
    std::fs::copy(both.join("t3_mtl23ls_v2.safetensors"), both.join("t3_mtl23ls_v3.safetensors")).unwrap();
    assert!(run(&both).unwrap().report.warnings[0].contains("t3_mtl23ls_v3"));
    assert!(run(&both.join("t3_mtl23ls_v3.safetensors")).unwrap().report.warnings.is_empty());
    let cut = std::fs::read(both.join("s3gen.pt")).unwrap();
    std::fs::write(both.join("s3gen.pt"), &cut[..cut.len() / 2]).unwrap();
    let error = run(&both).unwrap_err().to_string();
    assert!(error.contains("s3gen.pt"), "{error}");
    std::fs::write(both.join("conds.pt"), &cut).unwrap();
    assert!(run(&both).is_err());
}

#[test]
fn quantising_says_so_in_the_file_and_keeps_what_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, s3gen) = converted(folder.path(), "mtl", DType::F32);
    drop(s3gen);
    let out = folder.path().join("small.gguf");
    for (part, key) in [("t3", "chatterbox.quantization"), ("s3gen", "s3gen.quantization")] {
        let from = folder.path().join(format!("mtl-{part}.gguf"));
        let report = quantize(&from, &out, &Options::to(DType::Q8_0), &|_| {}).unwrap();
        let file = GgufFile::open(&out).unwrap();
        assert_eq!(file.get_str(key).unwrap(), Some("q8_0"));
        for tensor in &report.tensors {
            let vector = tensor.shape.rank() < 2;
            let kept =
                ["builtin", "mel_fb", "voice_encoder", "campplus", "pos_", "alpha", "affine", "_query"];
            if vector || kept.iter().any(|part| tensor.name.contains(part)) {
                assert_eq!(tensor.to, tensor.from, "{}", tensor.name);
            }
            if tensor.name.starts_with("s3tokv2/") {
                assert!(!tensor.to.is_quantized(), "{}", tensor.name);
            }
        }
    }
    let report = quantize(&folder.path().join("mtl-t3.gguf"), &out, &Options::to(DType::Q8_0), &|_| {});
    let types: BTreeMap<String, DType> =
        report.unwrap().tensors.into_iter().map(|tensor| (tensor.name, tensor.to)).collect();
    assert_eq!(types["model/h0/mlp/gate/w"], DType::Q8_0, "a gate is no gain");
    assert_eq!(types["chatterbox/speech_emb"], DType::F16);
    assert_eq!(types["chatterbox/speech_head"], DType::Q8_0);
}
