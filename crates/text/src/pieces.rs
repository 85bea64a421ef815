//! What one SentencePiece piece stands for: text, a raw byte, or a control mark that is never shown.
//! Classified once when a vocabulary is loaded; [`crate::Vocabulary`] then only looks up.

/// SentencePiece writes a space as U+2581 (lower one eighth block).
pub(crate) const META_SPACE: char = '\u{2581}';

/// A classified piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Visible text with U+2581 already turned into spaces.
    Text(String),
    /// Byte fallback: `<0xE2>` is the byte E2 of a UTF-8 sequence spread over several pieces.
    Byte(u8),
    /// `<unk>`, `<en-US>`, `<EOU>`, `[PAD]`, …: steers the model, is not speech. An empty piece counts as one.
    Special(String),
}

impl Piece {
    pub(crate) fn classify(raw: &str) -> Self {
        if let Some(byte) = byte_piece(raw) {
            return Self::Byte(byte);
        }
        // Some vocabularies carry tags with the word mark in front.
        let bare = raw.trim_start_matches(META_SPACE);
        if raw.is_empty() || is_special(bare) {
            return Self::Special(bare.to_owned());
        }
        Self::Text(raw.replace(META_SPACE, " "))
    }

    /// A language tag such as `<en-US>` without its brackets; `None` for every other piece.
    pub(crate) fn language(&self) -> Option<&str> {
        let Self::Special(tag) = self else { return None };
        let code = tag.strip_prefix('<')?.strip_suffix('>')?;
        let (language, region) = code.split_once('-')?;
        let lower = (2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_lowercase());
        let upper = (2..=3).contains(&region.len()) && region.bytes().all(|b| b.is_ascii_alphanumeric());
        (lower && upper).then_some(code)
    }
}

fn byte_piece(raw: &str) -> Option<u8> {
    let hex = raw.strip_prefix("<0x")?.strip_suffix('>')?;
    // from_str_radix would also take a sign, so the digits are checked first.
    if hex.len() != 2 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(hex, 16).ok()
}

fn is_special(bare: &str) -> bool {
    bare.len() > 2
        && ((bare.starts_with('<') && bare.ends_with('>')) || (bare.starts_with('[') && bare.ends_with(']')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fall_into_their_classes() {
        assert_eq!(Piece::classify("\u{2581}the"), Piece::Text(" the".into()));
        assert_eq!(Piece::classify("ing"), Piece::Text("ing".into()));
        assert_eq!(Piece::classify("<0xE2>"), Piece::Byte(0xE2));
        assert_eq!(Piece::classify("<0x+2>"), Piece::Special("<0x+2>".into()));
        for special in ["", "<unk>", "<en-US>", "[PAD]", "\u{2581}<EOU>"] {
            assert!(matches!(Piece::classify(special), Piece::Special(_)), "{special}");
        }
        for text in ["<", ">", "[", "]", "<>", "[]"] {
            assert_eq!(Piece::classify(text), Piece::Text(text.into()), "{text}");
        }
    }

    #[test]
    fn only_locale_tags_name_a_language() {
        assert_eq!(Piece::classify("<en-US>").language(), Some("en-US"));
        assert_eq!(Piece::classify("<es-419>").language(), Some("es-419"));
        for other in ["<unk>", "<EOU>", "[en-US]", "<EN-us>", "en-US", "<end-of-turn>"] {
            assert_eq!(Piece::classify(other).language(), None, "{other}");
        }
    }
}
