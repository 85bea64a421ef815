//! OpenAI's `verbose_json`, every field filled, because clients index them blindly.
//!
//! What a transducer has no notion of is said neutrally: it decodes greedily (`temperature` 0) and has no no-speech head
//! (`no_speech_prob` 0). The rest is computed: `avg_logprob` is the mean logarithm of the token confidences,
//! `compression_ratio` is Whisper's (bytes of text over bytes of its zlib stream), `seek` is where the segment begins in
//! frames of 10 ms.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;

use super::clock::{finite, milliseconds};
use crate::transcript::{Segment, Transcript};

#[derive(Serialize)]
struct Body<'a> {
    task: &'static str,
    language: &'a str,
    duration: f64,
    text: &'a str,
    words: Vec<BodyWord<'a>>,
    segments: Vec<BodySegment<'a>>,
    usage: Usage,
}

#[derive(Serialize)]
struct BodyWord<'a> {
    word: &'a str,
    start: f64,
    end: f64,
}

#[derive(Serialize)]
struct BodySegment<'a> {
    id: usize,
    seek: u64,
    start: f64,
    end: f64,
    text: &'a str,
    tokens: Vec<u32>,
    temperature: f64,
    avg_logprob: f64,
    compression_ratio: f64,
    no_speech_prob: f64,
}

#[derive(Serialize)]
struct Usage {
    r#type: &'static str,
    seconds: u64,
}

/// BCP 47 for "undetermined": the field is a string that no client expects to be missing.
const UNKNOWN_LANGUAGE: &str = "und";

pub(super) fn write(transcript: &Transcript) -> String {
    let duration = finite(transcript.duration).max(0.0);
    let body = Body {
        task: "transcribe",
        language: transcript.language.as_deref().unwrap_or(UNKNOWN_LANGUAGE),
        duration: round(duration),
        text: &transcript.text,
        words: transcript
            .words
            .iter()
            .map(|word| BodyWord { word: &word.text, start: round(word.start), end: round(word.end) })
            .collect(),
        segments: transcript.segments.iter().map(|segment| body_segment(transcript, segment)).collect(),
        // Billed seconds are whole and rounded up.
        usage: Usage { r#type: "duration", seconds: duration.ceil() as u64 },
    };
    // Strings and finite numbers under string keys: there is nothing in it that could fail to serialise.
    let mut out = serde_json::to_string(&body).unwrap_or_default();
    out.push('\n');
    out
}

fn body_segment<'a>(transcript: &Transcript, segment: &'a Segment) -> BodySegment<'a> {
    let tokens = transcript.tokens_of(segment);
    BodySegment {
        id: segment.id,
        seek: milliseconds(segment.start) / 10,
        start: round(segment.start),
        end: round(segment.end),
        text: &segment.text,
        tokens: tokens.iter().map(|token| token.id).collect(),
        temperature: 0.0,
        avg_logprob: digits(mean_log(tokens.iter().map(|token| token.confidence)), 6),
        compression_ratio: digits(compression_ratio(&segment.text), 6),
        no_speech_prob: 0.0,
    }
}

/// Mean natural logarithm. A confidence of zero has no finite logarithm, so the least one counts as 1e-10.
fn mean_log(confidences: impl ExactSizeIterator<Item = f32>) -> f64 {
    let count = confidences.len();
    if count == 0 {
        return 0.0;
    }
    confidences.map(|confidence| f64::from(confidence).clamp(1e-10, 1.0).ln()).sum::<f64>() / count as f64
}

/// Whisper's measure of repetition: a decoder that loops writes text that compresses well (it distrusts 2.4 and more).
fn compression_ratio(text: &str) -> f64 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing into a vector does not fail.
    let compressed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    if compressed.is_empty() { 1.0 } else { text.len() as f64 / compressed.len() as f64 }
}

/// Seconds to the millisecond.
fn round(seconds: f64) -> f64 {
    digits(seconds, 3)
}

fn digits(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    finite((value * scale).round() / scale)
}
