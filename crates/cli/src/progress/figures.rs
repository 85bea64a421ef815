//! How far a transcription is, in words and in JSON.

use crate::units;
use serde_json::{Value, json};
use std::fmt;

/// The figures of one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Seconds of audio heard.
    pub(super) seconds: f64,
    /// Seconds of audio in all.
    pub(super) total: Option<f64>,
    /// Seconds it took.
    pub(super) wall: f64,
}

impl Figures {
    fn speed(&self) -> f64 {
        self.seconds / self.wall.max(1e-9)
    }

    /// Seconds until the end, once there is something to go by. Headers lie, so it is never negative.
    fn left(&self) -> Option<f64> {
        (self.seconds > 0.0).then_some(())?;
        Some((self.total? - self.seconds).max(0.0) / self.speed())
    }

    pub(super) fn json(&self) -> Value {
        // To the millisecond: more digits would be noise.
        let round = |x: f64| (x * 1000.0).round() / 1000.0;
        json!({
            "seconds": round(self.seconds),
            "total": self.total.map(round),
            "wall_seconds": round(self.wall),
            "speed": round(self.speed()),
            "left_seconds": self.left().map(round),
        })
    }

    /// The line at the end.
    pub(super) fn summary(&self) -> String {
        let (audio, wall) = (units::seconds(self.seconds), units::seconds(self.wall));
        format!("{audio} of audio in {wall} ({})", units::speed(self.seconds, self.wall))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&units::seconds(self.seconds))?;
        if let Some(total) = self.total {
            write!(f, " of {}", units::seconds(total))?;
        }
        if self.seconds > 0.0 {
            write!(f, ", {}", units::speed(self.seconds, self.wall))?;
        }
        if let Some(left) = self.left() {
            write!(f, ", {} left", units::seconds(left))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_in_words() {
        let at = |seconds, total| Figures { seconds, total, wall: 2.0 }.to_string();
        assert_eq!(at(40.0, Some(100.0)), "40.0 s of 1:40, 20.0 × realtime, 3.0 s left");
        assert_eq!(at(40.0, None), "40.0 s, 20.0 × realtime");
        assert_eq!(at(0.0, Some(100.0)), "0.0 s of 1:40");
        assert_eq!(at(110.0, Some(100.0)), "1:50 of 1:40, 55.0 × realtime, 0.0 s left");
        let end = Figures { seconds: 40.0, total: None, wall: 2.0 };
        assert_eq!(end.summary(), "40.0 s of audio in 2.0 s (20.0 × realtime)");
    }

    #[test]
    fn unknown_figures_are_null() {
        let figures = Figures { seconds: 0.0, total: None, wall: 0.5 }.json();
        assert_eq!((&figures["total"], &figures["left_seconds"]), (&Value::Null, &Value::Null));
    }
}
