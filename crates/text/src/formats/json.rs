//! parakeet.cpp's JSON, byte for byte: key order, no spaces, seconds with 3 decimals, confidence with 4, frame length
//! with 6. Programs that read its C API's documents read these.

use std::fmt::Write;

use super::clock::finite;
use crate::transcript::Transcript;

pub(super) fn write(transcript: &Transcript) -> String {
    let mut out = String::with_capacity(80 + transcript.words.len() * 48 + transcript.tokens.len() * 40);
    out.push_str("{\"text\":");
    string(&mut out, &transcript.text);
    let _ = write!(out, ",\"frame_sec\":{:.6},\"words\":[", finite(transcript.frame_seconds));
    for (index, word) in transcript.words.iter().enumerate() {
        comma(&mut out, index);
        out.push_str("{\"w\":");
        string(&mut out, &word.text);
        let (start, end, confidence) = (finite(word.start), finite(word.end), finite(word.confidence.into()));
        let _ = write!(out, ",\"start\":{start:.3},\"end\":{end:.3},\"conf\":{confidence:.4}}}");
    }
    out.push_str("],\"tokens\":[");
    for (index, token) in transcript.tokens.iter().enumerate() {
        comma(&mut out, index);
        let (t, confidence) = (finite(token.emitted), finite(token.confidence.into()));
        let _ = write!(out, "{{\"id\":{},\"t\":{t:.3},\"conf\":{confidence:.4}}}", token.id);
    }
    out.push_str("]}\n");
    out
}

fn comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// Appends `text` as a JSON string.
fn string(out: &mut String, text: &str) {
    // A `Value` prints itself and, unlike serialising through a writer, has no error to handle.
    let _ = write!(out, "{}", serde_json::Value::from(text));
}
