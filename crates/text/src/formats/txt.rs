//! Plain text: what was said, on one line, as OpenAI's `text` format has it.

use super::one_line;
use crate::transcript::Transcript;

pub(super) fn write(transcript: &Transcript) -> String {
    let mut out = one_line(&transcript.text);
    if !out.is_empty() {
        out.push('\n');
    }
    out
}
