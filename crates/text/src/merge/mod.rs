//! Joins the pieces of a long clip at their seams.
//!
//! A long clip is decoded in pieces that overlap, or that meet in silence. Near a seam both neighbours may have heard a
//! word, each with its own idea of when; keeping words by time alone then doubles the word or loses it. So the two
//! hearings are aligned first ([`align`]), and each aligned pair is kept exactly once.

mod align;

use crate::assemble::Spoken;
use crate::transcript::{Token, Word};
use align::{Step, align, covers};

/// A word that only one side heard is kept even if it lies this far on the other side of the seam.
pub const SEAM_TOLERANCE: f64 = 0.3;

/// How far outside its audio a piece may time a word: one encoder frame and a rounding.
const EDGE_SLACK: f64 = 0.1;

/// Most words a side brings to one seam; more than any 15 s of speech has, so only a decoder gone wild meets it.
const SEAM_WORDS: usize = 512;

/// One decoded piece of a long clip; all times are seconds from the start of the clip.
#[derive(Debug, Clone, PartialEq)]
pub struct PieceTranscript {
    /// What was decoded, in clip time (see [`crate::Timing::offset_seconds`]).
    pub spoken: Spoken,
    /// Start of the audio this piece was decoded from.
    pub heard_from: f64,
    /// End of the audio this piece was decoded from.
    pub heard_to: f64,
    /// Words before this time are the previous piece's. Equal to that piece's `keep_to` (the seam).
    pub keep_from: f64,
    /// Words after this time are the next piece's.
    pub keep_to: f64,
}

/// Joins pieces, given in time order. Every word comes out once, with its tokens:
///
/// - a word both sides heard (same letters, overlapping or less than 0.3 s apart) is taken from the side its middle
///   lies on;
/// - a word one side heard is kept if its middle lies on that side or within [`SEAM_TOLERANCE`] beyond the seam, unless
///   the other side heard something else at that very time;
/// - two sides that heard different words at the same time: the side the middle lies on is believed.
///
/// Capital letters and punctuation stay as the chosen side wrote them.
#[must_use]
pub fn merge_pieces(pieces: Vec<PieceTranscript>) -> Spoken {
    let mut pieces = pieces.into_iter();
    let Some(mut whole) = pieces.next() else { return Spoken::default() };
    for piece in pieces {
        whole = join(&whole, piece);
    }
    whole.spoken
}

fn join(left: &PieceTranscript, right: PieceTranscript) -> PieceTranscript {
    let (a, b) = (&left.spoken.words, &right.spoken.words);
    // Only where both listened can both have heard a word.
    let a_first = a.partition_point(|word| word.midpoint() < right.heard_from - EDGE_SLACK);
    let a_first = a_first.max(a.len().saturating_sub(SEAM_WORDS));
    let b_last = b.partition_point(|word| word.midpoint() <= left.heard_to + EDGE_SLACK).min(SEAM_WORDS);
    let (a_sure, a_seam) = a.split_at(a_first);
    let (b_seam, b_sure) = b.split_at(b_last);

    let mut out = Spoken { language: right.spoken.language.clone(), ..Spoken::default() };
    if out.language.is_none() {
        out.language.clone_from(&left.spoken.language);
    }
    let mut copy = |word: &Word, tokens: &[Token]| append(&mut out, word, tokens);

    let in_left = |word: &Word| word.midpoint() < left.keep_to + SEAM_TOLERANCE;
    let in_right = |word: &Word| word.midpoint() >= right.keep_from - SEAM_TOLERANCE;
    for word in a_sure.iter().filter(|word| in_left(word)) {
        copy(word, &left.spoken.tokens);
    }
    for (side, word) in choose(a_seam, b_seam, left.keep_to, right.keep_from) {
        copy(word, if side == Side::Left { &left.spoken.tokens } else { &right.spoken.tokens });
    }
    for word in b_sure.iter().filter(|word| in_right(word)) {
        copy(word, &right.spoken.tokens);
    }
    PieceTranscript {
        spoken: out,
        heard_from: left.heard_from,
        heard_to: left.heard_to.max(right.heard_to),
        keep_from: left.keep_from,
        keep_to: right.keep_to,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The words to keep where both sides listened, in order.
fn choose<'a>(a: &'a [Word], b: &'a [Word], a_to: f64, b_from: f64) -> Vec<(Side, &'a Word)> {
    let seam = f64::midpoint(a_to, b_from);
    let steps = align(a, b);
    // What each side keeps in place of something the other side wrote differently: it silences single words under it.
    let mut instead: [Vec<&Word>; 2] = Default::default();
    for step in &steps {
        match *step {
            Step::Other(l, r) if pair_midpoint(l, r) < seam => instead[0].push(l),
            Step::Other(_, r) => instead[1].push(r),
            _ => {}
        }
    }
    let silenced = |word: &Word, by: &[&Word]| by.iter().any(|other| covers(other, word));
    let mut kept = Vec::new();
    for step in steps {
        match step {
            Step::Same(l, r) | Step::Other(l, r) => {
                kept.push(if pair_midpoint(l, r) < seam { (Side::Left, l) } else { (Side::Right, r) });
            }
            Step::Left(l) if l.midpoint() < a_to + SEAM_TOLERANCE && !silenced(l, &instead[1]) => {
                kept.push((Side::Left, l));
            }
            Step::Right(r) if r.midpoint() >= b_from - SEAM_TOLERANCE && !silenced(r, &instead[0]) => {
                kept.push((Side::Right, r));
            }
            Step::Left(_) | Step::Right(_) => {}
        }
    }
    kept
}

fn pair_midpoint(left: &Word, right: &Word) -> f64 {
    f64::midpoint(left.midpoint(), right.midpoint())
}

/// Appends `word` with its tokens. Two sides disagree about times by a frame or two, so a word that would begin before
/// the last one ended gives way; the order of the words is already settled.
fn append(out: &mut Spoken, word: &Word, tokens: &[Token]) {
    let floor = out.words.last().map_or(f64::NEG_INFINITY, |last| last.end);
    let first = out.tokens.len();
    let own = tokens.get(word.tokens.clone()).unwrap_or_default();
    out.tokens.extend(own.iter().map(|token| Token {
        start: token.start.max(floor),
        end: token.end.max(floor),
        ..token.clone()
    }));
    out.words.push(Word {
        start: word.start.max(floor),
        end: word.end.max(floor),
        tokens: first..out.tokens.len(),
        ..word.clone()
    });
}

#[cfg(test)]
mod tests;
