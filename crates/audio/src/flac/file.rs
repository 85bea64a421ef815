//! A FLAC file that is written as samples come.

use super::encoder::FlacEncoder;
use crate::AudioError;
use crate::place::Place;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A mono FLAC file, which appears as a [`crate::WavFile`] does. Devices and pipes are told nothing of its length and digest.
pub struct FlacFile {
    path: PathBuf,
    place: Place,
    encoder: FlacEncoder,
}

impl FlacFile {
    /// Begins a file of samples at `rate` Hz.
    ///
    /// # Errors
    /// [`AudioError::Write`] if its folder can't be written to, [`AudioError::Config`] for a rate that FLAC can't tell.
    pub fn create(path: impl AsRef<Path>, rate: u32) -> Result<Self, AudioError> {
        let (path, encoder) = (path.as_ref().to_path_buf(), FlacEncoder::new(rate)?);
        let begin = || {
            let mut place = Place::begin(&path)?;
            place.write_all(&encoder.head())?;
            Ok(place)
        };
        match begin() {
            Ok(place) => Ok(Self { path, place, encoder }),
            Err(source) => Err(AudioError::Write { path, source }),
        }
    }

    /// Adds samples.
    ///
    /// # Errors
    /// [`AudioError::Write`].
    pub fn write(&mut self, samples: &[f32]) -> Result<(), AudioError> {
        let mut bytes = Vec::new();
        self.encoder.push(samples, &mut bytes);
        let written = self.place.write_all(&bytes);
        written.map_err(|source| AudioError::Write { path: self.path.clone(), source })
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    /// [`AudioError::Write`].
    pub fn finish(self) -> Result<(), AudioError> {
        let Self { path, mut place, mut encoder } = self;
        let mut end = || -> io::Result<()> {
            let mut bytes = Vec::new();
            encoder.finish(&mut bytes);
            place.write_all(&bytes)
        };
        let written = end().and_then(|()| place.end(&encoder.head()));
        written.map_err(|source| AudioError::Write { path, source })
    }
}
