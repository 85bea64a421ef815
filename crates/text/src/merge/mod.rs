//! Joins the pieces of a long clip at their seams.
//!
//! A long clip is decoded in pieces that overlap, or that meet in silence. Near a seam both neighbours may have heard a
//! word, each with its own idea of when; keeping words by time alone then doubles the word or loses it. So the two
//! hearings are aligned first (`align`), and each aligned pair is kept exactly once.

mod align;

use crate::assemble::Spoken;
use crate::transcript::{Token, Word};
use align::{Step, align, covers};

/// A word that only one side heard is kept even if it lies this far on the other side of the seam.
pub const SEAM_TOLERANCE: f64 = 0.3;

/// How far outside its audio a piece may time a word: one encoder frame.
const EDGE_SLACK: f64 = 0.08;

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
    let mut merger = Merger::default();
    for piece in pieces {
        merger.push(piece);
    }
    merger.finish()
}

/// [`merge_pieces`] piece by piece, so that a caller need not hold all of them.
#[derive(Debug, Default)]
pub struct Merger {
    whole: Option<PieceTranscript>,
}

impl Merger {
    /// Adds the next piece in time order.
    pub fn push(&mut self, piece: PieceTranscript) {
        match &mut self.whole {
            Some(whole) => join(whole, &piece),
            None => self.whole = Some(piece),
        }
    }

    /// Everything that was said.
    #[must_use]
    pub fn finish(self) -> Spoken {
        self.whole.map(|whole| whole.spoken).unwrap_or_default()
    }
}

/// Appends `right` to `left`, deciding anew about the words both can have heard.
fn join(left: &mut PieceTranscript, right: &PieceTranscript) {
    let words = &left.spoken.words;
    let first = words.partition_point(|word| word.end < right.heard_from - EDGE_SLACK);
    let first = first.max(words.len().saturating_sub(SEAM_WORDS));
    let tail = split_off(&mut left.spoken, first);
    // Only a piece that stops listening before the next one starts has words here that are not its own.
    while left.spoken.words.last().is_some_and(|word| word.midpoint() >= left.keep_to + SEAM_TOLERANCE) {
        let last = left.spoken.words.len() - 1;
        split_off(&mut left.spoken, last);
    }

    let words = &right.spoken.words;
    let both = words.partition_point(|word| word.start <= left.heard_to + EDGE_SLACK).min(SEAM_WORDS);
    let (seam, rest) = words.split_at(both);
    for (side, word) in choose(&tail.words, seam, left.keep_to, right.keep_from) {
        append(&mut left.spoken, word, if side == Side::Left { &tail.tokens } else { &right.spoken.tokens });
    }
    for word in rest.iter().filter(|word| word.midpoint() >= right.keep_from - SEAM_TOLERANCE) {
        append(&mut left.spoken, word, &right.spoken.tokens);
    }
    if right.spoken.language.is_some() {
        left.spoken.language.clone_from(&right.spoken.language);
    }
    left.heard_to = left.heard_to.max(right.heard_to);
    left.keep_to = right.keep_to;
}

/// Takes the words from index `first` on, with their tokens, off the end.
fn split_off(spoken: &mut Spoken, first: usize) -> Spoken {
    let mut words = spoken.words.split_off(first.min(spoken.words.len()));
    let from = words.first().map_or(spoken.tokens.len(), |word| word.tokens.start.min(spoken.tokens.len()));
    for word in &mut words {
        word.tokens = word.tokens.start.saturating_sub(from)..word.tokens.end.saturating_sub(from);
    }
    Spoken { tokens: spoken.tokens.split_off(from), words, language: None }
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

/// Appends `word` with its tokens. Two sides disagree about times by a frame or two; the order of the words is settled,
/// so where they would overlap the earlier word ends sooner, and no word begins before the one ahead of it.
fn append(out: &mut Spoken, word: &Word, tokens: &[Token]) {
    let mut floor = f64::NEG_INFINITY;
    if let Some(last) = out.words.last_mut() {
        if last.end > word.start {
            last.end = word.start.max(last.start);
            for token in out.tokens.get_mut(last.tokens.clone()).unwrap_or_default() {
                token.start = token.start.min(last.end);
                token.end = token.end.min(last.end);
            }
        }
        floor = last.end;
    }
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
