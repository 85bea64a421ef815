//! The text side of a checkpoint folder: the JSON of the grapheme models and the table of Cangjie codes, or GPT-2's three
//! files. Everything is read by the tokenizer itself before it goes into a file.

use std::collections::BTreeMap;
use std::path::Path;

use mynah_text::speech::{Cangjie, GraphemeTokenizer, SpeechError};

use super::error::ChatterboxError;

/// Larger than any vocabulary file.
const MAX_BYTES: u64 = 64 << 20;
/// Ids beyond this are no ids of a vocabulary.
const MAX_ID: u32 = 1 << 22;
/// The table of Cangjie codes in the folder of a multilingual model.
pub(super) const CANGJIE: &str = "Cangjie5_TC.json";

/// A tokenizer as a file holds it.
#[derive(Debug, Clone)]
pub(crate) enum Tokenizer {
    Grapheme { json: String, cangjie: Option<Vec<String>> },
    Gpt2 { tokens: Vec<String>, types: Vec<i32>, merges: Vec<String> },
}

/// Reads a grapheme tokenizer and the table beside it, if there is one.
pub(super) fn grapheme(folder: &Path, file: &str) -> Result<Tokenizer, ChatterboxError> {
    let wrap = |file: &str| {
        let file = file.to_owned();
        move |source: SpeechError| ChatterboxError::Speech { file, source }
    };
    let json = text(folder, file)?;
    GraphemeTokenizer::from_json(&json).map_err(wrap(file))?;
    let cangjie = match folder.join(CANGJIE).exists() {
        false => None,
        true => {
            let rows = Cangjie::rows(&text(folder, CANGJIE)?).map_err(wrap(CANGJIE))?;
            // Further columns are comments.
            let short = |row: String| row.splitn(3, '\t').take(2).collect::<Vec<_>>().join("\t");
            let rows: Vec<String> = rows.into_iter().map(short).collect();
            Cangjie::from_rows(&rows).map_err(wrap(CANGJIE))?;
            Some(rows)
        }
    };
    Ok(Tokenizer::Grapheme { json, cangjie })
}

/// Reads `vocab.json`, `merges.txt` and, if it is there, `added_tokens.json`.
pub(super) fn gpt2(folder: &Path) -> Result<Tokenizer, ChatterboxError> {
    let map = |file: &str| -> Result<BTreeMap<String, u32>, ChatterboxError> {
        serde_json::from_str(&text(folder, file)?).map_err(|error| broken(file, error.to_string()))
    };
    const ADDED: &str = "added_tokens.json";
    let vocabulary = map("vocab.json")?;
    let added = if folder.join(ADDED).exists() { map(ADDED)? } else { BTreeMap::new() };
    let last = vocabulary.values().chain(added.values()).max().copied();
    let size = match last {
        Some(last) if last < MAX_ID => last as usize + 1,
        _ => return Err(broken("vocab.json", format!("the largest id is {last:?}"))),
    };
    let mut tokens: Vec<Option<String>> = vec![None; size];
    let mut types = vec![1i32; size];
    for (list, kind) in [(&vocabulary, 1), (&added, 4)] {
        for (token, &id) in list {
            // A token may be in both files, under one id.
            if let Some(place) = tokens.get_mut(id as usize) {
                *place = Some(token.clone());
            }
            if let Some(place) = types.get_mut(id as usize) {
                *place = kind;
            }
        }
    }
    // An id without a token is a row that means nothing, and says so.
    let named = tokens.into_iter().zip(&mut types).enumerate().map(|(id, (token, kind))| {
        token.unwrap_or_else(|| {
            *kind = 5;
            format!("[unused{id}]")
        })
    });
    let tokens = named.collect();
    let text = text(folder, "merges.txt")?;
    let merges =
        text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with("#version"));
    Ok(Tokenizer::Gpt2 { tokens, types, merges: merges.map(str::to_owned).collect() })
}

fn text(folder: &Path, file: &str) -> Result<String, ChatterboxError> {
    let path = folder.join(file);
    let refused = |source| ChatterboxError::Io { file: file.to_owned(), source };
    let bytes = std::fs::metadata(&path).map_err(refused)?.len();
    if bytes > MAX_BYTES {
        return Err(ChatterboxError::TooLarge { file: file.to_owned(), bytes });
    }
    std::fs::read_to_string(&path).map_err(refused)
}

fn broken(file: &str, what: String) -> ChatterboxError {
    ChatterboxError::Vocabulary { file: file.to_owned(), what }
}
