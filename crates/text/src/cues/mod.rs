//! Words → subtitle cues: what stands on the screen at once, and for how long.
//!
//! Words become units (`units`), a shortest-path search picks the cue boundaries (`breaks`), every cue is wrapped
//! into balanced lines (`lines`), and the times are settled so that no two cues overlap (`timing`). The srt, vtt and
//! lrc writers print the result.

mod breaks;
mod lines;
mod timing;
mod units;

use crate::transcript::Transcript;

/// How cues are laid out. The defaults are the broadcasters' usual ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CueOptions {
    /// Columns in a line (42). An East Asian wide character takes two. A word wider than a line is broken only if a
    /// line has at least 20 columns; a narrower limit puts each word on a line of its own.
    pub max_line: usize,
    /// Lines in a cue (2). With `max_line: 1, max_lines: 1` every word is a cue.
    pub max_lines: usize,
    /// Longest time a cue stands (7 s).
    pub max_seconds: f64,
    /// A shorter cue is held this long (1 s), if the next one leaves the room.
    pub min_seconds: f64,
    /// A silence of this length always ends a cue (0.8 s).
    pub pause_seconds: f64,
}

impl Default for CueOptions {
    fn default() -> Self {
        Self { max_line: 42, max_lines: 2, max_seconds: 7.0, min_seconds: 1.0, pause_seconds: 0.8 }
    }
}

/// One cue. Cues come in order and never overlap: `start_ms < end_ms <= next.start_ms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// When it appears, in milliseconds from the start of the clip.
    pub start_ms: u64,
    /// When it disappears.
    pub end_ms: u64,
    /// Its lines, at least one, none empty.
    pub lines: Vec<String>,
}

/// Lays out the words of `transcript`. Every word stands in exactly one cue, in order.
#[must_use]
pub fn cues(transcript: &Transcript, options: &CueOptions) -> Vec<Cue> {
    let units = units::units(transcript, options.max_line);
    let groups = breaks::groups(&units, options);
    let times = timing::times(&units, &groups, options);
    groups
        .into_iter()
        .zip(times)
        .map(|(group, (start_ms, end_ms))| Cue {
            start_ms,
            end_ms,
            lines: lines::wrap(units.get(group).unwrap_or_default(), options.max_line, options.max_lines),
        })
        .collect()
}

#[cfg(test)]
mod tests;
