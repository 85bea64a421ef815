//! Long audio with the built-in model: pieces give the words of the whole, wherever they meet.
#![cfg(feature = "builtin-model")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use mynah::{AudioStream, Options, PieceConfig, TranscribeOptions, Transcriber, Transcript};
use std::path::PathBuf;

const SAMPLE_RATE: u32 = 16_000;

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples").join(name)
}

/// A recording as WAV bytes.
fn wav(samples: &[f32]) -> Vec<u8> {
    let bytes = samples.len() as u32 * 2;
    let mut out = Vec::with_capacity(44 + bytes as usize);
    out.extend(b"RIFF");
    out.extend((36 + bytes).to_le_bytes());
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend(SAMPLE_RATE.to_le_bytes());
    out.extend((SAMPLE_RATE * 2).to_le_bytes());
    out.extend(b"\x02\0\x10\0data");
    out.extend(bytes.to_le_bytes());
    out.extend(samples.iter().flat_map(|x| ((x * 32767.0) as i16).to_le_bytes()));
    out
}

fn hear(ears: &mut Transcriber, samples: &[f32], max_seconds: Option<f64>) -> Transcript {
    let audio = AudioStream::from_bytes(wav(samples)).unwrap();
    let pieces = PieceConfig { max_seconds, ..PieceConfig::default() };
    let options = TranscribeOptions { pieces, ..TranscribeOptions::default() };
    ears.transcribe(audio, &options, &mut |_| {}).unwrap()
}

fn words(text: &str) -> Vec<String> {
    let keep = |c: &char| c.is_alphanumeric() || c.is_whitespace() || *c == '\'';
    text.chars()
        .filter(keep)
        .collect::<String>()
        .to_lowercase()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Words that differ: the Levenshtein distance of two texts.
fn distance(a: &[String], b: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[test]
fn pieces_that_meet_in_pauses_give_the_words_of_the_whole() {
    let mut ears = Transcriber::builtin(&Options::default()).unwrap();
    let samples = AudioStream::open(sample("minute.wav")).unwrap().read_all().unwrap();
    let whole = hear(&mut ears, &samples, None);
    let spoken = words(&std::fs::read_to_string(sample("minute.txt")).unwrap());
    assert!(distance(&words(&whole.text), &spoken) * 50 <= spoken.len(), "{}", whole.text);
    for seconds in [30.0, 15.0, 10.0, 7.0, 5.0] {
        let pieces = hear(&mut ears, &samples, Some(seconds));
        assert_eq!(words(&pieces.text), words(&whole.text), "pieces of {seconds} s");
        // The first word after a pause may be timed anywhere in its onset; a piece's offset would show as seconds.
        for (a, b) in pieces.words.iter().zip(&whole.words) {
            assert!((a.start - b.start).abs() <= 0.5, "'{}' at {} and {}", a.text, a.start, b.start);
        }
    }
}

#[test]
fn pieces_cut_inside_speech_neither_lose_nor_double_words() {
    let mut ears = Transcriber::builtin(&Options::default()).unwrap();
    let samples = AudioStream::open(sample("minute.wav")).unwrap().read_all().unwrap();
    // Without its pauses there is no good place to cut.
    let speech = mynah_audio::speech_activity(&samples);
    let rate = f64::from(SAMPLE_RATE);
    let span = |&(from, to): &(f64, f64)| {
        &samples[(from * rate) as usize..((to * rate) as usize).min(samples.len())]
    };
    let dense: Vec<f32> = speech.iter().flat_map(span).copied().collect();
    assert!(dense.len() < samples.len() * 19 / 20, "the recording had pauses");
    let whole = hear(&mut ears, &dense, None);
    for seconds in [20.0, 12.0, 8.0] {
        let pieces = hear(&mut ears, &dense, Some(seconds));
        let off = distance(&words(&pieces.text), &words(&whole.text));
        let seams = (dense.len() as f64 / rate / seconds).ceil() as usize;
        // Another context may turn a word into its like; a seam that loses or doubles speech would cost several.
        assert!(
            off <= seams.min(3),
            "pieces of {seconds} s: {off} words differ\n{}\n{}",
            pieces.text,
            whole.text
        );
        assert!(pieces.words.len().abs_diff(whole.words.len()) <= 1);
    }
}

#[test]
fn ten_runs_in_one_process_and_any_thread_count_give_the_same_transcript() {
    let samples = AudioStream::open(sample("mr-allen.wav")).unwrap().read_all().unwrap();
    let mut first = None;
    for threads in [1, 2, 5] {
        let options = Options { threads: Some(threads), ..Options::default() };
        let mut ears = Transcriber::builtin(&options).unwrap();
        for _ in 0..10 {
            let transcript = hear(&mut ears, &samples, None);
            assert!(*first.get_or_insert_with(|| transcript.clone()) == transcript, "{threads} threads");
        }
    }
}

#[test]
fn digital_silence_gives_no_words() {
    let mut ears = Transcriber::builtin(&Options::default()).unwrap();
    assert_eq!(hear(&mut ears, &vec![0.0; 5 * SAMPLE_RATE as usize], None).text, "");
    assert_eq!(hear(&mut ears, &[], None).text, "");
}
