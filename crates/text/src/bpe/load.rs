//! A tokenizer out of a GGUF file's keys. Everything is checked here, so that nothing after it can fail but for ids of
//! another vocabulary.
//!
//! | key (`tokenizer.ggml.` …) | type | |
//! |---|---|---|
//! | `model` | string | `gpt2` |
//! | `pre` | string | a name of [`PreSplit::NAMES`] |
//! | `tokens` | array of strings, in GPT-2's byte alphabet | required |
//! | `merges` | array of strings, `left right`, by rank | required |
//! | `token_type` | array of integers: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused | all normal |
//! | `bos_token_id`, `eos_token_id`, `eot_token_id`, `eom_token_id`, `padding_token_id`, `unknown_token_id` | integer | none |
//! | `add_bos_token` | bool | false |

use std::collections::HashMap;

use mynah_gguf::Metadata;

use super::bytes::{bytes_of, char_of};
use super::error::BpeError;
use super::merge::Merges;
use super::presplit::PreSplit;
use super::special::SpecialTokens;
use super::{Kind, Tokenizer};

/// Names of tokens that end an answer even where no key says so: the ends of a turn and of a document, and those
/// fill-in-the-middle marks after which a model only rambles on. llama.cpp ends generation at the same ones.
const ENDS: [&str; 5] = ["<|im_end|>", "<|endoftext|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"];

/// Reads a file's tokenizer; `default` is the rule of a file that names none.
pub(super) fn load(metadata: &Metadata, default: Option<PreSplit>) -> Result<Tokenizer, BpeError> {
    let model = metadata
        .get_str("tokenizer.ggml.model")?
        .ok_or(BpeError::MissingKey { key: "tokenizer.ggml.model" })?;
    if model != "gpt2" {
        return Err(BpeError::UnknownModel { found: model.to_owned() });
    }
    let pre = match metadata.get_str("tokenizer.ggml.pre")? {
        Some(pre) => PreSplit::from_name(pre).ok_or_else(|| BpeError::UnknownPreSplit {
            found: pre.to_owned(),
            known: PreSplit::NAMES.map(|(name, _)| name).join(", "),
        })?,
        None => default.ok_or(BpeError::MissingKey { key: "tokenizer.ggml.pre" })?,
    };
    let tokens = metadata
        .get_str_array("tokenizer.ggml.tokens")?
        .ok_or(BpeError::MissingKey { key: "tokenizer.ggml.tokens" })?;
    let merges = metadata
        .get_str_array("tokenizer.ggml.merges")?
        .ok_or(BpeError::MissingKey { key: "tokenizer.ggml.merges" })?;

    let ids = index(tokens)?;
    let kinds = kinds(metadata, tokens.len())?;
    let of_kind = |kind: Kind| -> Vec<(&str, u32)> {
        let chosen = tokens.iter().zip(0..).filter(|&(_, id): &(_, u32)| kinds[id as usize] == kind);
        chosen.map(|(token, id)| (token.as_str(), id)).collect()
    };
    let special = SpecialTokens::new(&of_kind(Kind::Control), &of_kind(Kind::UserDefined))?;
    let id = |key| special_id(metadata, key, tokens.len());
    let (bos, eos) = (id("tokenizer.ggml.bos_token_id")?, id("tokenizer.ggml.eos_token_id")?);
    let turns = [id("tokenizer.ggml.eot_token_id")?, id("tokenizer.ggml.eom_token_id")?];
    let named = ENDS.iter().filter_map(|name| ids.get(name).copied());
    let named = named.filter(|&id| kinds[id as usize] == Kind::Control);
    let mut ends: Vec<u32> = eos.into_iter().chain(turns.into_iter().flatten()).chain(named).collect();
    ends.sort_unstable();
    ends.dedup();

    let mut bytes = Vec::new();
    let mut offsets = vec![0];
    for (token, kind) in tokens.iter().zip(&kinds) {
        match kind {
            Kind::Normal => bytes.extend(bytes_of(token)),
            Kind::Control | Kind::UserDefined => bytes.extend(token.as_bytes()),
            Kind::Unused => {}
        }
        offsets.push(bytes.len());
    }
    Ok(Tokenizer {
        pre,
        merges: merge_table(merges, &ids)?,
        byte_ids: byte_ids(&ids)?,
        special,
        bytes,
        offsets,
        kinds,
        bos,
        eos,
        padding: id("tokenizer.ggml.padding_token_id")?,
        unknown: id("tokenizer.ggml.unknown_token_id")?,
        ends,
        adds_bos: metadata.get_bool("tokenizer.ggml.add_bos_token")?.unwrap_or(false),
    })
}

/// Ids by text.
fn index(tokens: &[String]) -> Result<HashMap<&str, u32>, BpeError> {
    let count = tokens.len();
    if count == 0 || u32::try_from(count).is_err() {
        return Err(BpeError::BadSize { count });
    }
    let mut ids = HashMap::with_capacity(count);
    for (token, second) in tokens.iter().zip(0..) {
        if let Some(first) = ids.insert(token.as_str(), second) {
            return Err(BpeError::DuplicateToken { first, second, token: token.clone() });
        }
    }
    Ok(ids)
}

fn kinds(metadata: &Metadata, tokens: usize) -> Result<Vec<Kind>, BpeError> {
    let Some(types) = metadata.get_integer_array::<i32>("tokenizer.ggml.token_type")? else {
        return Ok(vec![Kind::Normal; tokens]);
    };
    if types.len() != tokens {
        return Err(BpeError::TypeCount { types: types.len(), tokens });
    }
    let kind = |(found, id)| match found {
        1 => Ok(Kind::Normal),
        2 | 3 => Ok(Kind::Control),
        4 => Ok(Kind::UserDefined),
        5 => Ok(Kind::Unused),
        _ => Err(BpeError::BadType { id, found }),
    };
    types.into_iter().zip(0..).map(kind).collect()
}

fn special_id(metadata: &Metadata, key: &'static str, size: usize) -> Result<Option<u32>, BpeError> {
    match metadata.get_integer::<u32>(key)? {
        Some(id) if id as usize >= size => Err(BpeError::BadSpecialId { key, id, size }),
        id => Ok(id),
    }
}

/// The token of each byte. Bytes that UTF-8 never contains need none; theirs is never looked up.
fn byte_ids(ids: &HashMap<&str, u32>) -> Result<Vec<u32>, BpeError> {
    let mut buffer = [0; 4];
    let mut of = |byte: u8| match ids.get(&*char_of(byte).encode_utf8(&mut buffer)) {
        Some(&id) => Ok(id),
        None if matches!(byte, 0xc0 | 0xc1 | 0xf5..=0xff) => Ok(0),
        None => Err(BpeError::MissingByte { byte }),
    };
    (0..=u8::MAX).map(&mut of).collect()
}

fn merge_table(merges: &[String], ids: &HashMap<&str, u32>) -> Result<Merges, BpeError> {
    let mut table = Merges::default();
    for (rank, merge) in merges.iter().enumerate() {
        let bad = || BpeError::BadMerge { rank, merge: merge.clone() };
        let (left, right) = merge.split_once(' ').ok_or_else(bad)?;
        if left.is_empty() || right.is_empty() || right.contains(' ') {
            return Err(bad());
        }
        let id = |piece: &str| {
            ids.get(piece)
                .copied()
                .ok_or_else(|| BpeError::UnknownMergePiece { rank, piece: piece.to_owned() })
        };
        if !table.push(id(left)?, id(right)?, id(&[left, right].concat())?) {
            return Err(BpeError::DuplicateMerge { rank, merge: merge.clone() });
        }
    }
    Ok(table)
}
