use super::*;
use proptest::prelude::*;

/// Words at given times, one token each.
fn spoken(list: &[(&str, f64, f64)]) -> Spoken {
    let mut out = Spoken::default();
    for (i, &(text, start, end)) in list.iter().enumerate() {
        out.tokens.push(Token {
            id: 7,
            text: format!(" {text}"),
            start,
            end,
            emitted: start,
            confidence: 0.5,
        });
        out.words.push(Word { text: text.into(), start, end, confidence: 0.5, tokens: i..i + 1 });
    }
    out
}

/// Two pieces over 20 s with a seam at 10 s and `overlap` seconds of audio on either side of it.
fn merged(overlap: f64, left: &[(&str, f64, f64)], right: &[(&str, f64, f64)]) -> Spoken {
    merge_pieces(vec![
        PieceTranscript {
            spoken: spoken(left),
            heard_from: 0.0,
            heard_to: 10.0 + overlap,
            keep_from: 0.0,
            keep_to: 10.0,
        },
        PieceTranscript {
            spoken: spoken(right),
            heard_from: 10.0 - overlap,
            heard_to: 20.0,
            keep_from: 10.0,
            keep_to: 20.0,
        },
    ])
}

fn text(spoken: &Spoken) -> String {
    crate::transcript::join(&spoken.words)
}

#[test]
fn a_word_on_the_seam_comes_out_once() {
    let late =
        merged(3.0, &[("one", 8.0, 9.0), ("two", 9.9, 10.3)], &[("one", 8.0, 9.0), ("two", 9.7, 10.1)]);
    assert_eq!(text(&late), "one two", "each side times it onto the other: by time alone it would be lost");
    let early =
        merged(3.0, &[("one", 8.0, 9.0), ("two", 9.7, 10.1)], &[("Two,", 9.9, 10.3), ("three", 11.0, 12.0)]);
    assert_eq!(
        text(&early),
        "one Two, three",
        "each side times it onto itself: by time alone it would be doubled"
    );
}

#[test]
fn the_overlap_beyond_the_seam_is_dropped() {
    let left = [("a", 8.0, 8.5), ("b", 9.0, 9.5), ("c", 10.6, 11.0), ("garb", 12.5, 13.0)];
    let right = [("bage", 7.0, 7.4), ("b", 9.0, 9.5), ("c", 10.6, 11.0), ("d", 12.5, 12.9)];
    assert_eq!(text(&merged(3.0, &left, &right)), "a b c d");
}

#[test]
fn a_word_only_one_side_heard_survives_near_the_seam() {
    let left = [("a", 8.0, 8.5), ("only", 10.0, 10.4)];
    let right = [("a", 8.0, 8.5), ("b", 11.0, 11.5)];
    assert_eq!(text(&merged(3.0, &left, &right)), "a only b");
    let left = [("a", 8.0, 8.5), ("b", 11.0, 11.5)];
    let right = [("a", 8.0, 8.5), ("only", 9.6, 9.9), ("b", 11.0, 11.5)];
    assert_eq!(text(&merged(3.0, &left, &right)), "a only b");
}

#[test]
fn two_readings_of_one_sound_are_one_word() {
    let left = [("a", 8.0, 8.5), ("two", 9.75, 10.15)];
    let right = [("a", 8.0, 8.5), ("too", 9.8, 10.2), ("b", 11.0, 11.5)];
    assert_eq!(text(&merged(3.0, &left, &right)), "a two b");
    let left = [("every", 9.6, 9.9), ("one", 9.9, 10.3)];
    let right = [("everyone", 9.65, 10.4), ("b", 11.0, 11.5)];
    assert_eq!(text(&merged(3.0, &left, &right)), "everyone b");
}

#[test]
fn real_repetitions_are_kept() {
    let left = [("no", 9.0, 9.2), ("no", 9.4, 9.6), ("no", 9.8, 10.0), ("no", 10.2, 10.4)];
    let right = [("no", 9.45, 9.65), ("no", 9.85, 10.05), ("no", 10.25, 10.45), ("no", 10.65, 10.85)];
    let mut right = right.to_vec();
    assert_eq!(text(&merged(0.6, &left, &right)), "no no no no no");
    right.remove(0);
    assert_eq!(text(&merged(0.6, &left, &right)), "no no no no no", "one missed by one side");
}

#[test]
fn pieces_that_meet_in_silence_are_laid_end_to_end() {
    let got = merged(0.0, &[("that", 9.4, 9.6)], &[("that", 10.2, 10.4), ("is", 10.5, 10.6)]);
    assert_eq!(text(&got), "that that is", "no audio was heard twice, so no word was");
}

#[test]
fn a_word_cut_in_two_and_guessed_twice_is_one() {
    let got = merged(0.0, &[("hello", 9.7, 10.0)], &[("hello", 10.0, 10.15), ("you", 10.5, 10.6)]);
    assert_eq!(text(&got), "hello you");
}

#[test]
fn tokens_follow_their_words_and_times_never_run_back() {
    let got = merged(3.0, &[("a", 9.0, 9.99)], &[("a", 9.0, 9.9), ("b", 9.95, 10.4)]);
    assert_eq!(text(&got), "a b");
    assert_eq!((got.words[0].end, got.words[1].start), (9.95, 9.95), "the earlier word gives way");
    assert_eq!((got.tokens[0].end, got.tokens[1].start), (9.95, 9.95));
    assert_eq!(got.words.iter().map(|w| w.tokens.clone()).collect::<Vec<_>>(), [0..1, 1..2]);
}

#[test]
fn nothing_and_one_piece() {
    assert_eq!(merge_pieces(Vec::new()), Spoken::default());
    let words = [("a", 0.0, 1.0), ("b", 30.0, 31.0)];
    let only = PieceTranscript {
        spoken: spoken(&words),
        heard_from: 0.0,
        heard_to: 5.0,
        keep_from: 0.0,
        keep_to: 5.0,
    };
    assert_eq!(text(&merge_pieces(vec![only])), "a b");
    assert_eq!(text(&merged(3.0, &[], &[("b", 12.0, 13.0)])), "b");
    assert_eq!(text(&merged(3.0, &[("a", 2.0, 3.0)], &[])), "a");
}

proptest! {
    /// Cutting a known talk anywhere, hearing each piece with its own timing errors, and merging gives the talk back.
    #[test]
    fn cutting_and_merging_changes_nothing(
        talk in prop::collection::vec((0usize..6, 0.25f64..0.6, 0.11f64..1.0), 1..60),
        cuts in prop::collection::vec(0.0f64..1.0, 0..5),
        overlap in 1.0f64..4.0,
        jitter in prop::collection::vec(-0.05f64..0.05, 64),
    ) {
        // Few different words, so that repetitions are common; capitals and marks differ, letters do not.
        let spellings = ["the", "no", "a", "word", "Again,", "yes."];
        let mut at = 0.0;
        let mut list = Vec::new();
        for &(spelling, length, gap) in &talk {
            list.push((spellings[spelling], at + gap, at + gap + length));
            at += gap + length;
        }
        let mut seams: Vec<f64> = cuts.iter().map(|cut| cut * at).collect();
        seams.sort_by(f64::total_cmp);
        seams.dedup_by(|later, earlier| *later - *earlier < 3.0);
        let bounds: Vec<f64> = std::iter::once(0.0).chain(seams).chain([at]).collect();

        let mut noise = jitter.iter().copied().cycle();
        let pieces: Vec<PieceTranscript> = bounds.windows(2).map(|pair| {
            let heard = (pair[0] - overlap, pair[1] + overlap);
            let words: Vec<(&str, f64, f64)> = list.iter()
                .filter(|w| w.1 >= heard.0 && w.2 <= heard.1)
                .map(|&(text, start, end)| {
                    let shift = noise.next().unwrap_or(0.0);
                    (text, start + shift, end + shift)
                })
                .collect();
            PieceTranscript {
                spoken: spoken(&words),
                heard_from: heard.0,
                heard_to: heard.1,
                keep_from: pair[0],
                keep_to: pair[1],
            }
        }).collect();

        let got = merge_pieces(pieces);
        let want: Vec<&str> = list.iter().map(|w| w.0).collect();
        let have: Vec<&str> = got.words.iter().map(|w| w.text.as_str()).collect();
        prop_assert_eq!(have, want);
        for (word, truth) in got.words.iter().zip(&list) {
            prop_assert!((word.start - truth.1).abs() < 0.11 && (word.end - truth.2).abs() < 0.11);
        }
        prop_assert!(got.words.windows(2).all(|pair| pair[0].end <= pair[1].start));
        prop_assert_eq!(got.tokens.len(), got.words.len());
    }

    /// Whatever two pieces claim, each word of the result is one that a piece heard, times are ordered, and what was
    /// heard well inside a piece's own part is there.
    #[test]
    fn any_two_pieces_merge_in_order(
        left in prop::collection::vec((0usize..4, 0.0f64..2.0), 0..30),
        right in prop::collection::vec((0usize..4, 0.0f64..2.0), 0..30),
        overlap in 0.0f64..8.0,
    ) {
        let hear = |raw: &[(usize, f64)], from: f64| {
            let mut at = from;
            raw.iter().map(|&(word, gap)| {
                let start = at + gap;
                at = start + 0.3;
                (["x", "y", "z", "..."][word], start, at)
            }).collect::<Vec<_>>()
        };
        let (left, right) = (hear(&left, 0.0), hear(&right, 10.0 - overlap));
        let got = merged(overlap, &left, &right);
        prop_assert!(got.words.windows(2).all(|pair| pair[0].end <= pair[1].start));
        prop_assert!(got.words.len() <= left.len() + right.len());
        let sure = left.iter().filter(|w| w.2 < 10.0 - overlap - 0.2).count()
            + right.iter().filter(|w| w.1 > 10.0 + overlap + 0.2).count();
        prop_assert!(got.words.len() >= sure);
    }
}
