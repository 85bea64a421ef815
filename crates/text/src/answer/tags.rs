//! The tags of an answer, found in text that is still growing.

pub(super) const THINK: &str = "<think>";
pub(super) const THINK_END: &str = "</think>";
pub(super) const CALL: &str = "<tool_call>";
pub(super) const CALL_END: &str = "</tool_call>";
pub(super) const FUNCTION: &str = "<function=";
pub(super) const FUNCTION_END: &str = "</function>";

/// What a text has of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The tag, from here on.
    Whole(usize),
    /// What may become the tag, from here to the end; the end itself if nothing does.
    Open(usize),
}

/// The first `tag` in `text`, or the beginning of one at its end.
pub(super) fn find(text: &str, tag: &str) -> Seen {
    if let Some(at) = text.find(tag) {
        return Seen::Whole(at);
    }
    let longest = (1..tag.len()).rev().find(|&length| text.ends_with(&tag[..length]));
    Seen::Open(text.len() - longest.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_open() {
        assert_eq!(find("ab<think>c<think>", THINK), Seen::Whole(2));
        assert_eq!(find("é<thi", THINK), Seen::Open(2));
        assert_eq!(find("<<", THINK), Seen::Open(1));
        assert_eq!(find("<thé", THINK), Seen::Open(5));
        assert_eq!(find("", THINK), Seen::Open(0));
    }
}
