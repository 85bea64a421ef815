//! Plays samples on the machine's speakers while they are still being made.
//!
//! ```text
//! Player::play ─► resampler, where the device lacks the rate ─► ring, 20 s ─► the device's thread (cpal)
//! ```
//!
//! The device is never waited for with a lock held: its thread takes what the ring has and plays silence for what it lacks, which is
//! counted.

mod device;
mod ring;

use crate::{AudioError, Resampler};
use ring::Ring;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Seconds of sound that may be ahead of what is heard.
const AHEAD: usize = 20;
/// How often a full ring is looked at again.
const NAP: Duration = Duration::from_millis(5);
/// What a device may still hold back when the ring is empty.
const TAIL: Duration = Duration::from_millis(300);

/// What was wrong with the playing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Played {
    /// How often there was nothing to play in the middle of the sound.
    pub underruns: u64,
    /// Seconds of silence that came of it.
    pub silence: f64,
}

/// Plays mono samples. Dropped, it falls silent at once.
pub struct Player {
    ring: Arc<Ring>,
    /// Keeps the device playing.
    stream: device::Stream,
    resampler: Resampler,
    rate: u32,
    stop: fn() -> bool,
    trouble: Arc<Trouble>,
}

/// What the device has complained of.
#[derive(Default)]
struct Trouble {
    reason: Mutex<Option<String>>,
}

impl Trouble {
    fn report(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn check(&self) -> Result<(), AudioError> {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        reason.map_or(Ok(()), |reason| Err(AudioError::Playback { reason }))
    }
}

impl Player {
    /// Opens the default output device for samples at `rate` Hz. As soon as `stop` says so, which the device's thread asks, too, nothing
    /// is heard any more.
    ///
    /// # Errors
    /// [`AudioError::Playback`] for a machine without a device, or one that takes no samples.
    pub fn open(rate: u32, stop: fn() -> bool) -> Result<Self, AudioError> {
        let output = device::Output::find(rate)?;
        let ring = Arc::new(Ring::new(AHEAD.saturating_mul(output.rate() as usize)));
        let trouble = Arc::new(Trouble::default());
        let resampler = Resampler::new(rate, output.rate())?;
        let rate = output.rate();
        let stream = output.start(Arc::clone(&ring), stop, Arc::clone(&trouble))?;
        Ok(Self { ring, stream, resampler, rate, stop, trouble })
    }

    /// Plays further samples; waits while twenty seconds are ahead of what is heard.
    ///
    /// # Errors
    /// [`AudioError::Playback`] when the device has gone.
    pub fn play(&mut self, samples: &[f32]) -> Result<(), AudioError> {
        let mut ready = Vec::new();
        self.resampler.push(samples, &mut ready)?;
        self.put(&ready)
    }

    fn put(&self, samples: &[f32]) -> Result<(), AudioError> {
        let mut rest = samples;
        loop {
            self.trouble.check()?;
            rest = &rest[self.ring.put(rest)..];
            if rest.is_empty() || (self.stop)() {
                return Ok(());
            }
            std::thread::sleep(NAP);
        }
    }

    /// Waits until everything was heard.
    ///
    /// # Errors
    /// As [`Player::play`].
    pub fn finish(mut self) -> Result<Played, AudioError> {
        let mut rest = Vec::new();
        self.resampler.finish(&mut rest)?;
        self.put(&rest)?;
        self.ring.end();
        while self.ring.waiting() > 0 && !(self.stop)() {
            self.trouble.check()?;
            std::thread::sleep(NAP);
        }
        if !(self.stop)() {
            std::thread::sleep(TAIL);
        }
        let (underruns, missing) = self.ring.gaps();
        drop(self.stream);
        Ok(Played { underruns, silence: missing as f64 / f64::from(self.rate.max(1)) })
    }
}
