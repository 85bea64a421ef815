//! Where sound goes: a WAV file, or standard output as a WAV stream or bare samples.

use anyhow::Context as _;
use clap::ValueEnum;
use mynah_audio::{WavFile, pcm_i16, wav_header};
use std::io::{self, Write};
use std::path::Path;

/// How sound is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// 16 bits, one channel
    Wav,
    /// The same without a header: little-endian integers of 16 bits, 24000 a second
    Pcm,
}

/// Takes samples.
pub(super) enum Sink {
    Wav(WavFile),
    Pcm(PcmFile),
    Out { header: Option<u32> },
}

/// Bare samples in a file that has its name only when it is finished.
pub(super) struct PcmFile {
    file: io::BufWriter<tempfile::NamedTempFile>,
    path: std::path::PathBuf,
}

impl Sink {
    /// A file, or standard output for `-`.
    pub(super) fn open(output: &str, form: Form, rate: u32) -> anyhow::Result<Self> {
        if output == "-" {
            return Ok(Self::Out { header: (form == Form::Wav).then_some(rate) });
        }
        let path = Path::new(output);
        match form {
            Form::Wav => Ok(Self::Wav(WavFile::create(path, rate)?)),
            Form::Pcm => {
                let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let file = tempfile::Builder::new().prefix(".").suffix(".pcm.part").tempfile_in(folder);
                let file = file.with_context(|| format!("can't write to {}", folder.display()))?;
                Ok(Self::Pcm(PcmFile { file: io::BufWriter::new(file), path: path.to_path_buf() }))
            }
        }
    }

    pub(super) fn take(&mut self, samples: &[f32]) -> anyhow::Result<()> {
        match self {
            Self::Wav(file) => Ok(file.write(samples)?),
            Self::Pcm(PcmFile { file, path }) => {
                file.write_all(&pcm_i16(samples)).with_context(|| format!("can't write {}", path.display()))
            }
            Self::Out { header } => {
                let mut out = io::stdout().lock();
                if let Some(rate) = header.take() {
                    out.write_all(&wav_header(rate, u32::MAX))?;
                }
                out.write_all(&pcm_i16(samples))?;
                Ok(out.flush()?)
            }
        }
    }

    /// Puts a file into its place.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Wav(file) => Ok(file.finish()?),
            Self::Pcm(PcmFile { file, path }) => {
                let wrong = || format!("can't write {}", path.display());
                let file = file.into_inner().map_err(io::IntoInnerError::into_error).with_context(wrong)?;
                file.persist(&path).map_err(|e| e.error).with_context(wrong)?;
                Ok(())
            }
            Self::Out { .. } => Ok(()),
        }
    }
}
