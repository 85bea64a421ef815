//! What came of a text.

use super::{Piece, SPEECH_RATE};
use mynah_models::chatterbox::s3gen::StageTimes;
use std::time::Duration;

/// What came of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Samples given out.
    pub samples: usize,
    /// Pieces the text was cut into.
    pub pieces: usize,
    /// Speech tokens.
    pub tokens: usize,
    /// Steps of T3, those whose tokens were dropped among them.
    pub steps: usize,
    /// Whether a piece ended only because there could be no more tokens.
    pub cut_off: bool,
    /// Whether the listener broke off.
    pub cancelled: bool,
    /// Characters for which the model has no token; it guesses there.
    pub unknown: Vec<char>,
    /// Where the time went.
    pub times: SpeakTimes,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpeakTimes {
    /// From the call to the first samples.
    pub first: Duration,
    /// T3.
    pub t3: Duration,
    /// S3Gen by stage.
    pub s3gen: StageTimes,
    /// All of it.
    pub total: Duration,
}

impl Said {
    /// Seconds of sound.
    pub fn seconds(&self) -> f64 {
        self.samples as f64 / f64::from(SPEECH_RATE)
    }

    pub(super) fn add(&mut self, piece: &Piece) {
        use mynah_models::chatterbox::t3::Finish;
        self.tokens += piece.tokens;
        self.steps += piece.steps;
        self.cut_off |= piece.finish == Finish::Length;
        self.cancelled |= piece.finish == Finish::Cancelled;
        self.times.t3 += piece.t3;
        self.times.s3gen += piece.times;
    }
}
