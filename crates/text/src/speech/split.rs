//! Long texts cut into pieces that a model speaks in one breath. A speech model loses its way in long texts and makes
//! things up for very short ones, so pieces are as long as the limit allows and none is a lone word if it can be helped.
//!
//! Three passes, as in chatterbox.cpp: cut at the ends of sentences; cut what is still too long at a clause mark in its
//! second half, or at a space in its last quarter, or where it must be; join neighbours up to the limit. Pieces are
//! slices of the text without the white space at the cuts; everything else is in exactly one of them.

use crate::punctuation::{ends_clause, ends_sentence};

/// How long pieces are, in characters (Unicode scalar values).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitLimits {
    /// Pieces are joined up to this length and cut above it; at least 8 is taken.
    pub longest: usize,
    /// A piece shorter than this joins a neighbour even if the limit is then exceeded, by less than this and a space.
    pub shortest: usize,
}

impl Default for SplitLimits {
    /// chatterbox.cpp's limit, and about three words.
    fn default() -> SplitLimits {
        SplitLimits { longest: 180, shortest: 16 }
    }
}

/// A stretch of the text: byte offsets, and its length in characters.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: usize,
    end: usize,
    chars: usize,
}

/// The pieces of `text` in order; none for a text of white space. Costs time linear in the text.
#[must_use]
pub fn split(text: &str, limits: SplitLimits) -> Vec<&str> {
    let longest = limits.longest.max(8);
    let mut pieces = Vec::new();
    for sentence in sentences(text) {
        shorten(text, sentence, longest, &mut pieces);
    }
    let pieces = join(&pieces, SplitLimits { longest, ..limits });
    pieces.iter().filter_map(|piece| text.get(piece.start..piece.end)).collect()
}

/// Marks that may stand between the end of a sentence and the white space behind it.
fn closes_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | ')' | ']' | '}' | '”' | '’' | '»' | '」' | '』' | '）' | '】' | '》')
}

/// Sentence marks of scripts that put no space behind them.
fn ends_without_space(c: char) -> bool {
    matches!(c, '。' | '．' | '？' | '！' | '।' | '॥')
}

/// Whether a full stop behind this text is part of its last word: an initial, or an abbreviation that something follows.
fn abbreviates(text: &str) -> bool {
    const SHORT: [&str; 14] =
        ["Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Sr", "Jr", "vs", "No", "Fig", "e.g", "i.e", "z.B"];
    // The longest of these, and one more: the rest of the text does not matter.
    let word =
        text.char_indices().rev().take(6).find(|(_, c)| c.is_whitespace() || matches!(c, '(' | '"' | '“'));
    let word = match word {
        Some((at, c)) => text.get(at + c.len_utf8()..).unwrap_or_default(),
        None if text.len() <= 6 => text,
        None => return false,
    };
    let mut chars = word.chars();
    let initial = chars.next().is_some_and(|c| c.is_uppercase() && c != 'I') && chars.next().is_none();
    initial || SHORT.contains(&word)
}

/// The text cut behind sentence marks, and at empty lines.
fn sentences(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut start = 0;
    // Whether a mark has ended the sentence, but for what closes it; with a script's mark that needs no space.
    let (mut ended, mut wide) = (false, false);
    let mut lines = 0;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            lines += usize::from(c == '\n');
            if ended || lines == 2 {
                push(text, start..at, &mut out);
                start = at;
            }
            (ended, wide) = (false, false);
            continue;
        }
        lines = 0;
        if ends_sentence(c) {
            ended = c != '.' || !text.get(start..at).is_some_and(abbreviates);
            wide = ends_without_space(c);
        } else if !(ended && closes_quote(c)) {
            if wide {
                push(text, start..at, &mut out);
                start = at;
            }
            (ended, wide) = (false, false);
        }
    }
    push(text, start..text.len(), &mut out);
    out
}

/// Appends a stretch without the white space around it, unless that is all of it.
fn push(text: &str, range: std::ops::Range<usize>, out: &mut Vec<Piece>) {
    let Some(part) = text.get(range.clone()) else { return };
    let start = range.start + (part.len() - part.trim_start().len());
    let part = part.trim();
    if !part.is_empty() {
        out.push(Piece { start, end: start + part.len(), chars: part.chars().count() });
    }
}

/// Cuts a sentence until every part is within the limit. Looks at no more than the limit's characters for each cut.
fn shorten(text: &str, sentence: Piece, longest: usize, out: &mut Vec<Piece>) {
    if sentence.chars <= longest {
        out.push(sentence);
        return;
    }
    let mut start = sentence.start;
    while let Some(rest) = text.get(start..sentence.end).filter(|rest| !rest.is_empty()) {
        let Some((limit, _)) = rest.char_indices().nth(longest) else {
            push(text, start..sentence.end, out);
            return;
        };
        let cut = cut(rest, limit, longest);
        push(text, start..start + cut, out);
        let after = rest.get(cut..).unwrap_or_default();
        start += cut + (after.len() - after.trim_start().len());
    }
}

/// Where to cut `rest`, of which the first `limit` bytes, `longest` characters, are to hold the first part: more than 0.
fn cut(rest: &str, limit: usize, longest: usize) -> usize {
    let (mut clause, mut space, mut hard) = (None, None, limit);
    let mut before = None;
    for (index, (at, c)) in rest.char_indices().enumerate().take(longest + 1) {
        let mark = before.filter(|&mark| ends_clause(mark) || ends_sentence(mark));
        if index > longest / 2 {
            if c.is_whitespace() {
                space = Some(at);
            }
            if mark.is_some_and(|mark| c.is_whitespace() || !mark.is_ascii() && !ends_clause(c)) {
                clause = Some(at);
            }
            if !extends(c) && before.is_some_and(|before| !joins(before)) {
                hard = at;
            }
        }
        before = Some(c);
    }
    let last_quarter = rest.char_indices().nth(longest - longest / 4).map_or(limit, |(at, _)| at);
    clause.or(space.filter(|&at| at >= last_quarter)).or(space).unwrap_or(hard)
}

/// Whether a character belongs to the one before it: an accent, a vowel sign, a skin tone, a vowel or final of a
/// Korean syllable.
fn extends(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}' | '\u{900}'..='\u{903}'
        | '\u{93a}'..='\u{94f}' | '\u{951}'..='\u{957}' | '\u{962}' | '\u{963}' | '\u{1160}'..='\u{11ff}'
        | '\u{200d}' | '\u{20d0}'..='\u{20f0}' | '\u{3099}' | '\u{309a}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}'
        | '\u{e0100}'..='\u{e01ef}')
}

/// Whether the next character belongs to this one: a joiner, and the mark that joins consonants in Devanagari.
fn joins(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{94d}')
}

/// Joins neighbours up to the limit, and short ones beyond it. White space between two counts as one character, as
/// [`super::punc_norm`] makes it one.
fn join(pieces: &[Piece], limits: SplitLimits) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for &piece in pieces {
        if let Some(last) = out.last_mut() {
            let chars = last.chars + usize::from(piece.start > last.end) + piece.chars;
            let short = last.chars.min(piece.chars) < limits.shortest;
            if chars <= limits.longest + if short { limits.shortest } else { 0 } {
                *last = Piece { start: last.start, end: piece.end, chars };
                continue;
            }
        }
        out.push(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str, longest: usize, shortest: usize) -> Vec<&str> {
        split(text, SplitLimits { longest, shortest })
    }

    #[test]
    fn sentences_are_joined_up_to_the_limit() {
        let text = "One two three. Four five six! Seven eight nine? Ten.";
        assert_eq!(of(text, 30, 0), ["One two three. Four five six!", "Seven eight nine? Ten."]);
        assert_eq!(of(text, 180, 16), [text]);
        assert_eq!(of(text, 16, 0), ["One two three.", "Four five six!", "Seven eight", "nine? Ten."]);
        assert_eq!(of(" \n ", 30, 0), Vec::<&str>::new());
    }

    #[test]
    fn short_pieces_find_company() {
        assert_eq!(of("Yes. Twenty five characters here.", 28, 6), ["Yes. Twenty five characters here."]);
        assert_eq!(of("Yes. Twenty five characters here.", 28, 0), ["Yes.", "Twenty five characters here."]);
        assert_eq!(of("Twenty five characters here. No!", 28, 6), ["Twenty five characters here. No!"]);
    }

    #[test]
    fn where_sentences_do_not_end() {
        let text = "Mr. J. Smith paid 3.50 at www.x.org, e.g. Then I. did";
        assert_eq!(sentences(text).len(), 2, "{:?}", sentences(text));
        assert_eq!(of("He said \"no.\" She left.", 14, 0), ["He said \"no.\"", "She left."]);
        assert_eq!(of("Title\n \nText goes on", 12, 0), ["Title", "Text goes on"]);
    }

    #[test]
    fn marks_of_other_scripts() {
        assert_eq!(of("今天很好。「走吧！」他说、好", 8, 0), ["今天很好。", "「走吧！」", "他说、好"]);
        assert_eq!(of("هل أنت هنا؟ نعم، أنا هنا.", 16, 0), ["هل أنت هنا؟", "نعم، أنا هنا."]);
        assert_eq!(of("यह है।वह है॥ ठीक", 8, 0), ["यह है।", "वह है॥", "ठीक"]);
    }

    #[test]
    fn long_sentences() {
        assert_eq!(of("aaaa bbbb cccc, dddd eeee", 20, 0), ["aaaa bbbb cccc,", "dddd eeee"]);
        assert_eq!(of("aaaa, bbbb cccc dddd eeee", 20, 0), ["aaaa, bbbb cccc dddd", "eeee"]);
        assert_eq!(of("aaaaaaaaaaaa", 8, 0), ["aaaaaaaa", "aaaa"]);
        let accents = "e\u{301}".repeat(8);
        assert!(of(&accents, 9, 0).iter().all(|piece| piece.starts_with('e')));
        let family = "👨‍👩‍👧";
        assert!(of(&family.repeat(6), 9, 0).iter().all(|piece| piece.starts_with('👨')));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_limits_hold(
            text in "(\\PC|[ \n.!?,:;a-e。、।]|[a-c]{1,30}|\u{301}|\u{200d}){0,120}",
            longest in 8usize..60,
            shortest in 0usize..12,
        ) {
            let pieces = of(&text, longest, shortest);
            let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(bare(&pieces.concat()), bare(&text));
            for piece in pieces {
                prop_assert_eq!(piece, piece.trim());
                prop_assert!(!piece.is_empty());
                let length = piece.split_whitespace().map(|word| word.chars().count() + 1).sum::<usize>() - 1;
                prop_assert!(length <= longest + shortest, "{length}: {piece:?}");
            }
        }
    }
}
