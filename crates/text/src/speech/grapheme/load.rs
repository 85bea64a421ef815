//! A grapheme tokenizer out of the JSON of the tokenizers library. Parts that would change ids and are not done here
//! are refused by name.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::GraphemeTokenizer;
use super::added::{Added, AddedTokens};
use crate::bpe::merge::Merges;
use crate::speech::error::SpeechError;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    dropout: Option<f64>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

/// Both spellings of a merge.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Text(String),
    Pair(String, String),
}

pub(super) fn load(json: &str) -> Result<GraphemeTokenizer, SpeechError> {
    let file: File =
        serde_json::from_str(json).map_err(|error| SpeechError::Json { what: error.to_string() })?;
    let File { added_tokens, normalizer, pre_tokenizer, model } = file;
    let kind = |value: &Value| match value.get("type").and_then(Value::as_str) {
        Some(kind) => kind.to_owned(),
        None => "null".to_owned(),
    };
    let refuse = |part, found, known| Err(SpeechError::Unsupported { part, found, known });
    if kind(&pre_tokenizer) != "Whitespace" {
        return refuse("pre_tokenizer", kind(&pre_tokenizer), "Whitespace");
    }
    if !normalizer.is_null() {
        return refuse("normalizer", kind(&normalizer), "null");
    }
    if let Some(other) = model.kind.as_deref().filter(|&kind| kind != "BPE") {
        return refuse("model", other.to_owned(), "BPE");
    }
    let affix = |affix: &Option<String>| affix.clone().filter(|affix| !affix.is_empty());
    if let Some(found) = affix(&model.continuing_subword_prefix).or_else(|| affix(&model.end_of_word_suffix))
    {
        return refuse("prefix or suffix within words", found, "none");
    }
    if model.byte_fallback || model.ignore_merges || model.dropout.is_some_and(|share| share > 0.0) {
        return refuse("byte_fallback, ignore_merges or dropout", "set".to_owned(), "none of them");
    }
    let id = |token: &str| {
        let missing = || SpeechError::MissingToken { token: token.to_owned() };
        let added = || added_tokens.iter().find(|added| added.content == token).map(|added| added.id);
        model.vocab.get(token).copied().or_else(added).ok_or_else(missing)
    };
    let around = (id("[START]")?, id("[STOP]")?);
    // Nothing is added around merges: the unknown token has to be in the vocabulary itself.
    let unknown = model.unk_token.as_deref().map(|token| {
        model.vocab.get(token).copied().ok_or_else(|| SpeechError::MissingToken { token: token.to_owned() })
    });
    let unknown = unknown.transpose()?;
    let letters = model.vocab.iter().filter_map(|(token, &id)| {
        let mut chars = token.chars();
        Some((chars.next()?, id)).filter(|_| chars.next().is_none())
    });
    let letters = letters.collect();
    let merges = merges(&model)?;
    let ids = model.vocab.values().chain(added_tokens.iter().map(|added| &added.id));
    let size = ids.max().map_or(0, |&id| id as usize + 1);
    let added = AddedTokens::new(added_tokens, &model.vocab)?;
    Ok(GraphemeTokenizer { letters, merges, added, unknown, fuses_unknown: model.fuse_unk, around, size })
}

fn merges(model: &Model) -> Result<Merges, SpeechError> {
    let mut table = Merges::default();
    for (rank, merge) in model.merges.iter().enumerate() {
        let parts = match merge {
            Merge::Text(text) => text.split_once(' '),
            Merge::Pair(left, right) => Some((left.as_str(), right.as_str())),
        };
        let joined = |(left, right): (&str, &str)| {
            let id = |token: &str| model.vocab.get(token).copied();
            Some((id(left)?, id(right)?, id(&[left, right].concat())?))
        };
        let ids = parts.and_then(joined).filter(|&(left, right, result)| table.push(left, right, result));
        if ids.is_none() {
            let merge = match merge {
                Merge::Text(text) => text.clone(),
                Merge::Pair(left, right) => format!("{left} {right}"),
            };
            return Err(SpeechError::BadMerge { rank, merge });
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "the first tokenizer is whole")]
    use super::*;

    const WHOLE: &str = r#"{"added_tokens": [{"id": 9, "content": "[SPACE]"}], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "model": {"type": "BPE", "unk_token": "[UNK]", "fuse_unk": false,
        "vocab": {"[STOP]": 0, "[UNK]": 1, "[START]": 2, "a": 3, "b": 4, "ab": 5}, "merges": ["a b"]}}"#;

    #[test]
    fn what_is_read_and_what_is_refused() {
        let tokenizer = load(WHOLE).unwrap();
        assert_eq!((tokenizer.around(), tokenizer.len()), ((2, 0), 10));
        let encoded = tokenizer.encode("ab xxa");
        assert_eq!((encoded.ids, encoded.unknown), (vec![5, 9, 1, 1, 3], vec!['x']));
        let fused = load(&WHOLE.replace("\"fuse_unk\": false", "\"fuse_unk\": true")).unwrap();
        assert_eq!(fused.encode("xxayx").ids, [1, 3, 1]);
        let pairs = load(&WHOLE.replace("[\"a b\"]", "[[\"a\", \"b\"]]")).unwrap();
        assert_eq!(pairs.encode("ab").ids, [5]);
        for (old, new, part) in [
            ("\"Whitespace\"", "\"Metaspace\"", "pre_tokenizer is Metaspace"),
            ("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", "normalizer is NFC"),
            ("\"BPE\"", "\"Unigram\"", "model is Unigram"),
            ("\"fuse_unk\"", "\"end_of_word_suffix\": \"</w>\", \"fuse_unk\"", "</w>"),
            ("\"fuse_unk\"", "\"byte_fallback\": true, \"fuse_unk\"", "byte_fallback"),
            ("[START]", "[BEGIN]", "no token \"[START]\""),
            ("\"[UNK]\": 1", "\"[U]\": 1", "no token \"[UNK]\""),
            ("\"ab\": 5", "\"ac\": 5", "merge 0, \"a b\""),
            ("[\"a b\"]", "[\"a b\", \"a b\"]", "merge 1"),
            ("[\"a b\"]", "[\"ab\"]", "merge 0"),
            ("{\"added", "{{\"added", "JSON"),
            ("\"a\": 3", "\"a\": -3", "JSON"),
        ] {
            let error = load(&WHOLE.replace(old, new)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
