//! Cuts long audio into clips a model can take, in bounded memory, so that no word is lost or doubled where they meet.
//!
//! # Method
//! Energy in 10 ms frames is smoothed and compared with a threshold between the local noise floor and the local speech
//! level ([`speech_activity`]). Within the last [`PieceConfig::search_seconds`] before a clip would become too long, the
//! longest pause (of 0.25 s or more) is cut in its middle, and both sides keep some of the pause as context, never
//! reaching into speech. Where nobody pauses, the cut falls on the quietest spot and both sides hear
//! [`PieceConfig::overlap_seconds`] beyond it. If the end of the audio is in sight, the rest is halved rather than cut to
//! the maximum, because a very short last clip has poor statistics to normalise features with.
//!
//! Every piece says which range of time it answers for ([`Piece::keeps`]). The ranges tile the audio: each instant
//! belongs to exactly one piece. Whoever transcribes the pieces keeps the words whose *middle* lies in the range; next to
//! a cut without pause, where the two sides may disagree by a frame about a word's time, compare the words of the shared
//! second or two as well.

mod activity;
mod cut;
mod energy;
mod reader;
mod stretch;

pub use activity::speech_activity;
pub use reader::{Piece, PieceReader};
pub use stretch::best_stretch;

/// How a piece ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The audio ends.
    End,
    /// In the middle of a pause; the context on both sides is pause.
    Pause,
    /// At the quietest spot of continuous sound; the next piece repeats the last seconds.
    Overlap,
}

/// How long audio is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PieceConfig {
    /// Longest piece in seconds, context included, at least 4; `None` (or 0) for one piece however long, which takes
    /// memory for all of it.
    pub max_seconds: Option<f64>,
    /// How far before the longest length a cut may fall, in seconds; at most half of that length.
    pub search_seconds: f64,
    /// Context on each side of a cut that no pause allows, in seconds; at most an eighth of the longest length.
    pub overlap_seconds: f64,
    /// Context on each side of a cut in a pause, in seconds, or less if the pause is shorter.
    pub margin_seconds: f64,
}

impl Default for PieceConfig {
    fn default() -> Self {
        Self { max_seconds: Some(60.0), search_seconds: 15.0, overlap_seconds: 2.0, margin_seconds: 0.5 }
    }
}

/// [`PieceConfig`] in samples, clamped so that every piece advances.
#[derive(Debug, Clone, Copy)]
struct Limits {
    max: usize,
    search: usize,
    overlap: usize,
    margin: usize,
}

/// Shortest maximum; below it, context would fill the piece.
const MIN_MAX_SECONDS: f64 = 4.0;

impl PieceConfig {
    /// `None` if the audio is to stay whole.
    fn limits(&self, rate: f64) -> Option<Limits> {
        let max = self.max_seconds.filter(|s| s.is_finite() && *s > 0.0)?.max(MIN_MAX_SECONDS);
        // `max` and `min` also turn NaN into a bound; `as` saturates.
        let samples = |seconds: f64, most: f64| (seconds.max(0.0).min(most) * rate) as usize;
        Some(Limits {
            max: samples(max, f64::MAX),
            search: samples(self.search_seconds.max(0.5), max / 2.0),
            overlap: samples(self.overlap_seconds, max / 8.0),
            margin: samples(self.margin_seconds, max / 8.0),
        })
    }
}
