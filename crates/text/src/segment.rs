//! Words → sentences.
//!
//! NeMo ends a segment at a word whose last character is `.`, `?` or `!`, or, if asked, at a pause. Here the pause is
//! used by itself for models that write no punctuation, and no segment is longer than a reader or a player can bear.

use crate::punctuation::{ends_clause, ends_sentence, final_mark};
use crate::transcript::{Segment, Word, join};
use crate::vocab::Vocabulary;

/// Where segments end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmentRules {
    /// A silence of this many seconds between two words ends a segment; `None`: only sentence marks do.
    pub pause_seconds: Option<f64>,
    /// A longer segment is cut at the pause or clause mark nearest its middle, again until every part fits.
    pub max_seconds: f64,
}

impl SegmentRules {
    /// The pause that ends a segment of a model without punctuation.
    pub const PAUSE_SECONDS: f64 = 0.8;
    /// The longest segment: Whisper's window, which players and editors of subtitles are used to.
    pub const MAX_SECONDS: f64 = 30.0;

    /// Sentence marks if the model can write them, pauses if it cannot.
    #[must_use]
    pub fn for_vocabulary(vocabulary: &Vocabulary) -> Self {
        let pause_seconds = (!vocabulary.has_sentence_marks()).then_some(Self::PAUSE_SECONDS);
        Self { pause_seconds, max_seconds: Self::MAX_SECONDS }
    }
}

impl Default for SegmentRules {
    /// For models with punctuation.
    fn default() -> Self {
        Self { pause_seconds: None, max_seconds: Self::MAX_SECONDS }
    }
}

/// Cuts `words` into segments: they cover all words, each once, in order.
#[must_use]
pub fn segments(words: &[Word], rules: &SegmentRules) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut first = 0;
    for (index, word) in words.iter().enumerate() {
        let ends = match words.get(index + 1) {
            None => true,
            Some(next) => {
                final_mark(&word.text).is_some_and(ends_sentence)
                    || rules.pause_seconds.is_some_and(|pause| is_pause(word.end, next.start, pause))
            }
        };
        if ends {
            cut(words, first..index + 1, rules.max_seconds, &mut segments);
            first = index + 1;
        }
    }
    segments
}

/// Whether the silence between two times, in seconds, is at least `pause`. Times are multiples of a frame, and ten frames
/// of 0.08 s must count as 0.8 s wherever in the clip they lie, so a microsecond is forgiven.
pub(crate) fn is_pause(end: f64, next_start: f64, pause: f64) -> bool {
    next_start - end >= pause - 1e-6
}

/// Pushes `range` as one segment, or as several if it is too long.
fn cut(words: &[Word], range: std::ops::Range<usize>, max_seconds: f64, segments: &mut Vec<Segment>) {
    let mut rest = vec![range];
    while let Some(range) = rest.pop() {
        let Some(part @ [first, .., last]) = words.get(range.clone()) else {
            if let Some([only]) = words.get(range.clone()) {
                segments.push(segment(segments.len(), std::slice::from_ref(only), range, only, only));
            }
            continue;
        };
        if last.end - first.start <= max_seconds {
            segments.push(segment(segments.len(), part, range, first, last));
            continue;
        }
        let middle = range.start + best_cut(part);
        rest.push(middle..range.end);
        rest.push(range.start..middle);
    }
}

fn segment(id: usize, words: &[Word], range: std::ops::Range<usize>, first: &Word, last: &Word) -> Segment {
    Segment {
        id,
        start: first.start,
        end: last.end,
        text: join(words),
        words: range,
        tokens: first.tokens.start..last.tokens.end,
    }
}

/// How many of `words` (at least two) go into the first half: the longest pause wins, a clause mark counts as half a
/// second of pause, and every second away from the middle costs a twentieth of a second.
fn best_cut(words: &[Word]) -> usize {
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return 0 };
    let middle = f64::midpoint(first.start, last.end);
    let mut best = (f64::NEG_INFINITY, 1);
    for (index, pair) in words.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let clause = if final_mark(&before.text).is_some_and(ends_clause) { 0.5 } else { 0.0 };
        let distance = (f64::midpoint(before.end, after.start) - middle).abs();
        let score = (after.start - before.end).max(0.0) + clause - distance / 20.0;
        if score > best.0 {
            best = (score, index + 1);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(list: &[(&str, f64, f64)]) -> Vec<Word> {
        list.iter()
            .enumerate()
            .map(|(i, &(text, start, end))| Word {
                text: text.into(),
                start,
                end,
                confidence: 1.0,
                tokens: i..i + 1,
            })
            .collect()
    }

    fn texts(segments: &[Segment]) -> Vec<&str> {
        segments.iter().map(|s| s.text.as_str()).collect()
    }

    #[test]
    fn sentences_end_at_their_marks() {
        let w = words(&[
            ("So.", 0.0, 1.0),
            ("Is", 1.0, 2.0),
            ("it\u{201d}?\u{201d}", 9.0, 10.0),
            ("Yes", 10.0, 11.0),
        ]);
        let got = segments(&w, &SegmentRules::default());
        assert_eq!(texts(&got), ["So.", "Is it\u{201d}?\u{201d}", "Yes"]);
        assert_eq!((got[1].id, got[1].start, got[1].end), (1, 1.0, 10.0));
        assert_eq!((got[1].words.clone(), got[1].tokens.clone()), (1..3, 1..3));
    }

    #[test]
    fn pauses_count_when_the_model_writes_no_marks() {
        let w = words(&[("so", 0.0, 1.0), ("is", 1.7, 2.0), ("it", 2.8, 3.0)]);
        let rules = SegmentRules::for_vocabulary(&Vocabulary::new(vec!["\u{2581}so".into()]));
        assert_eq!(texts(&segments(&w, &rules)), ["so is", "it"]);
        let rules = SegmentRules::for_vocabulary(&Vocabulary::new(vec![".".into()]));
        assert_eq!(texts(&segments(&w, &rules)), ["so is it"]);
    }

    #[test]
    fn an_endless_sentence_is_cut_at_its_pauses() {
        let mut list: Vec<(&str, f64, f64)> =
            (0..45).map(|i| ("w", f64::from(i), f64::from(i) + 0.9)).collect();
        list[19].1 = 19.5;
        let got = segments(&words(&list), &SegmentRules::default());
        assert_eq!(got.iter().map(|s| s.words.clone()).collect::<Vec<_>>(), [0..19, 19..45]);
    }

    proptest! {
        #[test]
        fn segments_cover_every_word_once(
            raw in prop::collection::vec((0.0f64..3.0, 0.0f64..40.0, any::<bool>()), 0..80),
            pause in prop::option::of(0.1f64..2.0),
        ) {
            let mut at = 0.0;
            let list: Vec<(&str, f64, f64)> = raw.iter().map(|&(gap, length, stop)| {
                let start = at + gap;
                at = start + length / 10.0;
                (if stop { "a." } else { "a" }, start, at)
            }).collect();
            let w = words(&list);
            let got = segments(&w, &SegmentRules { pause_seconds: pause, max_seconds: 8.0 });
            let mut covered = 0;
            for (id, s) in got.iter().enumerate() {
                prop_assert_eq!(s.id, id);
                prop_assert_eq!(s.words.start, covered);
                prop_assert!(s.words.end > covered);
                prop_assert!(s.end - s.start <= 8.0 || s.words.len() == 1);
                covered = s.words.end;
            }
            prop_assert_eq!(covered, w.len());
        }
    }
}
