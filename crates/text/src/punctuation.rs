//! Character classes that word grouping, sentence cutting and cue layout agree on.
//!
//! NeMo asks Unicode for category P; the standard library does not expose categories, and one table of the scripts
//! that speech vocabularies hold is smaller than a dependency.

/// Whether `c` has Unicode general category P (punctuation), for the scripts speech vocabularies hold.
///
/// ASCII signs of category S (`$ + < = > ^ \` | ~`) are not punctuation, as in NeMo.
#[must_use]
pub fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation() && !matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~');
    }
    matches!(u32::from(c),
        0xA1 | 0xA7 | 0xAB | 0xB6 | 0xB7 | 0xBB | 0xBF      // Latin-1: ¡ § « ¶ · » ¿
        | 0x37E | 0x387                                      // Greek
        | 0x55A..=0x55F | 0x589 | 0x58A                      // Armenian
        | 0x5BE | 0x5C0 | 0x5C3 | 0x5C6 | 0x5F3 | 0x5F4      // Hebrew
        | 0x609 | 0x60A | 0x60C | 0x60D | 0x61B | 0x61D..=0x61F | 0x66A..=0x66D | 0x6D4 // Arabic
        | 0x964 | 0x965 | 0x970                              // Devanagari
        | 0xE4F | 0xE5A | 0xE5B                              // Thai
        | 0x2010..=0x2027 | 0x2030..=0x2043 | 0x2045..=0x2051 | 0x2053..=0x205E // dashes, quotes, …
        | 0x3001..=0x3003 | 0x3008..=0x3011 | 0x3014..=0x301F | 0x3030 | 0x303D | 0x30A0 | 0x30FB
        | 0xFE10..=0xFE19 | 0xFE30..=0xFE52 | 0xFE54..=0xFE61 | 0xFE63 | 0xFE68 | 0xFE6A | 0xFE6B
        | 0xFF01..=0xFF03 | 0xFF05..=0xFF0A | 0xFF0C..=0xFF0F | 0xFF1A | 0xFF1B | 0xFF1F | 0xFF20
        | 0xFF3B..=0xFF3D | 0xFF3F | 0xFF5B | 0xFF5D | 0xFF5F..=0xFF65)
}

/// Marks that close what stands before them and never take a space in front.
///
/// NeMo drops the space before *any* punctuation, which glues an opening `¿`, `(` or `«` to the wrong word; only
/// closing marks are pulled back here.
#[must_use]
pub fn closes(c: char) -> bool {
    matches!(c, '.' | ',' | '?' | '!' | ':' | ';' | '%' | ')' | ']' | '}' | '…' | '”' | '’' | '»')
        || matches!(
            c,
            '。' | '、' | '，' | '．' | '？' | '！' | '：' | '；' | '」' | '』' | '）' | '】' | '》'
        )
        || matches!(c, '،' | '؛' | '؟' | '۔' | '।' | '॥' | '։')
}

/// A mark that ends a sentence: NeMo's segment separators `.`, `?`, `!` and their other-script forms.
#[must_use]
pub fn ends_sentence(c: char) -> bool {
    matches!(c, '.' | '?' | '!' | '…' | '。' | '．' | '？' | '！' | '؟' | '۔' | '।' | '॥' | '։')
}

/// A mark after which a sentence takes breath: the second-best place to break a subtitle.
#[must_use]
pub fn ends_clause(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '–' | '—' | '、' | '，' | '；' | '：' | '،' | '؛')
}

/// The last character of `text` that is neither a closing quote nor a closing bracket: what `."` ends with is `.`.
#[must_use]
pub fn final_mark(text: &str) -> Option<char> {
    text.chars()
        .rev()
        .find(|c| !matches!(c, '"' | '\'' | ')' | ']' | '}' | '”' | '’' | '»' | '」' | '』' | '）'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_not_punctuation() {
        assert!(".,?!'\"-()%&*/:;@[]_{}¿¡«»—…。、？".chars().all(is_punctuation));
        assert!(!"$+<=>^`|~ aZ0é日\u{2581}".chars().any(is_punctuation));
    }

    #[test]
    fn opening_marks_do_not_close() {
        assert!(!"¿¡«([{\"'-".chars().any(closes));
        assert!(".,?!:;)]}»".chars().all(closes));
    }

    #[test]
    fn quotes_do_not_hide_the_sentence_end() {
        assert_eq!(final_mark("done.\""), Some('.'));
        assert_eq!(final_mark("(really?)"), Some('?'));
        assert_eq!(final_mark("word"), Some('d'));
        assert_eq!(final_mark("\"\""), None);
    }
}
