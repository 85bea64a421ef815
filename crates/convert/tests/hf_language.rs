//! Folders of language models against the files that llama.cpp's converter makes of them (`fixtures/llamacpp/folders`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mynah_convert::hf::{HfError, TensorsError, TokensError, WeightsError, language};
use mynah_convert::{ConfigError, ConvertError, Options, Rules, convert};
use mynah_gguf::{GgufFile, Value};
use mynah_tensor::DType;
use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::json;

const FOLDERS: [&str; 3] = ["dense", "moe", "next"];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/llamacpp/folders").join(name)
}

fn converted(folder: &Path, dtype: DType) -> GgufFile {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("ours.gguf");
    convert(folder, &path, &Options::to(dtype), &|_| {}).unwrap();
    GgufFile::open(&path).unwrap()
}

/// A copy of a folder that can be broken.
fn copy(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::write(copy.path().join(path.file_name().unwrap()), fs::read(&path).unwrap()).unwrap();
    }
    copy
}

/// Changes a JSON file of a folder.
fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join(file);
    let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

/// Writes a folder's only weights file anew, with some tensors left out and others added.
fn reweigh(folder: &Path, without: &str, with: &[(&str, &str)]) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<(String, TensorView<'_>)> =
        whole.tensors().into_iter().filter(|(name, _)| name != without).collect();
    for (name, like) in with {
        tensors.push(((*name).to_owned(), whole.tensor(like).unwrap()));
    }
    let written = safetensors::serialize(tensors, None).unwrap();
    fs::write(path, written).unwrap();
}

fn refused(folder: &Path) -> HfError {
    language::read(folder).unwrap_err()
}

#[test]
fn keys_are_those_of_llama_cpp() {
    for name in FOLDERS {
        let (ours, theirs) = (
            converted(&fixture(name), DType::BF16),
            GgufFile::open(fixture(&format!("{name}.gguf"))).unwrap(),
        );
        // llama.cpp guesses a name out of the folder's.
        let keys = |file: &GgufFile| -> Vec<(String, Value)> {
            let all = file.metadata().iter().filter(|(key, _)| *key != "general.name");
            all.map(|(key, value)| (key.to_owned(), value.clone())).collect()
        };
        assert_eq!(keys(&ours), keys(&theirs), "{name}");
    }
}

#[test]
fn tensors_are_those_of_llama_cpp() {
    for name in FOLDERS {
        let (ours, theirs) = (
            converted(&fixture(name), DType::BF16),
            GgufFile::open(fixture(&format!("{name}.gguf"))).unwrap(),
        );
        let names =
            |file: &GgufFile| file.tensors().iter().map(|t| t.name.clone()).collect::<BTreeSet<String>>();
        assert_eq!(names(&ours), names(&theirs), "{name}");
        for wanted in theirs.tensors() {
            let found = ours.tensor(&wanted.name).unwrap();
            let tensor = &wanted.name;
            assert_eq!(found.shape, wanted.shape, "{name} {tensor}");
            assert_eq!(found.dtype().unwrap(), wanted.dtype().unwrap(), "{name} {tensor}");
            let (found, wanted) = (ours.data(found).unwrap(), theirs.data(wanted).unwrap());
            if tensor.ends_with("ssm_a") {
                // Two exponential functions may differ in the last bit.
                let floats = |bytes: &[u8]| -> Vec<f32> {
                    bytes.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
                };
                for (found, wanted) in floats(found).into_iter().zip(floats(wanted)) {
                    assert!((found / wanted - 1.0).abs() < 2e-7, "{name} {tensor}: {found} for {wanted}");
                }
            } else {
                assert!(found == wanted, "{name} {tensor} differs");
            }
        }
    }
}

#[test]
fn types_and_threads() {
    let scratch = tempfile::tempdir().unwrap();
    let make = |file: &str, threads| {
        let path = scratch.path().join(file);
        let options = Options { threads: Some(threads), ..Options::to(DType::Q8_0) };
        let report = convert(&fixture("moe"), &path, &options, &|_| {}).unwrap();
        assert_eq!(report.arch, Some("qwen35moe"));
        (fs::read(&path).unwrap(), GgufFile::open(&path).unwrap())
    };
    let (one, file) = make("one.gguf", 1);
    assert!(one == make("three.gguf", 3).0);
    let dtype = |name: &str| file.tensor(name).unwrap().dtype().unwrap();
    assert_eq!(dtype("token_embd.weight"), DType::Q8_0);
    assert_eq!(dtype("blk.0.ffn_up_exps.weight"), DType::Q8_0);
    // 16 values are no block.
    assert_eq!(dtype("blk.0.ffn_down_exps.weight"), DType::F16);
    assert_eq!(dtype("blk.0.ffn_gate_inp.weight"), DType::F32);
    let path = scratch.path().join("kept.gguf");
    let rules = Rules { keep: vec!["*attn*".into()], ..Rules::default() };
    let options = Options { rules, name: Some("odd".to_owned()), ..Options::to(DType::F16) };
    convert(&fixture("dense"), &path, &options, &|_| {}).unwrap();
    let file = GgufFile::open(&path).unwrap();
    assert_eq!(file.tensor("blk.0.attn_qkv.weight").unwrap().dtype().unwrap(), DType::F32);
    assert_eq!(file.get_str("general.name").unwrap(), Some("odd"));
}

#[test]
fn the_part_for_pictures_is_left_out_and_said() {
    let model = language::read(&fixture("dense")).unwrap();
    let names: Vec<&str> = model.ignored.iter().map(|ignored| ignored.name.as_str()).collect();
    assert_eq!(names, ["model.visual.patch_embed.proj.weight"]);
    assert_eq!((model.config.layers, model.config.predicting, model.config.tied), (4, 1, false));
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    const UP: &str = "model.language_model.layers.1.mlp.up_proj.weight";
    let folder = copy("dense");
    reweigh(folder.path(), UP, &[]);
    match refused(folder.path()) {
        HfError::Tensors(TensorsError::Missing { name, file_name }) => {
            assert_eq!(
                (name.as_str(), file_name.as_str()),
                ("layers.1.mlp.up_proj.weight", "blk.1.ffn_up.weight")
            );
        }
        other => panic!("{other}"),
    }
    let folder = copy("dense");
    reweigh(folder.path(), UP, &[(UP, "lm_head.weight")]);
    let error = refused(folder.path());
    assert!(
        matches!(&error, HfError::Tensors(TensorsError::WrongShape { name, .. }) if name == UP),
        "{error}"
    );
    let folder = copy("dense");
    reweigh(folder.path(), "", &[("model.layers.1.mlp.odd", UP)]);
    let error = refused(folder.path());
    assert!(error.to_string().contains("model.layers.1.mlp.odd"), "{error}");
    let folder = copy("dense");
    reweigh(folder.path(), "", &[("model.layers.1.mlp.up_proj.weight", UP)]);
    assert!(matches!(refused(folder.path()), HfError::Tensors(TensorsError::Duplicate { .. })));
    // A shard that is not there, and one outside the folder.
    let folder = copy("moe");
    fs::remove_file(folder.path().join("model-00002-of-00003.safetensors")).unwrap();
    assert!(refused(folder.path()).to_string().contains("model-00002-of-00003.safetensors"));
    edit(folder.path(), "model.safetensors.index.json", |index| {
        index["weight_map"]["lm_head.weight"] = json!("../x.safetensors");
    });
    assert!(matches!(refused(folder.path()), HfError::Weights(WeightsError::ShardName { .. })));
    // A head that is missing makes the embedding the head.
    let folder = copy("dense");
    reweigh(folder.path(), "lm_head.weight", &[]);
    assert!(language::read(folder.path()).unwrap().config.tied);
}

#[test]
fn configurations_that_do_not_fit_are_named() {
    let text = |name: &str| format!("/text_config/{name}");
    for (pointer, value, word) in [
        (text("hidden_size"), json!(48), "shape"),
        (text("hidden_size"), json!(0), "hidden_size"),
        (text("num_hidden_layers"), json!("many"), "num_hidden_layers"),
        (text("num_hidden_layers"), json!(1_000_000_000), "num_hidden_layers"),
        (text("num_hidden_layers"), json!(3), "layer_types"),
        (text("linear_num_value_heads"), json!(3), "linear_num_value_heads"),
        (text("linear_value_head_dim"), json!(16), "linear_value_head_dim"),
        (text("vocab_size"), json!(200_000_000), "embed_tokens"),
        (text("vocab_size"), serde_json::Value::Null, "vocab_size"),
        (text("hidden_act"), json!("gelu"), "hidden_act"),
        (text("attention_bias"), json!(true), "attention_bias"),
        (text("rope_parameters"), json!({"rope_type": "yarn", "rope_theta": 1e7}), "yarn"),
        (text("rope_parameters"), json!({}), "rope_theta"),
        (
            text("layer_types"),
            json!(["linear_attention", "sliding_attention", "x", "y"]),
            "sliding_attention",
        ),
    ] {
        let folder = copy("dense");
        edit(folder.path(), "config.json", |config| *config.pointer_mut(&pointer).unwrap() = value);
        let error = refused(folder.path()).to_string();
        assert!(error.contains(word), "{pointer}: {error}");
    }
    // As Qwen3-Next's first configurations have it.
    let folder = copy("next");
    let before = language::read(folder.path()).unwrap().config;
    edit(folder.path(), "config.json", |config| {
        config.as_object_mut().unwrap().remove("rope_parameters").unwrap();
        (config["rope_theta"], config["partial_rotary_factor"]) = (json!(1e7), json!(0.25));
        config["rope_scaling"] = serde_json::Value::Null;
    });
    let after = language::read(folder.path()).unwrap().config;
    assert_eq!((after.theta, after.rotary), (before.theta, before.rotary));
    edit(folder.path(), "config.json", |config| {
        config["rope_scaling"] = json!({"type": "yarn", "factor": 4.0});
    });
    assert!(refused(folder.path()).to_string().contains("rope_scaling.type"));
    let folder = copy("moe");
    edit(folder.path(), "config.json", |config| {
        config["quantization_config"] = json!({"quant_method": "fp8"});
    });
    assert!(matches!(refused(folder.path()), HfError::Config(ConfigError::Unsupported { .. })));
    // Another kind of model is told which there are, and leaves no file.
    edit(folder.path(), "config.json", |config| config["model_type"] = json!("llama"));
    let output = folder.path().join("out.gguf");
    let error = convert(folder.path(), &output, &Options::default(), &|_| {}).unwrap_err();
    assert!(matches!(error, ConvertError::Hf { .. }) && !output.exists(), "{error}");
    assert!(error.to_string().contains("llama"), "{error}");
}

#[test]
fn tokenizers_that_do_not_fit_are_named() {
    let folder = copy("next");
    edit(folder.path(), "tokenizer.json", |tokenizer| tokenizer["model"]["vocab"]["far"] = json!(9999));
    let error = refused(folder.path());
    assert!(
        matches!(&error, HfError::Tokens(TokensError::Outside { token, .. }) if token == "far"),
        "{error}"
    );
    edit(folder.path(), "tokenizer.json", |tokenizer| tokenizer["model"]["type"] = json!("Unigram"));
    assert!(matches!(refused(folder.path()), HfError::Tokens(TokensError::Kind { key: "model.type", .. })));
    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(matches!(refused(folder.path()), HfError::Tokens(TokensError::None)));
    let folder = copy("next");
    fs::remove_file(folder.path().join("chat_template.jinja")).unwrap();
    assert_eq!(language::read(folder.path()).unwrap().vocabulary.template, None);
    edit(folder.path(), "tokenizer_config.json", |settings| settings["chat_template"] = json!("{{ x }}"));
    assert_eq!(language::read(folder.path()).unwrap().vocabulary.template.as_deref(), Some("{{ x }}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is changed in a folder, reading ends in a model or an error, and so does reading its tensors.
    #[test]
    fn damaged_folders(changes in prop::collection::vec((0usize..4, any::<usize>(), any::<u8>()), 1..4)) {
        let folder = copy("next");
        for (file, at, value) in changes {
            let file = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"][file];
            let path = folder.path().join(file);
            let mut bytes = fs::read(&path).unwrap();
            // Of the weights it is the header that decides.
            let at = at % bytes.len().min(12_000);
            bytes[at] = value;
            fs::write(&path, bytes).unwrap();
        }
        if let Ok(model) = language::read(folder.path()) {
            for tensor in &model.tensors {
                let mut values = vec![0.0; tensor.shape.numel()];
                let _ = tensor.source.read(0, &mut values);
            }
        }
    }
}
