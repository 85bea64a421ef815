//! Tokens that are found in a text before it is split: `[SPACE]`, `[en]`, `[cj_a]`. The leftmost comes first, of those
//! that begin together the longest; those that the file marks as not normalised are found before all others.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::Deserialize;

use super::words::is_word;
use crate::speech::error::SpeechError;

/// An entry of `added_tokens`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Added {
    pub(super) id: u32,
    pub(super) content: String,
    /// Only where no word character touches it.
    #[serde(default)]
    single_word: bool,
    /// Takes the white space before it.
    #[serde(default)]
    lstrip: bool,
    /// Takes the white space behind it.
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
}

/// The added tokens, ready to be searched for.
#[derive(Debug, Clone, Default)]
pub(super) struct AddedTokens {
    passes: Vec<Pass>,
}

#[derive(Debug, Clone)]
struct Pass {
    tokens: Vec<Added>,
    automaton: AhoCorasick,
}

/// A stretch of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Token(u32),
    Text(&'t str),
}

impl AddedTokens {
    /// Takes the entries of the file; tokens that the vocabulary has too go by the vocabulary's id.
    pub(super) fn new(
        tokens: Vec<Added>,
        vocabulary: &HashMap<String, u32>,
    ) -> Result<AddedTokens, SpeechError> {
        let tokens = tokens
            .into_iter()
            .filter(|token| !token.content.is_empty())
            .map(|token| Added { id: vocabulary.get(&token.content).copied().unwrap_or(token.id), ..token });
        let (late, early): (Vec<Added>, Vec<Added>) = tokens.partition(|token| token.normalized);
        let mut passes = Vec::new();
        for tokens in [early, late].into_iter().filter(|tokens| !tokens.is_empty()) {
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(tokens.iter().map(|token| token.content.as_str()))
                .map_err(|error| SpeechError::AddedTokens { reason: error.to_string() })?;
            passes.push(Pass { tokens, automaton });
        }
        Ok(AddedTokens { passes })
    }

    /// Calls `each` with the parts of `text` in order.
    pub(super) fn cut<'t>(&self, text: &'t str, mut each: impl FnMut(Part<'t>)) {
        let [first, rest @ ..] = self.passes.as_slice() else { return each(Part::Text(text)) };
        first.cut(text, &mut |part| match (part, rest) {
            (Part::Text(text), [second, ..]) => second.cut(text, &mut each),
            _ => each(part),
        });
    }
}

impl Pass {
    fn cut<'t>(&self, text: &'t str, each: &mut impl FnMut(Part<'t>)) {
        let mut done = 0;
        for found in self.automaton.find_iter(text) {
            let Some(token) = self.tokens.get(found.pattern().as_usize()) else { continue };
            let (before, after) = (&text[..found.start()], &text[found.end()..]);
            let touched =
                before.chars().next_back().is_some_and(is_word) || after.chars().next().is_some_and(is_word);
            // What an earlier token took with it is gone.
            if (token.single_word && touched) || found.start() < done {
                continue;
            }
            let start = if token.lstrip { before.trim_end().len().max(done) } else { found.start() };
            let end = if token.rstrip { text.len() - after.trim_start().len() } else { found.end() };
            if start > done {
                each(Part::Text(&text[done..start]));
            }
            each(Part::Token(token.id));
            done = end;
        }
        if done < text.len() {
            each(Part::Text(&text[done..]));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a broken table is a failed test")]
    use super::*;

    fn parts<'t>(tokens: &str, text: &'t str) -> Vec<Part<'t>> {
        let tokens = AddedTokens::new(serde_json::from_str(tokens).unwrap(), &HashMap::new()).unwrap();
        let mut parts = Vec::new();
        tokens.cut(text, |part| parts.push(part));
        parts
    }

    #[test]
    fn longest_first_and_in_two_passes() {
        use Part::{Text, Token};
        let tokens = r#"[{"id": 1, "content": "[a]"}, {"id": 2, "content": "[a]b"}, {"id": 3, "content": "x[", "normalized": true}]"#;
        assert_eq!(parts(tokens, "x[a]bc[a]"), [Text("x"), Token(2), Text("c"), Token(1)]);
        assert_eq!(parts(tokens, "ax[b"), [Text("a"), Token(3), Text("b")]);
        assert_eq!(parts(tokens, ""), []);
        assert_eq!(parts("[]", "x"), [Text("x")]);
    }

    #[test]
    fn white_space_and_words_around() {
        use Part::{Text, Token};
        let tokens = r#"[{"id": 1, "content": "<l>", "lstrip": true}, {"id": 2, "content": "<r>", "rstrip": true},
                         {"id": 3, "content": "mm", "single_word": true}]"#;
        assert_eq!(
            parts(tokens, "a <l> <r> <l>b"),
            [Text("a"), Token(1), Text(" "), Token(2), Token(1), Text("b")]
        );
        assert_eq!(parts(tokens, "hmm mm,"), [Text("hmm "), Token(3), Text(",")]);
    }
}
