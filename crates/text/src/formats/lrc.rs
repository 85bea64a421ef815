//! Lyrics: one line a cue, its start in front as minutes, seconds and hundredths.

use std::fmt::Write;

use crate::cues::{CueOptions, cues};
use crate::transcript::Transcript;

pub(super) fn write(transcript: &Transcript, options: &CueOptions) -> String {
    let mut out = String::new();
    for cue in cues(transcript, options) {
        // Rounded down: a line that lights up early is better than one that lights up late.
        let hundredths = cue.start_ms / 10;
        let (minutes, seconds) = (hundredths / 6000, hundredths / 100 % 60);
        let _ = writeln!(out, "[{minutes:02}:{seconds:02}.{:02}]{}", hundredths % 100, cue.lines.join(" "));
    }
    out
}
