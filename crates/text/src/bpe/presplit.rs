//! The pre-split: text is cut into words before any merge, and no merge crosses a cut. Its output goes to
//! [`super::merge`].
//!
//! The reference states the rules as a regex with a look-ahead,
//!
//! ```text
//! (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?W+|\p{N}| ?[^\sW\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//! ```
//!
//! where `W` is `\p{L}` for `qwen2` and `[\p{L}\p{M}]` for `qwen35`, and for `gpt-2`
//!
//! ```text
//! 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//! ```
//!
//! Linear-time regex engines have no look-ahead and backtracking ones can be made to crawl, so the alternatives are
//! written out: each reads a character at most three times, whatever the text.

use super::classes::{Class, Classes};

/// A pre-split rule, by the name that `tokenizer.ggml.pre` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreSplit {
    /// `qwen2` (Qwen2, Qwen2.5, Qwen3, Qwen3-Next): a combining mark is no part of a word.
    Qwen2,
    /// `qwen35` (Qwen3.5): a combining mark continues a word.
    Qwen35,
    /// `gpt-2` (GPT-2, Chatterbox Turbo): a number is one word, however long, and line breaks are white space like any
    /// other. Texts are not brought into a normal form.
    Gpt2,
}

impl PreSplit {
    /// Every name that [`PreSplit::from_name`] knows.
    pub const NAMES: [(&'static str, PreSplit); 3] =
        [("qwen2", PreSplit::Qwen2), ("qwen35", PreSplit::Qwen35), ("gpt-2", PreSplit::Gpt2)];

    /// The rule of this name, `None` for a name without a rule.
    #[must_use]
    pub fn from_name(name: &str) -> Option<PreSplit> {
        PreSplit::NAMES.iter().find(|(known, _)| *known == name).map(|&(_, rule)| rule)
    }

    /// Whether texts are brought into Unicode's normal form C before they are split.
    pub(super) fn normalizes(self) -> bool {
        self != PreSplit::Gpt2
    }

    /// The words of `text`, which together are `text`.
    pub fn words(self, text: &str) -> impl Iterator<Item = &str> {
        let splitter = Splitter { classes: Classes::get(), marks: self == PreSplit::Qwen35 };
        let mut rest = text;
        std::iter::from_fn(move || {
            let length = if self == PreSplit::Gpt2 { splitter.gpt2_word(rest) } else { splitter.word(rest) };
            let (word, after) = rest.split_at(length);
            rest = after;
            (!word.is_empty()).then_some(word)
        })
    }
}

struct Splitter {
    classes: &'static Classes,
    /// Whether `W` contains the marks.
    marks: bool,
}

impl Splitter {
    /// The length of the word that `text` begins with; 0 only for an empty text.
    fn word(&self, text: &str) -> usize {
        let mut chars = text.chars();
        let Some(first) = chars.next() else { return 0 };
        let second = chars.next();
        let size = first.len_utf8();
        if let Some(length) = contraction(text) {
            return length;
        }
        let class = self.class(first);
        let prefixes = !matches!(first, '\r' | '\n') && !matches!(class, Class::Letter | Class::Number);
        if class == Class::Letter || (prefixes && self.is(second, Class::Letter)) {
            return size + self.run(&text[size..], Class::Letter);
        }
        if class == Class::Number {
            return size;
        }
        if class == Class::Other || (first == ' ' && self.is(second, Class::Other)) {
            let end = size + self.run(&text[size..], Class::Other);
            let newlines = text[end..].bytes().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            return end + newlines;
        }
        let run = &text[..self.run(text, Class::Space)];
        match run.rfind(['\r', '\n']) {
            Some(at) => at + 1,
            None => Splitter::spaces(text, run),
        }
    }

    /// The same by GPT-2's rule.
    fn gpt2_word(&self, text: &str) -> usize {
        const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
        if let Some(contraction) = CONTRACTIONS.iter().find(|&&end| text.starts_with(end)) {
            return contraction.len();
        }
        let body = text.strip_prefix(' ').unwrap_or(text);
        match body.chars().next().map(|c| self.class(c)) {
            None => text.len(),
            Some(Class::Space) => Splitter::spaces(text, &text[..self.run(text, Class::Space)]),
            Some(class) => text.len() - body.len() + self.run(body, class),
        }
    }

    /// The length of a run of white space, without line breaks that end it: all but its last character, which belongs
    /// to the word that follows, unless nothing follows or it is the only one.
    fn spaces(text: &str, run: &str) -> usize {
        let end = run.len();
        let last = run.chars().next_back().map_or(0, char::len_utf8);
        if end == text.len() || end == last { end } else { end - last }
    }

    /// How many bytes of `text`, from its beginning, are of `class`.
    fn run(&self, text: &str, class: Class) -> usize {
        text.char_indices().find(|&(_, c)| self.class(c) != class).map_or(text.len(), |(at, _)| at)
    }

    fn is(&self, c: Option<char>, class: Class) -> bool {
        c.is_some_and(|c| self.class(c) == class)
    }

    /// The class under this rule: a mark counts as a letter or as anything else.
    fn class(&self, c: char) -> Class {
        match self.classes.of(c) {
            Class::Mark if self.marks => Class::Letter,
            Class::Mark => Class::Other,
            class => class,
        }
    }
}

/// The length of an English contraction (`'s`, `'RE`, …) at the beginning of `text`. U+017F, the long s, is an s where
/// case does not matter.
fn contraction(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let mut chars = rest.chars();
    let first = chars.next()?;
    match first {
        's' | 'S' | 't' | 'T' | 'm' | 'M' | 'd' | 'D' | '\u{17f}' => Some(1 + first.len_utf8()),
        'r' | 'R' | 'v' | 'V' => matches!(chars.next()?, 'e' | 'E').then_some(3),
        'l' | 'L' => matches!(chars.next()?, 'l' | 'L').then_some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(rule: PreSplit, text: &str) -> Vec<&str> {
        rule.words(text).collect()
    }

    #[test]
    fn words_numbers_and_punctuation() {
        assert_eq!(
            words(PreSplit::Qwen35, "I'll pay $12.50, don't I?\n"),
            ["I", "'ll", " pay", " $", "1", "2", ".", "5", "0", ",", " don", "'t", " I", "?\n"]
        );
        assert_eq!(words(PreSplit::Qwen35, "(ab)!cd 'quote"), ["(ab", ")!", "cd", " '", "quote"]);
    }

    #[test]
    fn white_space() {
        assert_eq!(words(PreSplit::Qwen35, "a  b"), ["a", " ", " b"]);
        assert_eq!(words(PreSplit::Qwen35, "a \n \n  b"), ["a", " \n \n", " ", " b"]);
        assert_eq!(words(PreSplit::Qwen35, "a   "), ["a", "   "]);
        assert_eq!(words(PreSplit::Qwen35, "a \t1"), ["a", " ", "\t", "1"]);
        assert_eq!(words(PreSplit::Qwen35, "\u{3000}!"), ["\u{3000}", "!"], "only U+0020 joins punctuation");
        assert_eq!(words(PreSplit::Qwen35, ""), Vec::<&str>::new());
    }

    #[test]
    fn marks_are_what_the_rules_differ_in() {
        let text = "कि\u{301}";
        assert_eq!(words(PreSplit::Qwen35, text), ["कि\u{301}"]);
        assert_eq!(words(PreSplit::Qwen2, text), ["क", "ि\u{301}"]);
        assert_eq!(words(PreSplit::Qwen35, "!\u{301}a"), ["!\u{301}a"]);
        assert_eq!(words(PreSplit::Qwen2, "!\u{301}a"), ["!\u{301}", "a"]);
    }

    #[test]
    fn gpt2() {
        let words = |text| words(PreSplit::Gpt2, text);
        assert_eq!(
            words("I'll pay $12.50, DON'T\n\n  I?\n"),
            ["I", "'ll", " pay", " $", "12", ".", "50", ",", " DON", "'", "T", "\n\n ", " I", "?", "\n"]
        );
        assert_eq!(words("(ab)!\n'sx  "), ["(", "ab", ")!", "\n", "'s", "x", "  "]);
        assert_eq!(words("\n\na e\u{301}1"), ["\n", "\n", "a", " e", "\u{301}", "1"]);
        assert_eq!(words("été [laugh]"), ["été", " [", "laugh", "]"]);
    }

    #[test]
    fn names() {
        assert_eq!(PreSplit::from_name("qwen35"), Some(PreSplit::Qwen35));
        assert_eq!(PreSplit::from_name("llama-bpe"), None);
    }

    proptest! {
        #[test]
        fn words_are_the_text(text in "(\\PC|[ \r\n\t'a1.!\u{301}\u{3000}sS]){0,60}") {
            for (_, rule) in PreSplit::NAMES {
                let words = words(rule, &text);
                prop_assert_eq!(words.concat(), text.clone());
            }
        }
    }
}
