//! SubRip: numbered cues, comma before the milliseconds, no escaping.

use std::fmt::Write;

use super::clock::hms;
use crate::cues::{CueOptions, cues};
use crate::transcript::Transcript;

pub(super) fn write(transcript: &Transcript, options: &CueOptions) -> String {
    let mut out = String::new();
    for (index, cue) in cues(transcript, options).iter().enumerate() {
        let (start, end) = (hms(cue.start_ms, ','), hms(cue.end_ms, ','));
        let _ = writeln!(out, "{}\n{start} --> {end}\n{}\n", index + 1, cue.lines.join("\n"));
    }
    out
}
