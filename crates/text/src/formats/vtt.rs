//! WebVTT: a header, cues, and three characters that must be escaped in cue text.

use std::fmt::Write;

use super::clock::hms;
use crate::cues::{CueOptions, cues};
use crate::transcript::Transcript;

pub(super) fn write(transcript: &Transcript, options: &CueOptions) -> String {
    let mut out = String::from("WEBVTT\n\n");
    for cue in cues(transcript, options) {
        let (start, end) = (hms(cue.start_ms, '.'), hms(cue.end_ms, '.'));
        let _ = writeln!(out, "{start} --> {end}\n{}\n", escape(&cue.lines.join("\n")));
    }
    out
}

/// `&` starts an entity and `<` a tag; a literal `-->` would start a new cue, so `>` goes too.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
