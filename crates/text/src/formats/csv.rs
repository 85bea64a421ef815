//! whisper.cpp's comma-separated table: whole milliseconds, quoted text, one segment a row.

use std::fmt::Write;

use super::clock::milliseconds;
use super::one_line;
use crate::transcript::Transcript;

pub(super) fn write(transcript: &Transcript) -> String {
    let mut out = String::from("start,end,text\n");
    for segment in &transcript.segments {
        let (start, end) = (milliseconds(segment.start), milliseconds(segment.end));
        let _ = writeln!(out, "{start},{end},\"{}\"", one_line(&segment.text).replace('"', "\"\""));
    }
    out
}
