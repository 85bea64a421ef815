//! The pre-tokeniser `Whitespace`: `\w+|[^\w\s]+`, with `\w` as Unicode's regular expressions have it (UTS 18):
//! letters, marks, decimal digits, connecting punctuation and joiners.

use std::sync::OnceLock;

use crate::bpe::classes::ranges;

/// The words of `text`: runs of word characters and runs of what is neither that nor white space.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next().map(is_word)?;
        let ends = |c: char| c.is_whitespace() || is_word(c) != first;
        let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        rest = after;
        Some(word)
    })
}

/// `\w`
pub(super) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    static TABLE: OnceLock<Vec<(u32, u32)>> = OnceLock::new();
    let table = TABLE.get_or_init(|| ranges(r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]"));
    let code = u32::from(c);
    let after = table.partition_point(|&(first, _)| first <= code);
    after.checked_sub(1).and_then(|at| table.get(at)).is_some_and(|&(_, last)| code <= last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_and_what_is_between() {
        let of = |text| words(text).collect::<Vec<_>>();
        assert_eq!(of(" a_1,.b\n\u{3000}e\u{301}!? "), ["a_1", ",.", "b", "e\u{301}", "!?"]);
        assert_eq!(of("[en]i’m"), ["[", "en", "]", "i", "’", "m"]);
        assert_eq!(of("\u{200d}\u{203f}\u{661}½ⅷ"), ["\u{200d}\u{203f}\u{661}", "½", "ⅷ"]);
        assert_eq!(of(" \n"), Vec::<&str>::new());
    }

    proptest! {
        #[test]
        fn only_white_space_is_lost(text in "\\PC{0,40}") {
            let kept: String = words(&text).collect();
            let wanted: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            prop_assert_eq!(kept, wanted);
        }
    }
}
