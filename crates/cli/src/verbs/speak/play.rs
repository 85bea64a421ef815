//! `--play`: the machine's speakers, in builds that have them (the feature `playback`).

#[cfg(feature = "playback")]
pub(super) use with::Play;
#[cfg(not(feature = "playback"))]
pub(super) use without::Play;

#[cfg(feature = "playback")]
mod with {
    use crate::hints::Advised;
    use crate::{interrupt, notes};
    use mynah_audio::{AudioError, Player};

    /// The default output device.
    pub(crate) struct Play(Player);

    impl Play {
        /// Opens it for samples at `rate` Hz; Ctrl-C silences it.
        pub(crate) fn open(rate: u32) -> anyhow::Result<Self> {
            Player::open(rate, interrupt::pressed).map(Self).map_err(|error| match error {
                AudioError::Playback { .. } => {
                    let hint = "-o FILE writes the sound instead, and -o - -f pcm gives it to a player";
                    Advised::new(error.to_string(), hint).into()
                }
                error => error.into(),
            })
        }

        /// Plays further samples.
        pub(crate) fn take(&mut self, samples: &[f32]) -> anyhow::Result<()> {
            Ok(self.0.play(samples)?)
        }

        /// Waits for the end of the sound, and tells of what was missing in it.
        pub(crate) fn finish(self) -> anyhow::Result<()> {
            let played = self.0.finish()?;
            if played.underruns > 0 {
                let gaps = crate::units::count(played.underruns as usize, "gap", "gaps");
                notes::warn(&format!(
                    "the sound had {gaps}, {:.1} s together: it is heard faster than it is made",
                    played.silence
                ));
            }
            Ok(())
        }
    }
}

#[cfg(not(feature = "playback"))]
mod without {
    use crate::hints::Advised;

    /// No device.
    pub(crate) enum Play {}

    impl Play {
        /// That this build has no such thing, and how to get one that has.
        pub(crate) fn open(_rate: u32) -> anyhow::Result<Self> {
            let hint = "`cargo build --release -p mynah-cli --features playback` makes one that can (on Debian and Ubuntu with \
                        libasound2-dev); without it: -o - -f pcm | aplay -f S16_LE -r 24000";
            Err(Advised::new("this build of mynah can't play sound", hint).into())
        }

        pub(crate) fn take(&mut self, _samples: &[f32]) -> anyhow::Result<()> {
            match *self {}
        }

        pub(crate) fn finish(self) -> anyhow::Result<()> {
            match self {}
        }
    }
}
