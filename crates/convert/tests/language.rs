//! Language models: random ones, and the types of their tensors against files that llama.cpp's quantiser wrote
//! (`fixtures/llamacpp/files`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mynah_convert::{Options, Target, quantize, random_model};
use mynah_gguf::GgufFile;
use mynah_tensor::DType;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/llamacpp/files").join(name)
}

fn types(path: &Path) -> BTreeMap<String, DType> {
    let file = GgufFile::open(path).unwrap();
    file.tensors().iter().map(|tensor| (tensor.name.clone(), tensor.dtype().unwrap())).collect()
}

#[test]
fn every_tensor_takes_the_type_that_llama_cpp_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.gguf");
    for name in ["Q8_0", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL"] {
        let target: Target = name.parse().unwrap();
        quantize(&fixture("wide-Q8_0.gguf"), &ours, &Options::to(target), &|_| {}).unwrap();
        let mut theirs = types(&fixture(&format!("wide-{name}.gguf")));
        for dtype in theirs.values_mut() {
            // Where rows hold no block of 256; Q5_1 is not written here.
            if *dtype == DType::Q5_1 {
                *dtype = DType::Q8_0;
            }
        }
        assert_eq!(types(&ours), theirs, "{name}");
        let number = |path: &Path| GgufFile::open(path).unwrap().get_u32("general.file_type").unwrap();
        assert_eq!(number(&ours), number(&fixture(&format!("wide-{name}.gguf"))), "{name}");
    }
}

#[test]
fn random_models_have_every_key_that_llama_cpp_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("random.gguf");
    let report = random_model("qwen3.5-tiny+mtp", &path, 1, &Options::to(DType::Q8_0), &|_| {}).unwrap();
    assert_eq!(report.arch, Some("qwen35"));
    let keys = |path: &Path| {
        let file = GgufFile::open(path).unwrap();
        file.metadata().iter().map(|(key, value)| (key.to_owned(), value.value_type())).collect::<Vec<_>>()
    };
    let theirs = keys(&fixture("../folders/dense.gguf"));
    let ours: Vec<_> =
        keys(&path).into_iter().filter(|(key, _)| key != "tokenizer.ggml.add_bos_token").collect();
    assert_eq!(ours, theirs);
    let file = GgufFile::open(&path).unwrap();
    assert_eq!(file.get_u32("qwen35.nextn_predict_layers").unwrap(), Some(1));
    assert!(file.tensor("blk.4.nextn.eh_proj.weight").is_some());
}

#[test]
fn random_models_are_the_same_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    for (name, target) in
        [("qwen3.5-tiny", "Q4_K_M"), ("qwen3.5-moe-tiny", "Q8_0"), ("qwen3-next-tiny", "F16")]
    {
        let make = |file: &str, threads| {
            let path = folder.path().join(file);
            let options =
                Options { threads: Some(threads), ..Options::to(target.parse::<Target>().unwrap()) };
            random_model(name, &path, 3, &options, &|_| {}).unwrap();
            std::fs::read(path).unwrap()
        };
        assert!(make("one.gguf", 1) == make("three.gguf", 3), "{name}");
    }
}

#[test]
fn experts_can_be_microscaled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("experts.gguf");
    random_model("qwen3.5-moe-tiny", &path, 3, &Options::to(DType::Mxfp4), &|_| {}).unwrap();
    for (name, dtype) in types(&path) {
        assert_eq!(dtype == DType::Mxfp4, name.contains("_exps."), "{name}: {dtype}");
        assert!(matches!(dtype, DType::F32 | DType::Q8_0 | DType::Mxfp4), "{name}: {dtype}");
    }
}
