use super::*;
use crate::assemble::Spoken;
use crate::segment::SegmentRules;
use crate::transcript::{Token, TranscriptInfo, Word};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

fn transcript(list: &[(&str, f64, f64)]) -> Transcript {
    let mut spoken = Spoken::default();
    for (i, &(text, start, end)) in list.iter().enumerate() {
        spoken.tokens.push(Token { id: 1, text: text.into(), start, end, emitted: start, confidence: 1.0 });
        spoken.words.push(Word { text: text.into(), start, end, confidence: 1.0, tokens: i..i + 1 });
    }
    Transcript::build(spoken, &SegmentRules::default(), TranscriptInfo::default())
}

/// Words of 0.3 s each, one right after the other; `|` is a pause of a second.
fn spoken(text: &str) -> Transcript {
    let mut at = 0.0;
    let mut list = Vec::new();
    for word in text.split(' ') {
        if word == "|" {
            at += 1.0;
        } else {
            list.push((word, at, at + 0.3));
            at += 0.3;
        }
    }
    transcript(&list)
}

fn shown(transcript: &Transcript, options: &CueOptions) -> Vec<String> {
    cues(transcript, options).iter().map(|cue| cue.lines.join(" / ")).collect()
}

#[test]
fn sentences_get_their_own_cues() {
    let t = spoken("This is the first sentence here. And this one is the second of them.");
    assert_eq!(
        shown(&t, &CueOptions::default()),
        ["This is the first sentence here.", "And this one is the second of them."]
    );
}

#[test]
fn a_sentence_too_short_to_read_shares_a_cue() {
    let t = spoken("Yes. I will come and see you soon, my friend.");
    assert_eq!(shown(&t, &CueOptions::default()), ["Yes. I will come and see / you soon, my friend."]);
}

#[test]
fn a_long_sentence_breaks_at_its_clauses() {
    let t = spoken(
        "When the rain had stopped at last and the sky was clear again, we all went out to the garden behind the \
         old house.",
    );
    assert_eq!(
        shown(&t, &CueOptions::default()),
        [
            "When the rain had stopped at last / and the sky was clear again,",
            "we all went out to the / garden behind the old house."
        ]
    );
}

#[test]
fn a_pause_always_ends_a_cue() {
    let t = spoken("well | then let us go");
    assert_eq!(shown(&t, &CueOptions::default()), ["well", "then let us go"]);
    let c = cues(&t, &CueOptions::default());
    assert_eq!((c[0].start_ms, c[0].end_ms), (0, 1000), "held for the least time");
    assert_eq!((c[1].start_ms, c[1].end_ms), (1300, 2500));
}

#[test]
fn a_cue_is_held_only_while_there_is_room() {
    let t = transcript(&[("One.", 0.0, 0.2), ("Two.", 1.1, 1.2), ("Three.", 1.5, 1.6)]);
    let options = CueOptions { max_lines: 1, max_line: 1, ..CueOptions::default() };
    let times: Vec<(u64, u64)> = cues(&t, &options).iter().map(|c| (c.start_ms, c.end_ms)).collect();
    assert_eq!(times, [(0, 1000), (1100, 1500), (1500, 2500)]);
}

#[test]
fn one_word_a_cue() {
    let options = CueOptions { max_lines: 1, max_line: 1, ..CueOptions::default() };
    assert_eq!(
        shown(&spoken("Hello there, unbreakable world."), &options),
        ["Hello", "there,", "unbreakable", "world."]
    );
}

#[test]
fn wide_words_are_broken_and_wide_letters_count_double() {
    let long = "a".repeat(100);
    let got = cues(&transcript(&[("see", 0.0, 0.5), (&long, 0.5, 4.5)]), &CueOptions::default());
    let text: String = got.iter().flat_map(|c| &c.lines).map(String::as_str).collect();
    assert_eq!(text, format!("see{long}"));
    assert!(got.iter().flat_map(|c| &c.lines).all(|line| line.width() <= 42));

    let japanese = "今日はとても良い天気なので、公園まで散歩に行きました。明日も晴れるといいですね。";
    let got = shown(&transcript(&[(japanese, 0.0, 6.0)]), &CueOptions::default());
    assert_eq!(got.concat().replace(" / ", ""), japanese);
    assert!(got.iter().flat_map(|cue| cue.split(" / ")).all(|line| line.width() <= 42), "{got:?}");
}

#[test]
fn tokens_of_a_wide_word_lend_it_their_times() {
    let mut t = transcript(&[("x", 0.0, 0.1), ("y", 5.0, 5.1)]);
    let half = "あ".repeat(20);
    for (token, text) in t.tokens.iter_mut().zip([&half, &half]) {
        token.text.clone_from(text);
    }
    t.words = vec![Word { text: half.repeat(2), start: 0.0, end: 5.1, confidence: 1.0, tokens: 0..2 }];
    let got = cues(&t, &CueOptions::default());
    assert_eq!(got.iter().map(|c| (c.start_ms, c.end_ms)).collect::<Vec<_>>(), [(0, 1000), (5000, 6000)]);
}

#[test]
fn control_characters_cannot_break_a_cue() {
    let t = transcript(&[("a\n\n1\n00:00:00,000", 0.0, 1.0), ("\u{0}", 1.0, 2.0), ("b\tc\u{1b}", 2.0, 3.0)]);
    assert_eq!(
        shown(&t, &CueOptions { pause_seconds: 5.0, ..CueOptions::default() }),
        ["a 1 00:00:00,000 b c"]
    );
}

#[test]
fn nothing_said_nothing_shown() {
    assert_eq!(cues(&Transcript::default(), &CueOptions::default()), []);
}

proptest! {
    #[test]
    fn cues_never_overlap_and_hold_every_word(
        raw in prop::collection::vec(("[a-zé日]{1,12}|[a-z]{30,90}", "[,.?]?", -0.5f64..2.0, -0.1f64..3.0), 0..120),
        max_line in 20usize..60,
        max_lines in 1usize..4,
        max_seconds in 2.0f64..9.0,
    ) {
        let mut at = 0.0;
        let mut texts = Vec::new();
        for (word, mark, gap, length) in &raw {
            let start: f64 = at + gap;
            at = start + length;
            texts.push((format!("{word}{mark}"), start, at));
        }
        let list: Vec<(&str, f64, f64)> = texts.iter().map(|(t, s, e)| (t.as_str(), *s, *e)).collect();
        let options = CueOptions { max_line, max_lines, max_seconds, ..CueOptions::default() };
        let got = cues(&transcript(&list), &options);

        for cue in &got {
            prop_assert!(cue.start_ms < cue.end_ms);
            prop_assert!(cue.end_ms - cue.start_ms <= (max_seconds * 1000.0).round() as u64 + 1);
            prop_assert!(!cue.lines.is_empty() && cue.lines.len() <= max_lines);
            for line in &cue.lines {
                prop_assert!(!line.trim().is_empty() && line.width() <= max_line, "{:?}", line);
            }
        }
        prop_assert!(got.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms));
        let said: String = list.iter().map(|w| w.0).collect();
        let shown: String = got.iter().flat_map(|c| &c.lines).map(|l| l.replace(' ', "")).collect();
        prop_assert_eq!(shown, said);
    }
}
