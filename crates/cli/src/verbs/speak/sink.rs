//! Where sound goes: a WAV file, or standard output as a WAV stream or bare samples.

use clap::ValueEnum;
use mynah_audio::{PcmFile, WavFile, pcm_i16, wav_header};
use std::io::{self, Write};

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

impl Sink {
    /// A file, or standard output for `-`.
    pub(super) fn open(output: &str, form: Form, rate: u32) -> anyhow::Result<Self> {
        Ok(match form {
            _ if output == "-" => Self::Out { header: (form == Form::Wav).then_some(rate) },
            Form::Wav => Self::Wav(WavFile::create(output, rate)?),
            Form::Pcm => Self::Pcm(PcmFile::create(output)?),
        })
    }

    pub(super) fn take(&mut self, samples: &[f32]) -> anyhow::Result<()> {
        match self {
            Self::Wav(file) => Ok(file.write(samples)?),
            Self::Pcm(file) => Ok(file.write(samples)?),
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
            Self::Pcm(file) => Ok(file.finish()?),
            Self::Out { .. } => Ok(()),
        }
    }
}
