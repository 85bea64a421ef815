//! A tiny language model with words: a random model of `fixtures/qwen35` with the vocabulary and the template of `fixtures/text`.

use mynah_gguf::{GgufFile, GgufWriter};
use mynah_tensor::{DType, Rng};
use std::path::Path;

/// Tokens that the model has beyond its tokenizer's.
const SURPLUS: usize = 11;

/// Writes the model into a folder under that name, `keys` changed or, with `None`, left out.
pub(crate) fn write(folder: &Path, name: &str, seed: u64, keys: &[(&str, Option<mynah_gguf::Value>)]) {
    write_case(folder, name, "tied_odd", seed, keys);
}

/// The same from any of the random models.
pub(crate) fn write_case(
    folder: &Path,
    name: &str,
    case: &str,
    seed: u64,
    keys: &[(&str, Option<mynah_gguf::Value>)],
) {
    let open = |name: &str| GgufFile::open(super::fixture(name)).unwrap();
    let (model, words) = (open(&format!("qwen35/{case}/model.gguf")), open("text/qwen35.gguf"));
    let mut writer = GgufWriter::new();
    for (key, value) in model.metadata().iter().chain(words.metadata().iter()) {
        if !keys.iter().any(|(changed, _)| *changed == key) {
            writer.set(key, value.clone());
        }
    }
    for (key, value) in keys {
        if let Some(value) = value {
            writer.set(*key, value.clone());
        }
    }
    let vocabulary = words.get_str_array("tokenizer.ggml.tokens").unwrap().unwrap().len() + SURPLUS;
    let of_tokens = ["token_embd.weight", "output.weight"];
    for tensor in model.tensors() {
        if !of_tokens.contains(&tensor.name.as_str()) {
            let data = model.data(tensor).unwrap();
            writer
                .tensor_bytes(tensor.name.clone(), tensor.dtype().unwrap(), tensor.shape.dims(), data)
                .unwrap();
        }
    }
    let width = model.get_usize("qwen35.embedding_length").unwrap().unwrap();
    for name in of_tokens.into_iter().filter(|name| model.tensors().iter().any(|t| t.name == *name)) {
        let mut rows = vec![0.0; vocabulary * width];
        Rng::new(seed).fill_normal(&mut rows, 0.4);
        let bytes: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
        writer.tensor(name, DType::F32, &[vocabulary, width], move |out| out.write_all(&bytes)).unwrap();
    }
    writer.write_file(folder.join(name)).unwrap();
}

/// A folder with the model as `tiny.gguf`.
pub(crate) fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tiny.gguf", 1, &[]);
    dir
}
