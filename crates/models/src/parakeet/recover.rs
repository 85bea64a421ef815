//! Finds what a TDT decoder dropped without a word.
//!
//! After a sentence end the decoder sometimes sticks on blanks for seconds while somebody speaks; a fresh decoder state
//! frees it. A long stretch without tokens over speech is therefore decoded again from the start state, and what that
//! finds is put in its place. A stretch that is music or noise gives nothing the second time either.

use crate::parakeet::decode::Decoded;
use std::ops::Range;

/// Shortest stretch without tokens that is looked at, in seconds: longer than pauses inside speech.
const MIN_GAP: f64 = 1.6;
/// Least speech inside the stretch, in seconds: room for two or three words.
const MIN_SPEECH: f64 = 1.0;

/// Stretches of encoder frames without tokens but with speech.
///
/// `speech` gives spans in seconds from the clip's start, and is asked only where there are such stretches; `frames` is the clip's
/// length in encoder frames.
pub(crate) fn dropped(
    tokens: &[Decoded],
    speech: impl FnOnce() -> Vec<(f64, f64)>,
    frames: usize,
    frame_seconds: f64,
) -> Vec<Range<usize>> {
    let ends = tokens.iter().map(|t| (t.frame + t.duration_frames.max(1)) as usize);
    let starts = tokens.iter().map(|t| t.frame as usize);
    let gaps = std::iter::once(0).chain(ends).zip(starts.chain(std::iter::once(frames)));
    let long = |&(from, to): &(usize, usize)| from < to && (to - from) as f64 * frame_seconds >= MIN_GAP;
    let gaps: Vec<(usize, usize)> = gaps.filter(long).collect();
    if gaps.is_empty() {
        return Vec::new();
    }
    let speech = speech();
    let spoken = |&(from, to): &(usize, usize)| {
        let (from, to) = (from as f64 * frame_seconds, to as f64 * frame_seconds);
        speech.iter().map(|&(a, b)| (b.min(to) - a.max(from)).max(0.0)).sum::<f64>() >= MIN_SPEECH
    };
    gaps.into_iter().filter(spoken).map(|(from, to)| from..to).collect()
}

/// Puts tokens of a second decoding where they belong.
pub(crate) fn insert(tokens: &mut Vec<Decoded>, found: Vec<Decoded>) {
    tokens.extend(found);
    tokens.sort_by_key(|t| t.frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(frame: u32) -> Decoded {
        Decoded { id: 0, frame, duration_frames: 2, confidence: 1.0 }
    }

    #[test]
    fn speech_without_tokens_is_found() {
        let tokens = [token(2), token(60)];
        let found = dropped(&tokens, || vec![(0.0, 4.0)], 62, 0.08);
        assert_eq!(found, std::slice::from_ref(&(4..60)));
    }

    #[test]
    fn silence_and_short_gaps_are_left() {
        let tokens = [token(2), token(60)];
        assert!(dropped(&tokens, || vec![(0.0, 0.4), (4.7, 5.0)], 62, 0.08).is_empty());
        assert!(dropped(&[token(2), token(15)], || vec![(0.0, 9.0)], 18, 0.08).is_empty());
    }

    #[test]
    fn a_clip_without_any_token_is_one_gap() {
        let found = dropped(&[], || vec![(1.0, 3.0)], 50, 0.08);
        assert_eq!(found, std::slice::from_ref(&(0..50)));
    }

    #[test]
    fn found_tokens_take_their_place_in_time() {
        let mut tokens = vec![token(2), token(60)];
        insert(&mut tokens, vec![token(10), token(20)]);
        assert_eq!(tokens.iter().map(|t| t.frame).collect::<Vec<_>>(), [2, 10, 20, 60]);
    }
}
