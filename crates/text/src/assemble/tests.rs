use super::*;
use proptest::prelude::*;

fn vocabulary() -> Vocabulary {
    let pieces = [
        "<unk>",
        "\u{2581}he",
        "llo",
        "\u{2581}world",
        ".",
        ",",
        "\u{2581}",
        "<en-US>",
        "\u{2581}\u{bf}",
        "Qu\u{e9}",
        "\u{2581}.",
        "'",
        "t",
        "<0xC3>",
        "<0xA9>",
        "\u{2581}(",
        ")",
        "?",
    ];
    Vocabulary::new(pieces.iter().map(|&p| p.to_owned()).collect())
}

const TIMING: Timing = Timing { frame_seconds: 0.08, offset_seconds: 0.0, span: SpanRule::Emitted };

fn decode(tokens: &[(u32, u32, u32, f32)]) -> Spoken {
    let tokens: Vec<DecodedToken> = tokens
        .iter()
        .map(|&(id, frame, duration_frames, confidence)| DecodedToken {
            id,
            frame,
            duration_frames,
            confidence,
        })
        .collect();
    assemble(&tokens, &vocabulary(), TIMING).unwrap()
}

fn shape(spoken: &Spoken) -> Vec<(&str, i64, i64, std::ops::Range<usize>)> {
    let frames = |seconds: f64| (seconds / 0.08).round() as i64;
    spoken.words.iter().map(|w| (w.text.as_str(), frames(w.start), frames(w.end), w.tokens.clone())).collect()
}

#[test]
fn a_word_runs_from_its_first_to_its_last_token() {
    let spoken = decode(&[(1, 5, 2, 0.9), (2, 7, 3, 0.4), (3, 12, 4, 0.8)]);
    assert_eq!(shape(&spoken), [("hello", 5, 10, 0..2), ("world", 12, 16, 2..3)]);
    assert_eq!(spoken.words[0].confidence, 0.4);
    assert_eq!(spoken.words[0].start, 5.0 * 0.08);
}

#[test]
fn punctuation_takes_no_time_however_late_it_comes() {
    let spoken = decode(&[(1, 5, 2, 0.9), (2, 7, 3, 0.9), (4, 60, 4, 0.3), (3, 70, 2, 1.0)]);
    assert_eq!(shape(&spoken), [("hello.", 5, 10, 0..3), ("world", 70, 72, 3..4)]);
    let stop = &spoken.tokens[2];
    assert_eq!((stop.start, stop.end, stop.emitted), (0.8, 0.8, 4.8));
    assert_eq!(spoken.words[0].confidence, 0.3, "a doubtful full stop makes a doubtful word");
}

#[test]
fn closing_marks_stick_to_the_word_before_and_opening_ones_do_not() {
    let spoken = decode(&[(3, 0, 1, 1.0), (10, 3, 1, 1.0), (8, 8, 1, 1.0), (9, 9, 2, 1.0), (17, 11, 1, 1.0)]);
    assert_eq!(shape(&spoken), [("world.", 0, 1, 0..2), ("\u{bf}Qu\u{e9}?", 8, 11, 2..5)]);
    let spoken = decode(&[(3, 0, 1, 1.0), (15, 3, 1, 1.0), (2, 4, 1, 1.0), (16, 5, 1, 1.0)]);
    assert_eq!(shape(&spoken), [("world", 0, 1, 0..1), ("(llo)", 3, 5, 1..4)]);
    let spoken = decode(&[(3, 0, 1, 1.0), (11, 1, 1, 1.0), (12, 2, 1, 1.0)]);
    assert_eq!(shape(&spoken), [("world't", 0, 3, 0..3)]);
}

#[test]
fn a_lone_word_mark_belongs_to_what_follows() {
    let spoken = decode(&[(3, 0, 1, 1.0), (6, 4, 1, 1.0), (2, 6, 1, 1.0)]);
    assert_eq!(shape(&spoken), [("world", 0, 1, 0..1), ("llo", 4, 7, 1..3)]);
    let spoken = decode(&[(3, 0, 1, 1.0), (6, 4, 1, 1.0), (4, 6, 1, 1.0)]);
    assert_eq!(shape(&spoken), [("world.", 0, 5, 0..3)], "before a full stop it opens nothing");
    let spoken = decode(&[(2, 0, 1, 1.0), (6, 4, 1, 0.2), (3, 6, 1, 1.0)]);
    assert_eq!(
        shape(&spoken),
        [("llo", 0, 1, 0..1), ("world", 6, 7, 1..3)],
        "before another mark it is noise"
    );
    assert_eq!(spoken.words[1].confidence, 1.0);
    let spoken = decode(&[(3, 0, 1, 1.0), (6, 4, 1, 1.0)]);
    assert_eq!(shape(&spoken), [("world", 0, 1, 0..2)], "at the end it opens nothing");
    assert_eq!(decode(&[(6, 4, 1, 1.0)]), Spoken::default());
}

#[test]
fn control_tokens_leave_no_trace_but_the_language() {
    let spoken = decode(&[(7, 0, 0, 1.0), (1, 1, 1, 0.5), (0, 2, 1, 0.1), (2, 3, 1, 0.6)]);
    assert_eq!(shape(&spoken), [("hello", 1, 4, 0..2)]);
    assert_eq!(spoken.language.as_deref(), Some("en-US"));
    assert_eq!(spoken.words[0].confidence, 0.5);
}

#[test]
fn bytes_become_letters_of_their_word() {
    let spoken = decode(&[(1, 0, 1, 1.0), (13, 1, 1, 1.0), (14, 2, 1, 1.0), (2, 3, 1, 1.0)]);
    assert_eq!(shape(&spoken), [("he\u{e9}llo", 0, 4, 0..4)]);
}

#[test]
fn the_first_token_needs_no_word_mark() {
    assert_eq!(shape(&decode(&[(2, 1, 1, 1.0)])), [("llo", 1, 2, 0..1)]);
    assert_eq!(shape(&decode(&[(4, 1, 1, 1.0), (3, 2, 1, 1.0)])), [(".", 1, 2, 0..1), ("world", 2, 3, 1..2)]);
}

#[test]
fn offset_moves_every_time() {
    let tokens = [DecodedToken { id: 3, frame: 2, duration_frames: 1, confidence: f32::NAN }];
    let timing = Timing { offset_seconds: 100.0, ..TIMING };
    let spoken = assemble(&tokens, &vocabulary(), timing).unwrap();
    assert_eq!(shape(&spoken), [("world", 1252, 1253, 0..1)]);
    assert_eq!(spoken.tokens[0].emitted, 100.16);
    assert_eq!(spoken.words[0].confidence, 0.0);
}

#[test]
fn an_id_of_another_model_is_an_error() {
    let tokens = [DecodedToken { id: 18, frame: 0, duration_frames: 1, confidence: 1.0 }];
    let error = assemble(&tokens, &vocabulary(), TIMING).unwrap_err();
    assert_eq!(error, TextError::TokenOutOfRange { id: 18, size: 18 });
}

proptest! {
    #[test]
    fn words_partition_tokens_and_times_are_ordered(
        raw in prop::collection::vec((0u32..18, 0u32..6, 0u32..5), 0..60),
    ) {
        let mut frame = 0;
        let mut tokens = Vec::new();
        for (id, step, duration_frames) in raw {
            frame += step;
            tokens.push(DecodedToken { id, frame, duration_frames, confidence: 0.5 });
        }
        let v = vocabulary();
        let spoken = assemble(&tokens, &v, TIMING).unwrap();
        let mut covered = 0;
        for word in &spoken.words {
            prop_assert_eq!(word.tokens.start, covered);
            prop_assert!(!word.text.is_empty() && word.text.trim() == word.text);
            prop_assert!(word.start <= word.end);
            covered = word.tokens.end;
        }
        prop_assert_eq!(covered, spoken.tokens.len());
        for pair in spoken.words.windows(2) {
            prop_assert!(pair[0].start <= pair[1].start);
        }
        let ids: Vec<u32> = tokens.iter().map(|t| t.id).collect();
        let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let joined: String = spoken.words.iter().map(|w| w.text.as_str()).collect();
        prop_assert_eq!(squeeze(&joined), squeeze(&v.decode(&ids).unwrap()), "no letter lost, none added");
    }
}
