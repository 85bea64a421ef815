//! The byte alphabet of GPT-2: each of the 256 bytes has a printable character, so that a vocabulary of byte strings
//! can be stored as text. Used by [`super::load`] to turn stored tokens back into bytes; nothing else sees it.

/// The character that stands for a byte.
pub(super) fn char_of(byte: u8) -> char {
    match byte {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        // Bytes without a glyph of their own are numbered from U+0100 on, in the order of their values.
        0x00..=0x20 => shifted(byte),
        0x7f..=0xa0 => shifted(byte - 0x7f + 0x21),
        0xad => shifted(0x43),
    }
}

/// The byte a character stands for; `None` for a character outside the alphabet.
pub(super) fn byte_of(c: char) -> Option<u8> {
    let code = u32::from(c);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

/// The bytes of a stored token. A token with a character outside the alphabet stands for its own UTF-8, as the
/// reference's byte-level decoder has it.
pub(super) fn bytes_of(token: &str) -> Vec<u8> {
    let mapped: Option<Vec<u8>> = token.chars().map(byte_of).collect();
    mapped.unwrap_or_else(|| token.as_bytes().to_vec())
}

fn shifted(rank: u8) -> char {
    char::from_u32(0x100 + u32::from(rank)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_alphabet_is_a_bijection() {
        let all: HashSet<char> = (0..=255).map(char_of).collect();
        assert_eq!(all.len(), 256);
        for byte in 0..=255 {
            assert_eq!(byte_of(char_of(byte)), Some(byte));
        }
        assert_eq!(byte_of('\u{144}'), None);
        assert_eq!(byte_of(' '), None);
    }

    #[test]
    fn known_corners() {
        assert_eq!(char_of(b' '), 'Ġ');
        assert_eq!(char_of(b'\n'), 'Ċ');
        assert_eq!(char_of(0xad), 'Ń');
        assert_eq!(char_of(0x7f), 'ġ');
        assert_eq!(bytes_of("Ġthe"), b" the");
        assert_eq!(bytes_of("<|日|>"), "<|日|>".as_bytes());
    }
}
