//! Writes 16-bit samples, as WAV files or bare, atomically: a file appears complete or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::AudioError;
use crate::place::Place;

/// Bytes before the samples.
const HEADER: usize = 44;

/// Writes mono samples as 16-bit PCM, see [`WavFile`].
///
/// # Errors
/// [`AudioError::Write`]; also if the samples exceed the 4 GiB a WAV file can hold.
pub fn write_wav_i16(path: impl AsRef<Path>, rate: u32, samples: &[f32]) -> Result<(), AudioError> {
    let mut file = WavFile::create(path, rate)?;
    file.write(samples)?;
    file.finish()
}

/// Mono samples as the 16-bit little-endian integers of a WAV file, rounded to nearest and clipped to [-1, 1); NaN becomes 0.
pub fn pcm_i16(samples: &[f32]) -> Vec<u8> {
    // `as` saturates, and maps NaN to 0.
    samples.iter().flat_map(|&sample| ((sample * 32768.0).round() as i16).to_le_bytes()).collect()
}

/// The header of a WAV file with so many bytes of 16-bit mono samples. Of a stream whose length is not known yet give [`u32::MAX`],
/// which players take for "to the end".
pub fn wav_header(rate: u32, data_bytes: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let parts: [&[u8]; 6] = [
        b"RIFF",
        &data_bytes.saturating_add(36).to_le_bytes(),
        b"WAVEfmt \x10\0\0\0\x01\0\x01\0",
        &rate.to_le_bytes(),
        &rate.saturating_mul(2).to_le_bytes(),
        b"\x02\0\x10\0data",
    ];
    let mut at = 0;
    for part in parts.into_iter().chain([&data_bytes.to_le_bytes()[..]]) {
        header[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    header
}

/// A mono WAV file that is written as samples come. It is written beside its final place, and has its name only when it is finished;
/// one that is dropped before leaves nothing. Devices and pipes are written through, and told as little of the length as [`wav_header`]
/// tells of a stream's.
pub struct WavFile {
    path: PathBuf,
    rate: u32,
    place: Place,
    bytes: u32,
}

impl WavFile {
    /// Begins a file.
    ///
    /// # Errors
    /// [`AudioError::Write`] if its folder can't be written to.
    pub fn create(path: impl AsRef<Path>, rate: u32) -> Result<Self, AudioError> {
        let path = path.as_ref().to_path_buf();
        let begin = || {
            let mut place = Place::begin(&path)?;
            let bytes = if place.rewinds() { 0 } else { u32::MAX };
            place.write_all(&wav_header(rate, bytes))?;
            Ok(place)
        };
        match begin() {
            Ok(place) => Ok(Self { path, rate, place, bytes: 0 }),
            Err(source) => Err(AudioError::Write { path, source }),
        }
    }

    /// Adds samples.
    ///
    /// # Errors
    /// [`AudioError::Write`]; also if the samples exceed the 4 GiB a WAV file can hold.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), AudioError> {
        self.try_write(samples).map_err(|source| AudioError::Write { path: self.path.clone(), source })
    }

    fn try_write(&mut self, samples: &[f32]) -> io::Result<()> {
        let too_long =
            || io::Error::new(io::ErrorKind::InvalidInput, "more samples than a WAV file can hold");
        let more = u32::try_from(samples.len()).ok().and_then(|n| n.checked_mul(2)).ok_or_else(too_long)?;
        let all = self.bytes.checked_add(more).filter(|all| all.checked_add(36).is_some());
        self.bytes = all.ok_or_else(too_long)?;
        self.place.write_all(&pcm_i16(samples))
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    /// [`AudioError::Write`].
    pub fn finish(self) -> Result<(), AudioError> {
        let Self { path, rate, place, bytes } = self;
        place.end(&wav_header(rate, bytes)).map_err(|source| AudioError::Write { path, source })
    }
}

/// A file of bare samples, 16-bit little-endian integers, which appears as a [`WavFile`] does.
pub struct PcmFile {
    path: PathBuf,
    place: Place,
}

impl PcmFile {
    /// Begins a file.
    ///
    /// # Errors
    /// [`AudioError::Write`] if its folder can't be written to.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, AudioError> {
        let path = path.as_ref().to_path_buf();
        match Place::begin(&path) {
            Ok(place) => Ok(Self { path, place }),
            Err(source) => Err(AudioError::Write { path, source }),
        }
    }

    /// Adds samples.
    ///
    /// # Errors
    /// [`AudioError::Write`].
    pub fn write(&mut self, samples: &[f32]) -> Result<(), AudioError> {
        let written = self.place.write_all(&pcm_i16(samples));
        written.map_err(|source| AudioError::Write { path: self.path.clone(), source })
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    /// [`AudioError::Write`].
    pub fn finish(self) -> Result<(), AudioError> {
        let Self { path, place } = self;
        place.end(&[]).map_err(|source| AudioError::Write { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reader_reads_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write_wav_i16(&path, 24_000, &[0.0, 0.5, -0.5, 1.5, -1.5, f32::NAN, 1.0 / 32768.0]).unwrap();
        let mut reader = hound::WavReader::open(&path).unwrap();
        assert_eq!((reader.spec().sample_rate, reader.spec().channels), (24_000, 1));
        let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(samples, [0, 16384, -16384, 32767, -32768, 0, 1]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no partial file stays");
    }

    #[test]
    fn samples_may_come_in_parts_and_an_unfinished_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole.wav"), folder.path().join("parts.wav"));
        let samples: Vec<f32> = (0..100).map(|i| i as f32 / 100.0).collect();
        write_wav_i16(&whole, 24_000, &samples).unwrap();
        let mut file = WavFile::create(&parts, 24_000).unwrap();
        samples.chunks(7).for_each(|part| file.write(part).unwrap());
        file.finish().unwrap();
        assert_eq!(std::fs::read(&whole).unwrap(), std::fs::read(&parts).unwrap());
        let mut file = WavFile::create(folder.path().join("never.wav"), 24_000).unwrap();
        file.write(&samples).unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn bare_samples_are_those_of_a_wav_file_without_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let (wav, pcm) = (folder.path().join("a.wav"), folder.path().join("a.pcm"));
        let samples: Vec<f32> = (0..100).map(|i| (i as f32).sin()).collect();
        write_wav_i16(&wav, 24_000, &samples).unwrap();
        let mut file = PcmFile::create(&pcm).unwrap();
        samples.chunks(7).for_each(|part| file.write(part).unwrap());
        file.finish().unwrap();
        assert_eq!(std::fs::read(&wav).unwrap()[HEADER..], std::fs::read(&pcm).unwrap());
    }

    #[test]
    fn a_missing_folder_is_an_error_with_the_path() {
        let error = write_wav_i16("no/such/folder/a.wav", 16_000, &[0.0]).unwrap_err();
        assert!(error.to_string().contains("no/such/folder/a.wav"));
    }
}
