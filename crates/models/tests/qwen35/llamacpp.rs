//! Files that llama.cpp's converter and quantiser wrote, unmodified, against the logits llama.cpp computes of them
//! (`fixtures/llamacpp`).
//!
//! llama.cpp rounds activations to the partner type of the weights, eight bits for blocks and halves for halves, which
//! the exact policy does not; the limits below are what that costs these narrow models, each about three times what
//! was found.

use crate::fixtures::{model_of, nmse, run};
use mynah_device::Policy;
use mynah_gguf::GgufFile;
use mynah_models::qwen35::Qwen35Config;
use std::path::PathBuf;
use std::sync::Arc;

/// Model, type, file and the error that llama.cpp's rounding may make.
const FILES: [(&str, &str, &str, f64); 10] = [
    ("dense", "F16", "files/dense-F16.gguf", 1e-5),
    ("dense", "BF16", "folders/dense.gguf", 6e-4),
    ("moe", "BF16", "folders/moe.gguf", 2e-3),
    ("next", "BF16", "folders/next.gguf", 5e-5),
    ("wide", "Q8_0", "files/wide-Q8_0.gguf", 1.2e-3),
    ("wide", "Q4_0", "files/wide-Q4_0.gguf", 1.2e-3),
    ("wide", "Q4_K_M", "files/wide-Q4_K_M.gguf", 1.2e-3),
    ("wide", "Q5_K_M", "files/wide-Q5_K_M.gguf", 1.2e-3),
    ("wide", "Q6_K", "files/wide-Q6_K.gguf", 1.2e-3),
    ("wide", "IQ4_NL", "files/wide-IQ4_NL.gguf", 1.2e-3),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/llamacpp")
}

fn tokens(model: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(root().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = manifest["models"][model]["tokens"].as_array().unwrap();
    list.iter().map(|token| token.as_u64().unwrap() as u32).collect()
}

fn reference(name: &str) -> Vec<f32> {
    let file = GgufFile::open(root().join("logits.gguf")).unwrap();
    file.host_tensor(file.tensor(name).unwrap()).unwrap().to_f32()
}

/// The largest of a row and how far the next is.
fn best(row: &[f32]) -> (usize, f32) {
    let largest = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let others = row.iter().enumerate().filter(|(i, _)| *i != largest);
    (largest, row[largest] - others.fold(f32::NEG_INFINITY, |m, (_, &x)| m.max(x)))
}

#[test]
fn every_type_agrees_with_llama_cpp() {
    for (model, dtype, path, limit) in FILES {
        let tokens = tokens(model);
        let wanted = reference(&format!("{model}.{dtype}"));
        let file = Arc::new(GgufFile::open(root().join(path)).unwrap());
        let mut loaded = model_of(file, Policy::exact(), 2, 1);
        let found = run(&mut loaded, 0, &tokens, &[tokens.len()]).unwrap();
        let error = nmse(&found, &wanted);
        assert!(error <= limit, "{path}: {error:e}");
        // What the weights' own rounding costs lies far above what is left between the two programs, so that it
        // is these weights that were read and not something like them.
        let original = nmse(&found, &reference(&format!("{model}.torch")));
        // All but the wide model's weights are BF16 from the beginning.
        let rounding = if model == "wide" { 0.05 } else { 1e-9 };
        assert!(original < rounding, "{path}: {original:e} from transformers");
        let width = wanted.len() / tokens.len();
        let rms = (wanted.iter().map(|x| x * x).sum::<f32>() / wanted.len() as f32).sqrt();
        let mut clear = 0;
        for (found, wanted) in found.chunks(width).zip(wanted.chunks(width)) {
            let (token, margin) = best(wanted);
            if margin > 6.0 * rms * (error.max(limit / 10.0) as f32).sqrt() {
                assert_eq!(best(found).0, token, "{path}");
                clear += 1;
            }
        }
        assert!(clear >= tokens.len() / 3, "{path}: {clear} clear margins");
    }
}

#[test]
fn a_predicting_layer_is_no_layer_of_the_model() {
    let file = GgufFile::open(root().join("folders/dense.gguf")).unwrap();
    let config = Qwen35Config::read(&file).unwrap();
    assert_eq!((config.layers.len(), config.predictors), (4, 1));
    assert!(file.tensor("blk.4.nextn.eh_proj.weight").is_some());
}
