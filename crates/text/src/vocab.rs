//! The vocabulary of a model: token id → piece → text.
//!
//! Only decoding is needed to read a transcript, so there is no merge table and no encoder here. The pieces come from
//! the model file (`tokenizer.ggml.tokens` or its like); the text goes to [`crate::assemble()`].

use crate::error::TextError;
use crate::pieces::Piece;
use crate::punctuation::is_punctuation;

/// SentencePiece pieces in id order, classified for decoding.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    pieces: Vec<Piece>,
    punctuated: bool,
}

impl Vocabulary {
    /// Takes the pieces in id order, as the model file stores them (`▁the`, `ing`, `<unk>`, `<0xE2>`, …).
    #[must_use]
    pub fn new(pieces: Vec<String>) -> Self {
        let pieces: Vec<Piece> = pieces.into_iter().map(|raw| Piece::classify(&raw)).collect();
        let punctuated = pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Text(text) if matches!(text.trim(), "." | "?" | "!" | "。")));
        Self { pieces, punctuated }
    }

    /// How many pieces there are. The blank of a CTC or transducer head has this very id and is not a piece.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there is no piece at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether the model can write sentence ends; if not, sentences are cut at pauses.
    #[must_use]
    pub fn has_sentence_marks(&self) -> bool {
        self.punctuated
    }

    /// The text of `ids`: pieces joined, `▁` as space, one leading space removed, byte pieces assembled into UTF-8
    /// (an invalid sequence becomes U+FFFD), special pieces left out.
    ///
    /// # Errors
    /// [`TextError::TokenOutOfRange`] names the first id that is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TextError> {
        let text: String = self.texts(ids)?.concat();
        Ok(text.strip_prefix(' ').map(str::to_owned).unwrap_or(text))
    }

    /// What each of `ids` adds to the text, leading space included; special pieces add nothing. The text of a run of
    /// byte pieces stands at the last of the run, because only there is it known.
    ///
    /// # Errors
    /// [`TextError::TokenOutOfRange`] names the first id that is not in the vocabulary.
    pub fn texts(&self, ids: &[u32]) -> Result<Vec<String>, TextError> {
        let mut texts = Vec::with_capacity(ids.len());
        let mut bytes: Vec<u8> = Vec::new();
        for &id in ids {
            let piece = self.piece(id)?;
            if let Piece::Byte(byte) = piece {
                bytes.push(*byte);
                texts.push(String::new());
                continue;
            }
            flush(&mut bytes, &mut texts);
            texts.push(match piece {
                Piece::Text(text) => text.clone(),
                Piece::Byte(_) | Piece::Special(_) => String::new(),
            });
        }
        flush(&mut bytes, &mut texts);
        Ok(texts)
    }

    /// Whether `id` opens a new word (its piece begins with `▁`). `false` for an id outside the vocabulary.
    #[must_use]
    pub fn is_word_start(&self, id: u32) -> bool {
        matches!(self.piece(id), Ok(Piece::Text(text)) if text.starts_with(' '))
    }

    /// Whether `id` is made of punctuation only, with or without `▁` in front. `false` outside the vocabulary.
    #[must_use]
    pub fn is_punctuation(&self, id: u32) -> bool {
        matches!(self.piece(id), Ok(Piece::Text(text)) if {
            let bare = text.trim_start_matches(' ');
            !bare.is_empty() && bare.chars().all(is_punctuation)
        })
    }

    /// Whether `id` is a control piece (`<unk>`, `<en-US>`, `<EOU>`, `[PAD]`). `false` outside the vocabulary.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        matches!(self.piece(id), Ok(Piece::Special(_)))
    }

    /// The locale a language tag stands for: `en-US` for `<en-US>`; `None` for every other id.
    #[must_use]
    pub fn language(&self, id: u32) -> Option<&str> {
        self.piece(id).ok().and_then(Piece::language)
    }

    fn piece(&self, id: u32) -> Result<&Piece, TextError> {
        usize::try_from(id)
            .ok()
            .and_then(|index| self.pieces.get(index))
            .ok_or(TextError::TokenOutOfRange { id, size: self.pieces.len() })
    }
}

/// Ends a run of byte pieces: its text goes to the last text pushed, which is the last byte of the run.
fn flush(bytes: &mut Vec<u8>, texts: &mut [String]) {
    if bytes.is_empty() {
        return;
    }
    if let Some(last) = texts.last_mut() {
        last.push_str(&String::from_utf8_lossy(bytes));
    }
    bytes.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vocabulary() -> Vocabulary {
        let pieces = [
            "<unk>",
            "\u{2581}hel",
            "lo",
            "\u{2581}",
            "world",
            ".",
            "<en-US>",
            "<0xE2>",
            "<0x82>",
            "<0xAC>",
            "[PAD]",
            "\u{2581}caf\u{e9}",
            "\u{2581}\u{bf}",
            "日本",
        ];
        Vocabulary::new(pieces.iter().map(|&p| p.to_owned()).collect())
    }

    #[test]
    fn pieces_join_into_text() {
        let v = vocabulary();
        assert_eq!(v.decode(&[1, 2, 3, 4, 5]).unwrap(), "hello world.");
        assert_eq!(v.decode(&[6, 1, 2, 0, 10, 5]).unwrap(), "hello.");
        assert_eq!(v.decode(&[11, 13]).unwrap(), "café日本");
        assert_eq!(v.decode(&[]).unwrap(), "");
        assert_eq!(v.decode(&[3, 1]).unwrap(), " hel", "one leading space goes, a second is the model's own");
    }

    #[test]
    fn byte_pieces_make_utf8() {
        let v = vocabulary();
        assert_eq!(v.decode(&[1, 7, 8, 9, 2]).unwrap(), "hel€lo");
        assert_eq!(v.decode(&[7, 8]).unwrap(), "\u{fffd}");
        assert_eq!(v.decode(&[9]).unwrap(), "\u{fffd}");
        assert_eq!(v.decode(&[7, 8, 6, 9]).unwrap(), "\u{fffd}\u{fffd}", "a control piece ends the sequence");
        assert_eq!(v.texts(&[7, 8, 9, 2]).unwrap(), ["", "", "€", "lo"]);
    }

    #[test]
    fn an_unknown_id_is_named() {
        let error = vocabulary().decode(&[1, 14]).unwrap_err();
        assert_eq!(error, TextError::TokenOutOfRange { id: 14, size: 14 });
        assert_eq!(error.to_string(), "token id 14 is outside the vocabulary of 14 pieces");
        assert!(Vocabulary::new(Vec::new()).decode(&[u32::MAX]).is_err());
    }

    #[test]
    fn ids_answer_for_their_class() {
        let v = vocabulary();
        let starts: Vec<u32> = (0..20).filter(|&id| v.is_word_start(id)).collect();
        assert_eq!(starts, [1, 3, 11, 12]);
        let marks: Vec<u32> = (0..20).filter(|&id| v.is_punctuation(id)).collect();
        assert_eq!(marks, [5, 12]);
        let special: Vec<u32> = (0..20).filter(|&id| v.is_special(id)).collect();
        assert_eq!(special, [0, 6, 10]);
        assert_eq!(v.language(6), Some("en-US"));
        assert!(v.has_sentence_marks());
        assert!(!Vocabulary::new(vec!["\u{2581}a".into(), "'".into()]).has_sentence_marks());
    }

    proptest! {
        #[test]
        fn any_pieces_and_ids_decode_or_err(
            pieces in prop::collection::vec("(<0x[0-9A-F]{2}>|\u{2581}?[a-z.,é日<>\\[\\]]{0,4})", 0..40),
            ids in prop::collection::vec(0u32..45, 0..60),
        ) {
            let size = pieces.len();
            let v = Vocabulary::new(pieces);
            let known = ids.iter().all(|&id| (id as usize) < size);
            prop_assert_eq!(v.decode(&ids).is_ok(), known);
            if known {
                prop_assert_eq!(v.texts(&ids).unwrap().len(), ids.len());
            }
        }
    }
}
