//! Writes 16-bit WAV files, atomically: a file appears complete or not at all.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::AudioError;

/// Writes mono samples as 16-bit PCM. Samples are rounded to nearest and clipped to [-1, 1); NaN becomes 0. The file is
/// written beside its final place and renamed.
///
/// # Errors
/// [`AudioError::Write`]; also if the samples exceed the 4 GiB a WAV file can hold.
pub fn write_wav_i16(path: impl AsRef<Path>, rate: u32, samples: &[f32]) -> Result<(), AudioError> {
    let path = path.as_ref();
    try_write(path, rate, samples).map_err(|source| AudioError::Write { path: path.to_path_buf(), source })
}

fn try_write(path: &Path, rate: u32, samples: &[f32]) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "more samples than a WAV file can hold");
    let data_bytes = u32::try_from(samples.len()).ok().and_then(|n| n.checked_mul(2)).ok_or_else(too_long)?;
    let riff_bytes = data_bytes.checked_add(36).ok_or_else(too_long)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(".").suffix(".wav.part").tempfile_in(folder)?;
    let mut out = BufWriter::new(file);
    out.write_all(b"RIFF")?;
    out.write_all(&riff_bytes.to_le_bytes())?;
    out.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x01\0")?;
    out.write_all(&rate.to_le_bytes())?;
    out.write_all(&rate.saturating_mul(2).to_le_bytes())?;
    out.write_all(b"\x02\0\x10\0data")?;
    out.write_all(&data_bytes.to_le_bytes())?;
    for &sample in samples {
        // `as` saturates, and maps NaN to 0.
        out.write_all(&((sample * 32768.0).round() as i16).to_le_bytes())?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
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
    fn a_missing_folder_is_an_error_with_the_path() {
        let error = write_wav_i16("no/such/folder/a.wav", 16_000, &[0.0]).unwrap_err();
        assert!(error.to_string().contains("no/such/folder/a.wav"));
    }
}
