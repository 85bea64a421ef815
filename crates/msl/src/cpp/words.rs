//! Cuts a line of naga's Metal text into words.

/// A word of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// An identifier or keyword.
    Name(&'a str),
    /// A literal with its suffix.
    Number(&'a str),
    /// `[[…]]`.
    Attribute,
    /// Punctuation, one character, or blanks.
    Other(&'a str),
}

/// The words of a line.
pub(super) fn words(line: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (word, len) = first(rest)?;
        rest = &rest[len..];
        Some(word)
    })
}

fn first(text: &str) -> Option<(Word<'_>, usize)> {
    let start = text.chars().next()?;
    let until = |stop: &dyn Fn(char) -> bool| text.find(stop).unwrap_or(text.len());
    if start.is_ascii_alphabetic() || start == '_' {
        let len = until(&|c| !(c.is_ascii_alphanumeric() || c == '_'));
        return Some((Word::Name(&text[..len]), len));
    }
    if start.is_ascii_digit() {
        let len = number(text.as_bytes());
        return Some((Word::Number(&text[..len]), len));
    }
    if text.starts_with("[[")
        && let Some(end) = text.find("]]")
        // `a[[` can't start a subscript in naga's text; `]]` inside an attribute does not occur.
        && text[2..].starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return Some((Word::Attribute, end + 2));
    }
    let len = start.len_utf8();
    Some((Word::Other(&text[..len]), len))
}

/// Bytes of the literal that the text starts with.
fn number(text: &[u8]) -> usize {
    let mut len = 1;
    while let Some(&byte) = text.get(len) {
        let exponent = matches!(text[len - 1], b'e' | b'E') && !text.starts_with(b"0x");
        if byte.is_ascii_alphanumeric() || byte == b'.' || (exponent && matches!(byte, b'+' | b'-')) {
            len += 1;
        } else {
            break;
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use super::{Word, words};

    #[test]
    fn a_line_in_words() {
        let found: Vec<_> = words("x1[0] = 1.5e-7-a.xy [[buffer(0)]]").collect();
        let wanted = [
            Word::Name("x1"),
            Word::Other("["),
            Word::Number("0"),
            Word::Other("]"),
            Word::Other(" "),
            Word::Other("="),
            Word::Other(" "),
            Word::Number("1.5e-7"),
            Word::Other("-"),
            Word::Name("a"),
            Word::Other("."),
            Word::Name("xy"),
            Word::Other(" "),
            Word::Attribute,
        ];
        assert_eq!(found, wanted);
    }
}
