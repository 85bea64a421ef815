//! How fast it is said: mel frames in other places of time, before the vocoder makes its source and its samples of them. A frame
//! keeps what it says of pitch and timbre, so nothing but time changes, and no samples have to be overlapped.
//!
//! CosyVoice 2, whose flow and vocoder S3Gen has, interpolates the same way (`token2wav`: `F.interpolate(tts_mel, size=int(T / speed),
//! mode='linear')`), but of finished speech only. Here a frame depends on its two neighbours and on nothing that comes later, so a
//! stream gives the frames that the whole gives.

use super::error::S3GenError;

/// How fast it is said, 0.5 to 2 times as fast as the model would.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(f64);

impl Default for Speed {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Speed {
    /// The slowest.
    pub const LEAST: f64 = 0.5;
    /// The fastest.
    pub const MOST: f64 = 2.0;

    /// A speed between [`Speed::LEAST`] and [`Speed::MOST`].
    ///
    /// # Errors
    /// [`S3GenError::Speed`] for any other.
    pub fn new(speed: f64) -> Result<Self, S3GenError> {
        if (Self::LEAST..=Self::MOST).contains(&speed) {
            Ok(Self(speed))
        } else {
            Err(S3GenError::Speed { speed, least: Self::LEAST, most: Self::MOST })
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Mel frames that so many become, one at least.
    pub fn frames(self, frames: usize) -> usize {
        if frames == 0 { 0 } else { ((frames as f64 / self.0).round() as usize).max(1) }
    }

    /// The same mel frames `[T, bins]` in [`Speed::frames`] frames.
    pub fn apply(self, mel: &[f32], bins: usize) -> Vec<f32> {
        Pace::new(self).take(mel, bins, true)
    }
}

/// Mel frames on their way to another speed, in parts.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    speed: Speed,
    /// The frames that the next one may still lie between, `[.., bins]`.
    kept: Vec<f32>,
    /// How many frames came before `kept`.
    dropped: usize,
    /// Frames given out.
    given: usize,
}

impl Pace {
    pub(super) fn new(speed: Speed) -> Self {
        Self { speed, kept: Vec::new(), dropped: 0, given: 0 }
    }

    /// Takes further frames and gives those that are certain; of the `last` all that are left.
    pub(super) fn take(&mut self, mel: &[f32], bins: usize, last: bool) -> Vec<f32> {
        if self.speed == Speed::default() {
            return mel.to_vec();
        }
        self.kept.extend_from_slice(mel);
        let frames = self.dropped + self.kept.len() / bins;
        if frames == 0 {
            return Vec::new();
        }
        let end = if last { self.speed.frames(frames) } else { usize::MAX };
        let mut out = Vec::new();
        while self.given < end {
            let at = self.place(self.given);
            // Beyond the last frame there is only that one, but whether it is the last is not known before the end.
            if !last && at > (frames - 1) as f64 {
                break;
            }
            let before = (at.floor() as usize).min(frames - 1);
            let after = (before + 1).min(frames - 1);
            let weight = (at - before as f64).clamp(0.0, 1.0) as f32;
            let row = |frame: usize| {
                let first = (frame - self.dropped) * bins;
                &self.kept[first..first + bins]
            };
            out.extend(row(before).iter().zip(row(after)).map(|(&x, &y)| x + (y - x) * weight));
            self.given += 1;
        }
        // What the next frame lies between stays, and the last one in any case.
        let needed = (self.place(self.given).floor() as usize).min(frames - 1);
        let gone = needed.saturating_sub(self.dropped);
        self.kept.drain(..gone * bins);
        self.dropped += gone;
        out
    }

    /// Where a frame lies among those that come, middle on middle, as `F.interpolate` without `align_corners` has it.
    fn place(&self, frame: usize) -> f64 {
        ((frame as f64 + 0.5) * self.speed.0 - 0.5).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, Speed};
    use crate::chatterbox::s3gen::S3GenError;

    const SPEEDS: [f64; 9] = [0.5, 0.6, 0.75, 0.9, 1.0, 1.1, 1.3, 1.7, 2.0];

    /// Two bins: where a frame was, and something that bends.
    fn mel(frames: usize) -> Vec<f32> {
        (0..frames).flat_map(|i| [i as f32, ((i * i) % 17) as f32]).collect()
    }

    #[test]
    fn frames_are_as_many_as_the_speed_says_and_in_their_places() {
        for speed in SPEEDS {
            let speed = Speed::new(speed).unwrap();
            for frames in 1..200 {
                let out = speed.apply(&mel(frames), 2);
                assert_eq!(out.len() / 2, speed.frames(frames));
                let exact = frames as f64 / speed.get();
                assert!(
                    (out.len() as f64 / 2.0 - exact).abs() <= 0.5 || out.len() == 2,
                    "{speed:?} {frames}"
                );
                for (j, frame) in out.chunks_exact(2).enumerate() {
                    let place = ((j as f64 + 0.5) * speed.get() - 0.5).clamp(0.0, (frames - 1) as f64);
                    assert!((f64::from(frame[0]) - place).abs() < 1e-4, "{speed:?} {frames} {j}");
                }
            }
        }
    }

    #[test]
    fn parts_give_the_frames_of_the_whole() {
        for speed in SPEEDS {
            let speed = Speed::new(speed).unwrap();
            for frames in [1, 2, 3, 7, 40, 101] {
                let (mel, whole) = (mel(frames), speed.apply(&mel(frames), 2));
                for part in [1, 2, 5, 64] {
                    let mut pace = Pace::new(speed);
                    let mut out = Vec::new();
                    for piece in mel.chunks(2 * part) {
                        out.extend(pace.take(piece, 2, false));
                        assert!(pace.kept.len() <= 2 * (part + 4), "{speed:?}: {} kept", pace.kept.len());
                    }
                    out.extend(pace.take(&[], 2, true));
                    assert!(out == whole, "{speed:?} {frames} {part}");
                }
            }
        }
    }

    #[test]
    fn the_models_own_speed_changes_no_bit_and_others_are_refused() {
        assert_eq!(Speed::default().apply(&mel(9), 2), mel(9));
        assert!(Speed::new(1.0).unwrap().apply(&[], 2).is_empty());
        for wrong in [0.0, -1.0, 0.49, 2.01, f64::NAN, f64::INFINITY] {
            assert!(matches!(Speed::new(wrong), Err(S3GenError::Speed { .. })), "{wrong}");
        }
    }
}
