//! Tokens that stand for themselves and not for a word: turn marks, thinking and tool-call tags. Finding them in a text
//! is the caller's decision ([`Specials`]), since whoever may write such a token may speak in another's name.
//!
//! [`super::Tokenizer`] cuts texts here before it splits words; [`crate::chat`] asks it which strings to disarm.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use super::error::BpeError;

/// Which special tokens are recognised in a text. What is not recognised is text like any other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Specials {
    /// None: for text that somebody wrote. The default.
    #[default]
    None,
    /// User-defined tokens (`<think>`, `<tool_call>`) but no control tokens (`<|im_end|>`): llama.cpp without
    /// `parse_special`.
    UserDefined,
    /// Control and user-defined tokens: for a prompt that a template laid out, and what the reference tokenizer does
    /// when it is not told otherwise.
    All,
}

/// The special tokens of a vocabulary, ready to be searched for: the leftmost first, the longest of those that begin
/// together. The default has none.
#[derive(Debug, Clone, Default)]
pub struct SpecialTokens {
    control: Finder,
    user_defined: Finder,
    all: Finder,
}

#[derive(Debug, Clone, Default)]
struct Finder {
    ids: Vec<u32>,
    automaton: Option<AhoCorasick>,
}

impl SpecialTokens {
    /// Takes the text and id of every control token and every user-defined token. Empty texts are passed over.
    pub(super) fn new(
        control: &[(&str, u32)],
        user_defined: &[(&str, u32)],
    ) -> Result<SpecialTokens, BpeError> {
        let all = [control, user_defined].concat();
        let (control, user_defined) = (Finder::new(control)?, Finder::new(user_defined)?);
        Ok(SpecialTokens { control, user_defined, all: Finder::new(&all)? })
    }

    /// The first special token at or after byte `from` of `text`: where it is, and its id.
    pub(crate) fn find(&self, text: &str, from: usize, specials: Specials) -> Option<(Range<usize>, u32)> {
        let finder = match specials {
            Specials::None => return None,
            Specials::UserDefined => &self.user_defined,
            Specials::All => &self.all,
        };
        finder.find(text, from)
    }

    /// The first control token at or after byte `from` of `text`.
    pub(crate) fn find_control(&self, text: &str, from: usize) -> Option<(Range<usize>, u32)> {
        self.control.find(text, from)
    }
}

impl Finder {
    fn new(tokens: &[(&str, u32)]) -> Result<Finder, BpeError> {
        let tokens: Vec<_> = tokens.iter().filter(|(text, _)| !text.is_empty()).collect();
        if tokens.is_empty() {
            return Ok(Finder::default());
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(tokens.iter().map(|(text, _)| text))
            .map_err(|error| BpeError::SpecialTokens { reason: error.to_string() })?;
        Ok(Finder { ids: tokens.iter().map(|&&(_, id)| id).collect(), automaton: Some(automaton) })
    }

    fn find(&self, text: &str, from: usize) -> Option<(Range<usize>, u32)> {
        let found = self.automaton.as_ref()?.find(Input::new(text).range(from..))?;
        Some((found.range(), self.ids[found.pattern().as_usize()]))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a broken table is a failed test")]
    use super::*;

    #[test]
    fn leftmost_then_longest() {
        let special = SpecialTokens::new(&[("<a>", 1), ("<a>b", 2), ("", 9)], &[("a>", 3)]).unwrap();
        assert_eq!(special.find("x<a>bc", 0, Specials::All), Some((1..5, 2)));
        assert_eq!(special.find("x<a>c", 0, Specials::All), Some((1..4, 1)));
        assert_eq!(special.find("x<a>c", 2, Specials::All), Some((2..4, 3)));
        assert_eq!(special.find("x<a>c", 0, Specials::UserDefined), Some((2..4, 3)));
        assert_eq!(special.find("x<a>c", 0, Specials::None), None);
        assert_eq!(special.find("é", 0, Specials::All), None);
        assert_eq!(SpecialTokens::default().find("<a>", 0, Specials::All), None);
    }
}
