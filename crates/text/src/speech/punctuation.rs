//! `punc_norm`: punctuation the models were not trained with becomes punctuation they were. Step for step the
//! reference's function of this name, of which each model has its own; the result goes to a tokenizer.

/// What the reference says where there is nothing to say.
pub const STOCK_SENTENCE: &str = "You need to add some text for me to talk.";

/// Whose punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The original English model (`chatterbox.tts`).
    English,
    /// The multilingual models (`chatterbox.mtl_tts`): East Asian marks end a sentence too.
    Multilingual,
    /// Turbo and Nano (`chatterbox.tts_turbo`): three dots, a dash between spaces and a semicolon stay.
    Turbo,
}

/// In this order: later rules see what earlier ones made.
const RULES: [(&str, &str); 12] = [
    ("...", ", "),
    ("…", ", "),
    (":", ","),
    (" - ", ", "),
    (";", ", "),
    ("—", "-"),
    ("–", "-"),
    (" ,", ","),
    ("“", "\""),
    ("”", "\""),
    ("‘", "'"),
    ("’", "'"),
];
/// Those that Turbo does without.
const NOT_TURBO: [&str; 3] = ["...", " - ", ";"];

/// The text with a capital first letter, single spaces, known punctuation and an end.
#[must_use]
pub fn punc_norm(text: &str, style: Style) -> String {
    if text.is_empty() {
        return STOCK_SENTENCE.to_owned();
    }
    // Before spaces are dropped, so that only a text that begins with a letter gets a capital.
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text.chars();
    match rest.next() {
        Some(first) if first.is_lowercase() => out.extend(first.to_uppercase().chain(rest)),
        _ => out.push_str(text),
    }
    out = out.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    for (old, new) in RULES {
        if style != Style::Turbo || !NOT_TURBO.contains(&old) {
            out = out.replace(old, new);
        }
    }
    out.truncate(out.trim_end_matches(' ').len());
    let east_asian = style == Style::Multilingual && out.ends_with(['、', '，', '。', '？', '！']);
    if !out.ends_with(['.', '!', '?', '-', ',']) && !east_asian {
        out.push('.');
    }
    out
}

/// What Python's `str.split` splits at: white space and the four information separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_three_differ_in() {
        let text = "wait... “what” ; 3 - 4 — yes: no … ok";
        let english = "Wait, \"what\", 3, 4 - yes, no, ok.";
        assert_eq!(punc_norm(text, Style::Turbo), "Wait... \"what\" ; 3 - 4 - yes, no,  ok.");
        // A rule may leave two spaces; the reference does too.
        assert_eq!(punc_norm(text, Style::English).replace("  ", " "), english);
        assert_eq!(punc_norm("好。", Style::Multilingual), "好。");
        assert_eq!(punc_norm("好。", Style::English), "好。.");
    }

    #[test]
    fn corners() {
        assert_eq!(punc_norm("", Style::Turbo), STOCK_SENTENCE);
        assert_eq!(punc_norm(" \n", Style::Turbo), ".");
        assert_eq!(punc_norm(" a\u{1c}b ", Style::Turbo), "a b.");
        assert_eq!(punc_norm("ßa", Style::Turbo), "SSa.");
        assert_eq!(punc_norm("a,", Style::Turbo), "A,");
    }

    proptest! {
        #[test]
        fn always_ends_and_never_has_a_line_break(text in "\\PC{0,40}|[a .…,:;\n-]{0,40}") {
            for style in [Style::English, Style::Multilingual, Style::Turbo] {
                let out = punc_norm(&text, style);
                prop_assert!(out.ends_with(['.', '!', '?', '-', ',', '、', '，', '。', '？', '！']));
                prop_assert!(!out.contains('\n'));
            }
        }
    }
}
