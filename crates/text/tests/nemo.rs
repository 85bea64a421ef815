//! Words, segments and confidences against NeMo's, for every clip and head in `fixtures/parakeet`.
//!
//! The models behind the fixtures are random, so their "speech" is a rain of letters, lone word marks and misplaced
//! punctuation: more corner cases of word grouping than hours of real transcripts have.

#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]

use std::path::{Path, PathBuf};

use mynah_gguf::GgufFile;
use mynah_text::{
    DecodedToken, SegmentRules, SpanRule, Spoken, Timing, Transcript, TranscriptInfo, Vocabulary, assemble,
};

struct Reference {
    name: String,
    head: &'static str,
    decoded: Vec<DecodedToken>,
    text: String,
    words: Vec<(String, i32, i32, f32)>,
    segments: Vec<(String, i32, i32)>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parakeet")
}

fn spans(file: &GgufFile, head: &str, kind: &str) -> Vec<(String, i32, i32)> {
    let texts = file.get_str_array(&format!("{head}.{kind}")).unwrap().unwrap_or_default();
    let starts = file.get_i32_array(&format!("{head}.{kind}.start")).unwrap().unwrap_or_default();
    let ends = file.get_i32_array(&format!("{head}.{kind}.end")).unwrap().unwrap_or_default();
    texts.iter().zip(starts).zip(ends).map(|((text, start), end)| (text.clone(), start, end)).collect()
}

fn reference(path: &Path, head: &'static str) -> Option<Reference> {
    let file = GgufFile::open(path).unwrap();
    let ids = file.get_u32_array(&format!("{head}.tokens")).unwrap()?;
    let frames = file.get_u32_array(&format!("{head}.frames")).unwrap()?;
    let durations = file.get_u32_array(&format!("{head}.durations")).unwrap().unwrap_or_default();
    let confidence = file.get_f32_array(&format!("{head}.confidence")).unwrap().unwrap_or_default();
    let decoded = ids
        .iter()
        .zip(&frames)
        .enumerate()
        .map(|(i, (&id, &frame))| DecodedToken {
            id,
            frame,
            duration_frames: durations.get(i).copied().unwrap_or(1),
            confidence: confidence.get(i).copied().unwrap_or(1.0),
        })
        .collect();
    let word_confidence =
        file.get_f32_array(&format!("{head}.words.confidence")).unwrap().unwrap_or_default();
    let words = spans(&file, head, "words")
        .into_iter()
        .enumerate()
        .map(|(i, (text, start, end))| {
            (text, start, end, word_confidence.get(i).copied().unwrap_or(f32::NAN))
        })
        .collect();
    let name = format!("{} {head}", path.strip_prefix(fixtures()).unwrap().display());
    let text = file.get_str(&format!("{head}.text")).unwrap().unwrap_or_default().to_owned();
    Some(Reference { name, head, decoded, text, words, segments: spans(&file, head, "segments") })
}

fn references() -> Vec<(Vocabulary, Vec<Reference>)> {
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let mut all = Vec::new();
    for case in cases.iter().filter(|case| case.join("model.gguf").exists()) {
        let model = GgufFile::open(case.join("model.gguf")).unwrap();
        let pieces = model.get_str_array("parakeet.tokenizer.pieces").unwrap().unwrap();
        let mut clips: Vec<PathBuf> =
            std::fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).collect();
        clips.sort();
        let found = clips
            .iter()
            .filter(|clip| clip.to_str().is_some_and(|name| name.ends_with(".ref.gguf")))
            .flat_map(|clip| ["ctc", "rnnt", "tdt"].into_iter().filter_map(|head| reference(clip, head)))
            .collect();
        all.push((Vocabulary::new(pieces.to_vec()), found));
    }
    all
}

fn spoken(reference: &Reference, vocabulary: &Vocabulary) -> Spoken {
    let span = if reference.head == "ctc" { SpanRule::PreviousToken } else { SpanRule::Emitted };
    let timing = Timing { frame_seconds: 1.0, offset_seconds: 0.0, span };
    assemble(&reference.decoded, vocabulary, timing).unwrap()
}

/// NeMo makes a word of a lone `▁`; nobody said it, so [`assemble`] does not.
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Whether our `end` of `text` is NeMo's. For TDT, NeMo gives punctuation no time, and so do we for every head. NeMo's
/// RNN-T adds the frame of the mark, and its CTC adds that of a mark before it: there a word may end later.
fn is_end(head: &str, text: &str, end: f64, nemo: i32) -> bool {
    let nemo = f64::from(nemo);
    end == nemo || (head != "tdt" && text.ends_with([',', '.', ';', ':', '?', '!']) && end < nemo)
}

#[test]
fn words_and_their_frames_are_nemos() {
    let mut words = 0;
    for (vocabulary, references) in references() {
        for reference in references {
            let got = spoken(&reference, &vocabulary).words;
            let want: Vec<_> = reference.words.iter().filter(|w| !is_blank(&w.0)).collect();
            assert_eq!(got.len(), want.len(), "{}", reference.name);
            for (word, want) in got.iter().zip(want) {
                assert_eq!((&word.text, word.start), (&want.0, f64::from(want.1)), "{}", reference.name);
                assert!(
                    is_end(reference.head, &word.text, word.end, want.2),
                    "{}: {word:?} {want:?}",
                    reference.name
                );
            }
            words += got.len();
        }
    }
    assert!(words > 500, "only {words} words were compared");
}

#[test]
fn text_is_nemos() {
    for (vocabulary, references) in references() {
        for reference in references {
            let spoken = spoken(&reference, &vocabulary);
            let t = Transcript::build(spoken, &SegmentRules::default(), TranscriptInfo::default());
            let want: Vec<&str> = reference.text.split_whitespace().collect();
            assert_eq!(t.text, want.join(" "), "{}", reference.name);
        }
    }
}

#[test]
fn the_confidence_of_a_word_is_the_least_of_its_tokens() {
    let mut compared = 0;
    for (vocabulary, references) in references() {
        for reference in references {
            // NeMo counts words and their confidences by different rules and cannot pair them when a mark stands alone.
            if reference.words.iter().any(|w| is_blank(&w.0) || w.3.is_nan()) {
                continue;
            }
            for (word, want) in spoken(&reference, &vocabulary).words.iter().zip(&reference.words) {
                assert!((word.confidence - want.3).abs() < 1e-5, "{}: {word:?} {want:?}", reference.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "only {compared} words were compared");
}

#[test]
fn segments_are_nemos() {
    let mut segments = 0;
    for (vocabulary, references) in references() {
        for reference in references {
            let rules = SegmentRules { pause_seconds: None, max_seconds: f64::INFINITY };
            let t = Transcript::build(spoken(&reference, &vocabulary), &rules, TranscriptInfo::default());
            assert_eq!(t.segments.len(), reference.segments.len(), "{}", reference.name);
            for (segment, want) in t.segments.iter().zip(&reference.segments) {
                let words: Vec<&str> = want.0.split_whitespace().collect();
                assert_eq!(segment.text, words.join(" "), "{}", reference.name);
                // A segment that NeMo begins with a blank word begins with it.
                let blank = want.0.starts_with(' ');
                let starts =
                    segment.start == f64::from(want.1) || (blank && segment.start > f64::from(want.1));
                assert!(starts, "{}: {segment:?} {want:?}", reference.name);
                let end = is_end(reference.head, &segment.text, segment.end, want.2);
                assert!(end, "{}: {segment:?} {want:?}", reference.name);
            }
            segments += t.segments.len();
        }
    }
    assert!(segments > 100, "only {segments} segments were compared");
}
