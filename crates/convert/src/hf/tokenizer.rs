//! The vocabulary of a folder: `tokenizer.json` of the `tokenizers` library, or the SentencePiece model it was made
//! from.

use std::path::{Path, PathBuf};

use super::HfError;
use crate::bytes::Bytes;
use crate::sentencepiece::{self, SentencePieceError};
use crate::settings::{Node, Settings};

const JSON: &str = "tokenizer.json";
const MODEL: &str = "tokenizer.model";

/// What is wrong with the vocabulary.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// No vocabulary.
    #[error("folder has neither {JSON} nor {MODEL}")]
    None,
    /// The SentencePiece model is broken.
    #[error("{}: {source}", path.display())]
    SentencePiece {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SentencePieceError,
    },
    /// A vocabulary of an unknown kind.
    #[error("{JSON}: model.vocab is neither a map of pieces to ids nor a list of pieces")]
    Kind,
    /// An id without a piece.
    #[error("{JSON}: no piece has the id {id}, although the model has {count}")]
    Gap {
        /// The id.
        id: usize,
        /// Pieces there should be.
        count: usize,
    },
}

/// Reads the `count` pieces below the blank.
pub(super) fn read(folder: &Path, count: usize) -> Result<Vec<String>, HfError> {
    let Some(settings) = super::json(folder, JSON)? else {
        let path = folder.join(MODEL);
        let bytes = Bytes::open(&path).map_err(|_| TokenizerError::None)?;
        let pieces = sentencepiece::pieces(&bytes);
        let mut pieces = pieces.map_err(|source| TokenizerError::SentencePiece { path, source })?;
        pieces.truncate(count);
        return Ok(pieces);
    };
    Ok(from_settings(&settings, count)?)
}

fn from_settings(settings: &Settings, count: usize) -> Result<Vec<String>, TokenizerError> {
    let mut pieces: Vec<Option<&str>> = vec![None; count];
    let mut place = |id: Option<usize>, piece| {
        if let Some(slot) = id.and_then(|id| pieces.get_mut(id)) {
            *slot = Some(piece);
        }
    };
    let id_of = |node: &Node| node.integer().and_then(|id| usize::try_from(id).ok());
    match settings.find("model.vocab") {
        Some(Node::Map(items)) => items.iter().for_each(|(piece, id)| place(id_of(id), piece)),
        // Unigram models list pairs of piece and score.
        Some(Node::List(items)) => {
            for (id, item) in items.iter().enumerate() {
                if let Node::List(pair) = item
                    && let Some(piece) = pair.first().and_then(Node::text)
                {
                    place(Some(id), piece);
                }
            }
        }
        _ => return Err(TokenizerError::Kind),
    }
    // Special tokens that were added behind the vocabulary; `<pad>` and `<blank>` lie beyond `count`.
    for token in settings.list("added_tokens").ok().flatten().unwrap_or_default() {
        if let Node::Map(fields) = token {
            let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, node)| node);
            if let (Some(id), Some(piece)) = (field("id"), field("content").and_then(Node::text)) {
                place(id_of(id), piece);
            }
        }
    }
    let filled = |(id, piece): (usize, Option<&str>)| {
        piece.map(str::to_owned).ok_or(TokenizerError::Gap { id, count })
    };
    pieces.into_iter().enumerate().map(filled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        Settings::new(serde_json::from_str::<serde_json::Value>(json).unwrap().into())
    }

    #[test]
    fn pieces_by_id_with_added_tokens() {
        let json = r#"{"model": {"vocab": {"b": 2, "<unk>": 0, "a": 1}},
            "added_tokens": [{"id": 3, "content": "<x>"}, {"id": 4, "content": "<blank>"}]}"#;
        assert_eq!(from_settings(&settings(json), 4).unwrap(), ["<unk>", "a", "b", "<x>"]);
        let error = from_settings(&settings(json), 6).unwrap_err();
        assert!(matches!(error, TokenizerError::Gap { id: 5, count: 6 }), "{error}");
        let unigram = r#"{"model": {"vocab": [["<unk>", 0.0], ["▁a", -1.5]]}}"#;
        assert_eq!(from_settings(&settings(unigram), 2).unwrap(), ["<unk>", "▁a"]);
        assert!(matches!(from_settings(&settings("{}"), 1), Err(TokenizerError::Kind)));
    }
}
