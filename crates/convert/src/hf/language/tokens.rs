//! `tokenizer.json` and `tokenizer_config.json` to a [`Vocabulary`]: tokens by id with what they are, merges, the
//! pre-split rule, tokens with a task. What decides is what llama.cpp's converter takes.

use std::path::Path;

use serde_json::{Map, Value};

use super::super::{HfError, json_value};
use super::template;
use crate::qwen35::{TokenType, Vocabulary};

const FILE: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

/// The pre-split rules there are, by their regular expressions in a folder.
const RULES: [(&str, &str); 2] = [
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen2",
    ),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen35",
    ),
];

/// Tokens with a task: in the folder, and in the file.
const TASKS: [(&str, &str); 7] = [
    ("bos", "bos"),
    ("eos", "eos"),
    ("unk", "unknown"),
    ("sep", "seperator"),
    ("pad", "padding"),
    ("cls", "cls"),
    ("mask", "mask"),
];

/// What is wrong with the tokenizer of a language model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// No tokenizer in the format that is read.
    #[error("folder has no {FILE}")]
    None,
    /// A tokenizer of another kind.
    #[error("{FILE}: {key} is {found}; byte-level BPE is read")]
    Kind {
        /// Where.
        key: &'static str,
        /// What is there.
        found: String,
    },
    /// A pre-split rule that is none of the family's.
    #[error("{FILE}: pre_tokenizer splits by {found:?}, which is none of the rules there are: {known}")]
    Rule {
        /// The regular expression.
        found: String,
        /// Names of those there are.
        known: String,
    },
    /// A post-processor that adds tokens to every text.
    #[error("{FILE}: post_processor adds tokens to every text, which is not supported")]
    Adds,
    /// A token with an id outside the model's vocabulary.
    #[error("{FILE}: token {token:?} has the id {id}, but the model has {count} tokens")]
    Outside {
        /// The token.
        token: String,
        /// Its id.
        id: u64,
        /// Rows of the embedding.
        count: usize,
    },
    /// Two tokens under one id.
    #[error("{FILE}: tokens {first:?} and {second:?} both have the id {id}")]
    Clash {
        /// The id.
        id: usize,
        /// A token.
        first: String,
        /// Another.
        second: String,
    },
    /// A merge that is no pair of pieces.
    #[error("{FILE}: merge {rank} is no pair of pieces")]
    Merge {
        /// Which, from 0.
        rank: usize,
    },
}

/// Reads the vocabulary of a model with `count` tokens, as many as its embedding is known to have rows.
pub(super) fn read(folder: &Path, count: usize, warnings: &mut Vec<String>) -> Result<Vocabulary, HfError> {
    let tokenizer = json_value(folder, FILE)?.ok_or(TokensError::None)?;
    let settings = json_value(folder, CONFIG)?.unwrap_or_default();
    let model = json_value(folder, "config.json")?.unwrap_or_default();
    if let kind = &tokenizer["model"]["type"]
        && kind != "BPE"
    {
        return Err(TokensError::Kind { key: "model.type", found: kind.to_string() }.into());
    }
    let (tokens, types) = tokens(&tokenizer, count)?;
    let special = special(&tokenizer, &settings, &model, count, warnings);
    let added = added(&tokenizer["post_processor"], &settings)?;
    Ok(Vocabulary {
        pre: rule(&tokenizer["pre_tokenizer"])?.to_owned(),
        tokens,
        types,
        merges: merges(&tokenizer["model"]["merges"])?,
        special,
        added,
        template: template::read(folder, &settings)?,
    })
}

/// Texts and kinds by id. Ids that nobody has are unused rows of the embedding.
fn tokens(tokenizer: &Value, count: usize) -> Result<(Vec<String>, Vec<TokenType>), TokensError> {
    let Some(vocabulary) = tokenizer["model"]["vocab"].as_object() else {
        let found = kind_of(&tokenizer["model"]["vocab"]);
        return Err(TokensError::Kind { key: "model.vocab", found });
    };
    let mut slots: Vec<Option<(&str, TokenType)>> = Vec::new();
    let place = |token: &str, id: &Value| -> Result<usize, TokensError> {
        let found = id.as_u64().unwrap_or(u64::MAX);
        match usize::try_from(found).ok().filter(|&id| id < count) {
            Some(id) => Ok(id),
            None => Err(TokensError::Outside { token: token.to_owned(), id: found, count }),
        }
    };
    for (token, id) in vocabulary {
        let id = place(token, id)?;
        if slots.len() <= id {
            slots.resize(id + 1, None);
        }
        if let Some((first, _)) = slots.get_mut(id).and_then(|slot| slot.replace((token, TokenType::Normal)))
        {
            return Err(TokensError::Clash { id, first: first.to_owned(), second: token.clone() });
        }
    }
    for token in added_tokens(tokenizer) {
        let Some(content) = token["content"].as_str() else { continue };
        let id = place(content, &token["id"])?;
        if slots.len() <= id {
            slots.resize(id + 1, None);
        }
        let special = token["special"].as_bool().unwrap_or(false) || looks_special(content);
        let kind = if special { TokenType::Control } else { TokenType::UserDefined };
        if let Some((first, _)) = slots.get_mut(id).and_then(|slot| slot.replace((content, kind)))
            && first != content
        {
            return Err(TokensError::Clash { id, first: first.to_owned(), second: content.to_owned() });
        }
    }
    slots.resize(count, None);
    let (mut texts, mut types) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (id, slot) in slots.into_iter().enumerate() {
        let (text, kind) = match slot {
            Some((text, kind)) => (text.to_owned(), kind),
            None => (format!("[PAD{id}]"), TokenType::Unused),
        };
        texts.push(text);
        types.push(kind);
    }
    Ok((texts, types))
}

fn added_tokens(tokenizer: &Value) -> impl Iterator<Item = &Value> {
    tokenizer["added_tokens"].as_array().into_iter().flatten()
}

/// Some tokenizers do not mark what steers the model; its looks tell.
fn looks_special(token: &str) -> bool {
    token.starts_with("<|") && token.ends_with("|>")
}

fn merges(found: &Value) -> Result<Vec<String>, TokensError> {
    let Some(list) = found.as_array() else {
        return Err(TokensError::Kind { key: "model.merges", found: kind_of(found) });
    };
    let merge = |(rank, merge): (usize, &Value)| {
        let bad = || TokensError::Merge { rank };
        let (left, right) = match merge {
            Value::String(pair) => pair.split_once(' ').ok_or_else(bad)?,
            Value::Array(pair) => match pair.as_slice() {
                [Value::String(left), Value::String(right)] => (left.as_str(), right.as_str()),
                _ => return Err(bad()),
            },
            _ => return Err(bad()),
        };
        // A piece with a plain space in it could not be told from two.
        if left.is_empty() || right.is_empty() || left.contains(' ') || right.contains(' ') {
            return Err(bad());
        }
        Ok(format!("{left} {right}"))
    };
    list.iter().enumerate().map(merge).collect()
}

/// The rule by which text is split before any merge.
fn rule(pre_tokenizer: &Value) -> Result<&'static str, TokensError> {
    let found = regex(pre_tokenizer).unwrap_or_default();
    let known = || RULES.map(|(_, name)| name).join(", ");
    let rule = RULES.iter().find(|(regex, _)| *regex == found);
    rule.map(|(_, name)| *name).ok_or_else(|| TokensError::Rule { found: found.to_owned(), known: known() })
}

/// The first regular expression below a node. `serde_json` limits how deep a tree is.
fn regex(node: &Value) -> Option<&str> {
    match node {
        Value::Object(fields) => match fields.get("Regex") {
            Some(Value::String(regex)) => Some(regex),
            _ => fields.values().find_map(regex),
        },
        Value::Array(items) => items.iter().find_map(regex),
        _ => None,
    }
}

/// Tokens with a task, by their text in the tokenizer's settings, else by their id in the model's.
fn special(
    tokenizer: &Value,
    settings: &Value,
    model: &Value,
    count: usize,
    warnings: &mut Vec<String>,
) -> Vec<(&'static str, u32)> {
    let mut special: Vec<(&'static str, u32)> = Vec::new();
    let mut set = |name: &'static str, id: Option<u64>| {
        let Some(id) = id else { return };
        match u32::try_from(id).ok().filter(|&id| (id as usize) < count) {
            Some(id) if !special.iter().any(|(other, _)| *other == name) => special.push((name, id)),
            Some(_) => {}
            None => warnings.push(format!("the {name} token has the id {id}, which is none; it is left out")),
        }
    };
    for (task, name) in TASKS {
        let entry = &settings[format!("{task}_token")];
        let text = entry.as_str().or_else(|| entry["content"].as_str());
        let token = text.and_then(|text| added_tokens(tokenizer).find(|token| token["content"] == text));
        set(name, token.and_then(|token| token["id"].as_u64()));
    }
    for (task, name) in TASKS {
        let key = format!("{task}_token_id");
        set(name, model[&key].as_u64().or_else(|| model["text_config"][&key].as_u64()));
    }
    special
}

/// Whether encoding adds tokens with a task.
fn added(post: &Value, settings: &Value) -> Result<Vec<(&'static str, bool)>, TokensError> {
    let mut added: Vec<(&'static str, bool)> = Vec::new();
    let parts = post["processors"].as_array().map_or(std::slice::from_ref(post), Vec::as_slice);
    for part in parts {
        match part["type"].as_str() {
            Some("ByteLevel") if added.is_empty() => added = vec![("bos", false), ("eos", false)],
            Some("TemplateProcessing") if part["single"].as_array().is_some_and(|list| list.len() > 1) => {
                return Err(TokensError::Adds);
            }
            _ => {}
        }
    }
    for (task, _) in TASKS {
        let flag = settings[format!("add_{task}_token")].as_bool();
        if let Some(flag) = flag
            && !added.iter().any(|(other, _)| *other == task)
        {
            added.push((task, flag));
        }
    }
    Ok(added)
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "missing".to_owned(),
        Value::Object(fields) => format!("a section of {}", Map::len(fields)),
        Value::Array(items) => format!("a list of {}", items.len()),
        other => other.to_string().chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kinds_and_unused_rows() {
        let tokenizer = json!({
            "model": {"vocab": {"b": 1, "a": 0}},
            "added_tokens": [
                {"id": 3, "content": "<think>", "special": false},
                {"id": 4, "content": "<|x|>", "special": false},
                {"id": 5, "content": "<s>", "special": true},
            ],
        });
        let (texts, types) = tokens(&tokenizer, 7).unwrap();
        assert_eq!(texts, ["a", "b", "[PAD2]", "<think>", "<|x|>", "<s>", "[PAD6]"]);
        use TokenType::{Control, Normal, Unused, UserDefined};
        assert_eq!(types, [Normal, Normal, Unused, UserDefined, Control, Control, Unused]);
        assert!(matches!(tokens(&tokenizer, 5), Err(TokensError::Outside { id: 5, count: 5, .. })));
        let twice = json!({"model": {"vocab": {"b": 1, "a": 1}}});
        assert!(matches!(tokens(&twice, 5), Err(TokensError::Clash { id: 1, .. })));
        assert!(matches!(tokens(&json!({}), 5), Err(TokensError::Kind { .. })));
    }

    #[test]
    fn merges_of_both_forms() {
        assert_eq!(merges(&json!(["a b", ["ab", "c"]])).unwrap(), ["a b", "ab c"]);
        for bad in [json!(["ab"]), json!([["a"]]), json!([3]), json!([["a", "b c"]]), json!([" b"])] {
            assert!(matches!(merges(&bad), Err(TokensError::Merge { rank: 0 })), "{bad}");
        }
    }

    #[test]
    fn tasks_come_from_text_or_id() {
        let tokenizer = json!({"added_tokens": [{"id": 3, "content": "<e>"}]});
        let settings =
            json!({"eos_token": {"content": "<e>"}, "pad_token": "<none>", "add_bos_token": false});
        let model = json!({"eos_token_id": 2, "text_config": {"bos_token_id": 1}, "pad_token_id": 99});
        let mut warnings = Vec::new();
        assert_eq!(special(&tokenizer, &settings, &model, 9, &mut warnings), [("eos", 3), ("bos", 1)]);
        assert!(warnings.len() == 1 && warnings[0].contains("padding"), "{warnings:?}");
        assert_eq!(added(&Value::Null, &settings).unwrap(), [("bos", false)]);
        let post = json!({"type": "Sequence", "processors": [{"type": "ByteLevel"}]});
        assert_eq!(added(&post, &Value::Null).unwrap(), [("bos", false), ("eos", false)]);
        let post = json!({"type": "TemplateProcessing", "single": [1, 2]});
        assert_eq!(added(&post, &Value::Null), Err(TokensError::Adds));
    }

    #[test]
    fn other_rules_are_refused() {
        let error = rule(&json!({"pattern": {"Regex": "\\w+"}})).unwrap_err().to_string();
        assert!(error.contains("\\\\w+") && error.contains("qwen35"), "{error}");
        assert!(rule(&Value::Null).is_err());
    }
}
