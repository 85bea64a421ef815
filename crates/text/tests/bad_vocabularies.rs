//! Tokenizers in files that are wrong: each is refused with an error that says what is wrong.

#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]

use std::path::Path;

use mynah_gguf::{Array, GgufFile, GgufWriter, Value};
use mynah_text::bpe::{BpeError, Specials, Tokenizer};
use mynah_text::chat::{ChatError, ChatTemplate};
use proptest::prelude::*;

type Keys = Vec<(String, Value)>;

/// The keys of the fixture, to be broken.
fn keys() -> Keys {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/text/qwen35.gguf");
    let file = GgufFile::open(path).unwrap();
    file.metadata().iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

fn load(keys: &Keys) -> Result<Tokenizer, BpeError> {
    let mut writer = GgufWriter::new();
    for (key, value) in keys {
        writer.set(key, value.clone());
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    Tokenizer::from_metadata(GgufFile::from_bytes(bytes).unwrap().metadata())
}

fn at<'a>(keys: &'a mut Keys, name: &str) -> &'a mut Value {
    let name = format!("tokenizer.ggml.{name}");
    &mut keys.iter_mut().find(|(key, _)| *key == name).unwrap().1
}

fn strings<'a>(keys: &'a mut Keys, name: &str) -> &'a mut Vec<String> {
    match at(keys, name) {
        Value::Array(Array::String(strings)) => strings,
        other => panic!("{other:?}"),
    }
}

/// The error, as text, of the fixture after a change.
fn broken(change: impl FnOnce(&mut Keys)) -> String {
    let mut keys = keys();
    change(&mut keys);
    load(&keys).unwrap_err().to_string()
}

#[test]
fn missing_keys() {
    for name in ["model", "pre", "tokens", "merges"] {
        let error = broken(|keys| keys.retain(|(key, _)| *key != format!("tokenizer.ggml.{name}")));
        assert_eq!(error, format!("the file has no tokenizer.ggml.{name}"));
    }
}

#[test]
fn unknown_kinds() {
    assert_eq!(
        broken(|keys| *at(keys, "model") = "llama".into()),
        "tokenizer.ggml.model is \"llama\"; only \"gpt2\", byte-level BPE, is known"
    );
    assert_eq!(
        broken(|keys| *at(keys, "pre") = "default".into()),
        "tokenizer.ggml.pre is \"default\"; the known rules are qwen2, qwen35, gpt-2"
    );
    assert!(broken(|keys| *at(keys, "tokens") = 3u32.into()).contains("tokenizer.ggml.tokens"));
    assert!(broken(|keys| *at(keys, "token_type") = "normal".into()).contains("tokenizer.ggml.token_type"));
    assert!(broken(|keys| *at(keys, "add_bos_token") = 1u32.into()).contains("tokenizer.ggml.add_bos_token"));
}

#[test]
fn wrong_tokens() {
    assert_eq!(broken(|keys| strings(keys, "tokens").clear()), "a vocabulary of 0 tokens cannot be used");
    let twice = broken(|keys| strings(keys, "tokens")[7] = "!".into());
    assert!(twice.starts_with("tokens ") && twice.ends_with(" are both \"!\""), "{twice}");
    let removed = broken(|keys| {
        let tokens = strings(keys, "tokens");
        let at = tokens.iter().position(|token| token == "Ġ").unwrap();
        tokens[at] = "<gone>".into();
        strings(keys, "merges").clear();
    });
    assert_eq!(removed, "no token stands for the byte 0x20");
    let cut = broken(|keys| strings(keys, "tokens").truncate(300));
    assert!(cut.ends_with("token types for 300 tokens"), "{cut}");
    let odd = broken(|keys| {
        let Value::Array(Array::I32(types)) = at(keys, "token_type") else { panic!("no list of i32") };
        types[9] = 6;
    });
    assert_eq!(odd, "token 9 has type 6; byte-level BPE has 1 to 5");
}

#[test]
fn wrong_merges() {
    for merge in ["ab", "", " ", "a ", " b", "a b c", "a  b"] {
        let error = broken(|keys| strings(keys, "merges")[5] = merge.into());
        let expected = format!("merge 5 is {merge:?}; two tokens with a space between them were expected");
        assert_eq!(error, expected);
    }
    for (merge, piece) in [("a \u{1}", "\u{1}"), ("\u{1} a", "\u{1}"), ("! ~", "!~")] {
        let error = broken(|keys| strings(keys, "merges")[5] = merge.into());
        assert_eq!(error, format!("merge 5 needs {piece:?}, which is no token"));
    }
    let error = broken(|keys| {
        let merges = strings(keys, "merges");
        merges[5] = merges[2].clone();
    });
    assert!(error.starts_with("merge 5, ") && error.ends_with("is a repetition"), "{error}");
}

#[test]
fn ids_outside() {
    let size = load(&keys()).unwrap().len();
    for name in ["eos_token_id", "bos_token_id", "padding_token_id"] {
        let error = broken(|keys| *at(keys, name) = u32::try_from(size).unwrap().into());
        let expected = format!("tokenizer.ggml.{name} is {size}, outside the vocabulary of {size} tokens");
        assert_eq!(error, expected);
        assert!(broken(|keys| *at(keys, name) = (-1i32).into()).contains(name));
    }
    let tokenizer = load(&keys()).unwrap();
    assert!(matches!(tokenizer.decode(&[0, u32::MAX]), Err(BpeError::TokenOutOfRange { id: u32::MAX, .. })));
}

#[test]
fn keys_that_may_be_absent() {
    let mut keys = keys();
    keys.retain(|(key, _)| ["model", "pre", "tokens", "merges"].iter().any(|name| key.ends_with(name)));
    let tokenizer = load(&keys).unwrap();
    assert_eq!((tokenizer.eos(), tokenizer.bos(), tokenizer.ends()), (None, None, &[][..]));
    let text = "<|im_end|>";
    assert_eq!(tokenizer.encode(text, Specials::All), tokenizer.encode(text, Specials::None));
}

#[test]
fn a_file_without_a_template() {
    let mut writer = GgufWriter::new();
    writer.set("tokenizer.chat_template", 3u32);
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    let file = GgufFile::from_bytes(bytes).unwrap();
    let tokenizer = load(&keys()).unwrap();
    assert_eq!(ChatTemplate::from_metadata(file.metadata(), &tokenizer).unwrap_err(), ChatError::NoTemplate);
}

proptest! {
    /// Whatever the lists hold, loading says yes or no, and a yes can encode and decode.
    #[test]
    fn any_lists_load_or_err(
        tokens in prop::collection::vec((0usize..3000, "[a-zĠ<>| ]{0,4}"), 0..4),
        merges in prop::collection::vec((0usize..3000, "[a-zĠ ]{0,5}"), 0..4),
        types in prop::collection::vec((0usize..3000, 0i32..7), 0..4),
    ) {
        let mut keys = keys();
        for (place, token) in tokens {
            let list = strings(&mut keys, "tokens");
            let place = place % list.len();
            list[place] = token;
        }
        for (place, merge) in merges {
            let list = strings(&mut keys, "merges");
            let place = place % list.len();
            list[place] = merge;
        }
        let Value::Array(Array::I32(list)) = at(&mut keys, "token_type") else { panic!("no list of i32") };
        for (place, kind) in types {
            let place = place % list.len();
            list[place] = kind;
        }
        if let Ok(tokenizer) = load(&keys) {
            let text = "The quick <|im_end|> 狐 é";
            for specials in [Specials::None, Specials::UserDefined, Specials::All] {
                let ids = tokenizer.encode(text, specials);
                prop_assert!(tokenizer.decode(&ids).is_ok());
            }
        }
    }
}
