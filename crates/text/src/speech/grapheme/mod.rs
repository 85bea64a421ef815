//! The tokenizer of the grapheme models: added tokens are cut out, the rest is split into words, and characters are
//! merged within words. The original English model and the multilingual ones differ in their vocabulary and in what is
//! done to a text before ([`super::FrontEnd`]).
//!
//! Does what the tokenizers library does with such a file: pre-tokeniser `Whitespace`, model `BPE` with an unknown
//! token and no byte fallback.

mod added;
mod load;
mod words;

use std::collections::HashMap;

use super::Encoded;
use super::error::SpeechError;
use crate::bpe::merge::{Merger, Merges};
use added::AddedTokens;
use words::words;

/// How the vocabularies write a space.
const SPACE: &str = "[SPACE]";

/// Characters to token ids by merges.
#[derive(Debug, Clone)]
pub struct GraphemeTokenizer {
    /// Tokens of one character, with which merging begins.
    letters: HashMap<char, u32>,
    merges: Merges,
    added: AddedTokens,
    /// For characters without a token.
    unknown: Option<u32>,
    /// Whether a run of such characters is one token.
    fuses_unknown: bool,
    /// `[START]` and `[STOP]`.
    around: (u32, u32),
    /// One more than the largest id.
    size: usize,
}

impl GraphemeTokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`SpeechError`] for JSON that is broken, a pre-tokeniser, normaliser or model of another kind, a merge or a
    /// token that is missing.
    pub fn from_json(json: &str) -> Result<GraphemeTokenizer, SpeechError> {
        load::load(json)
    }

    /// One more than the largest token id.
    pub fn len(&self) -> usize {
        self.size
    }

    /// Never: a vocabulary without a start token is refused.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The ids of `[START]` and `[STOP]`.
    pub fn around(&self) -> (u32, u32) {
        self.around
    }

    /// The ids of `text`, in which spaces (U+0020) become `[SPACE]` tokens and all other white space only parts words.
    pub fn encode(&self, text: &str) -> Encoded {
        let text = text.replace(' ', SPACE);
        let mut out = Encoded::default();
        let mut merger = Merger::default();
        self.added.cut(&text, |part| match part {
            added::Part::Token(id) => out.ids.push(id),
            added::Part::Text(text) => {
                for word in words(text) {
                    self.word(word, &mut merger, &mut out);
                }
            }
        });
        out
    }

    fn word(&self, word: &str, merger: &mut Merger, out: &mut Encoded) {
        let mut unknown_before = false;
        let mut letters = Vec::with_capacity(word.len());
        for c in word.chars() {
            match self.letters.get(&c) {
                Some(&id) => letters.push(id),
                None => {
                    // A text may hold thousands of distinct characters without a token, and a user reads a few.
                    if out.unknown.len() < MAX_UNKNOWN && !out.unknown.contains(&c) {
                        out.unknown.push(c);
                    }
                    letters.extend(self.unknown.filter(|_| !(self.fuses_unknown && unknown_before)));
                }
            }
            unknown_before = !self.letters.contains_key(&c);
        }
        merger.merge(&self.merges, letters.into_iter(), &mut out.ids);
    }
}

/// Unknown characters that are named at most.
const MAX_UNKNOWN: usize = 64;
