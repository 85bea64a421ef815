//! Hugging Face folders: shards, both places of the front-end settings, and what is wrong with bad ones.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use mynah_convert::hf::{HfError, WeightsError, read};
use mynah_convert::parakeet::CheckError;
use mynah_convert::{ConfigError, Options, convert};
use safetensors::SafeTensors;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parakeet/ctc/hf")
}

/// A copy of the fixture that can be broken.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn replace(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn shards_give_the_same_file() {
    let folder = copy();
    let single = folder.path().join("model.safetensors");
    let bytes = fs::read(&single).unwrap();
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    let names: Vec<&str> = whole.names();
    let mut map = serde_json::Map::new();
    for (shard, names) in names.chunks(names.len() / 3 + 1).enumerate() {
        let file = format!("model-0000{}-of-00003.safetensors", shard + 1);
        let views = names.iter().map(|&name| (name, whole.tensor(name).unwrap()));
        safetensors::serialize_to_file(views, None, &folder.path().join(&file)).unwrap();
        map.extend(names.iter().map(|&name| (name.to_owned(), file.clone().into())));
    }
    fs::remove_file(single).unwrap();
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let (a, b) = (folder.path().join("a.gguf"), folder.path().join("b.gguf"));
    let options = Options { name: Some("same".to_owned()), ..Options::default() };
    convert(&fixture(), &a, &options, &|_| {}).unwrap();
    convert(folder.path(), &b, &options, &|_| {}).unwrap();
    assert!(fs::read(a).unwrap() == fs::read(b).unwrap());
    // A shard somewhere else is not followed.
    let elsewhere = serde_json::json!({"weight_map": {"x": "../secret.safetensors"}});
    fs::write(folder.path().join("model.safetensors.index.json"), elsewhere.to_string()).unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(matches!(error, HfError::Weights(WeightsError::ShardName { .. })), "{error}");
}

#[test]
fn front_end_settings_are_found_in_either_file() {
    let folder = copy();
    let nested = read(folder.path()).unwrap();
    let processor: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("processor_config.json")).unwrap()).unwrap();
    let mut features = processor["feature_extractor"].clone();
    features["preemphasis"] = 0.5.into();
    fs::remove_file(folder.path().join("processor_config.json")).unwrap();
    let none = read(folder.path()).unwrap();
    assert_eq!(none.config.features, nested.config.features);
    assert_eq!((none.warnings.len(), nested.warnings.len()), (1, 0));
    fs::write(folder.path().join("preprocessor_config.json"), features.to_string()).unwrap();
    assert_eq!(read(folder.path()).unwrap().config.features.preemph, 0.5);
}

#[test]
fn bad_folders_name_the_thing() {
    let broken = |file: &str, from: &str, to: &str| {
        let folder = copy();
        replace(folder.path(), file, from, to);
        read(folder.path()).unwrap_err()
    };
    let error = broken("config.json", "parakeet_ctc", "whisper");
    assert!(
        matches!(&error, HfError::Config(ConfigError::Unsupported { key, .. }) if key == "model_type"),
        "{error}"
    );
    let error = broken("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    assert!(matches!(error, HfError::Check(CheckError::Missing { .. })), "{error}");
    let error = broken("config.json", "\"hidden_size\": 32", "\"hidden_size\": 48");
    assert!(matches!(error, HfError::Check(CheckError::WrongShape { .. })), "{error}");
    let error = broken("config.json", "\"pad_token_id\": ", "\"pad_token_id\": 1");
    assert!(matches!(error, HfError::Config(ConfigError::Unsupported { .. })), "{error}");
    let error = broken("config.json", "{", "{{");
    assert!(matches!(error, HfError::Config(ConfigError::Json { .. })), "{error}");
    let error = broken("tokenizer.json", "\"vocab\"", "\"words\"");
    assert!(error.to_string().contains("model.vocab"), "{error}");
    let folder = copy();
    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(read(folder.path()).unwrap_err().to_string().contains("tokenizer.model"));
    fs::copy(fixture().join("../../tokenizer/tokenizer.model"), folder.path().join("tokenizer.model"))
        .unwrap();
    assert_eq!(read(folder.path()).unwrap().config.pieces, read(&fixture()).unwrap().config.pieces);
    let weights = folder.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 1]).unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(matches!(error, HfError::Weights(WeightsError::Format { .. })), "{error}");
    fs::remove_file(weights).unwrap();
    assert!(matches!(read(folder.path()), Err(HfError::Weights(WeightsError::None))));
}
