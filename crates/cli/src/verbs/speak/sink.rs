//! Where sound goes: a file, or standard output as a stream of the same form; the speakers beside it.

use super::mark::Marked;
use super::play::Play;
use clap::ValueEnum;
use mynah_audio::{FlacEncoder, FlacFile, PcmFile, WavFile, pcm_i16, wav_header};
use std::io::{self, Write};

/// How sound is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// 16 bits, one channel
    Wav,
    /// The same samples in half the room
    Flac,
    /// The same without a header: little-endian integers of 16 bits, 24000 a second
    Pcm,
}

impl Form {
    /// The form that a file's ending asks for.
    pub(super) fn of_ending(ending: &str) -> Option<Self> {
        match ending.to_ascii_lowercase().as_str() {
            "wav" | "wave" => Some(Self::Wav),
            "flac" => Some(Self::Flac),
            "pcm" | "raw" => Some(Self::Pcm),
            _ => None,
        }
    }
}

/// Everywhere that the sound goes.
pub(super) struct Outlets {
    /// Holds all of it back until it ends.
    pub(super) marked: Option<Marked>,
    pub(super) sink: Option<Sink>,
    pub(super) play: Option<Play>,
}

impl Outlets {
    pub(super) fn take(&mut self, samples: &[f32]) -> anyhow::Result<()> {
        match &mut self.marked {
            Some(marked) => {
                marked.hold(samples);
                Ok(())
            }
            None => self.let_out(samples),
        }
    }

    fn let_out(&mut self, samples: &[f32]) -> anyhow::Result<()> {
        if let Some(sink) = &mut self.sink {
            sink.take(samples)?;
        }
        self.play.as_mut().map_or(Ok(()), |play| play.take(samples))
    }

    /// Puts a file into its place, and then waits until everything was heard.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        if let Some(marked) = self.marked.take() {
            self.let_out(&marked.finish()?)?;
        }
        self.sink.map_or(Ok(()), Sink::finish)?;
        self.play.map_or(Ok(()), Play::finish)
    }
}

/// Takes samples.
pub(super) enum Sink {
    Wav(WavFile),
    Flac(Box<FlacFile>),
    Pcm(PcmFile),
    Out(Stream),
}

/// Standard output.
pub(super) enum Stream {
    Wav { header: Option<u32> },
    Flac { encoder: Box<FlacEncoder>, begun: bool },
    Pcm,
}

impl Sink {
    /// A file, or standard output for `-`.
    pub(super) fn open(output: &str, form: Form, rate: u32) -> anyhow::Result<Self> {
        Ok(match form {
            _ if output == "-" => Self::Out(Stream::open(form, rate)?),
            Form::Wav => Self::Wav(WavFile::create(output, rate)?),
            Form::Flac => Self::Flac(Box::new(FlacFile::create(output, rate)?)),
            Form::Pcm => Self::Pcm(PcmFile::create(output)?),
        })
    }

    pub(super) fn take(&mut self, samples: &[f32]) -> anyhow::Result<()> {
        match self {
            Self::Wav(file) => Ok(file.write(samples)?),
            Self::Flac(file) => Ok(file.write(samples)?),
            Self::Pcm(file) => Ok(file.write(samples)?),
            Self::Out(stream) => Ok(write(&stream.encode(samples))?),
        }
    }

    /// Puts a file into its place, or ends the stream.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Wav(file) => Ok(file.finish()?),
            Self::Flac(file) => Ok(file.finish()?),
            Self::Pcm(file) => Ok(file.finish()?),
            Self::Out(mut stream) => Ok(write(&stream.end())?),
        }
    }
}

impl Stream {
    fn open(form: Form, rate: u32) -> anyhow::Result<Self> {
        Ok(match form {
            Form::Wav => Self::Wav { header: Some(rate) },
            Form::Flac => Self::Flac { encoder: Box::new(FlacEncoder::new(rate)?), begun: false },
            Form::Pcm => Self::Pcm,
        })
    }

    /// The bytes of further samples, behind those that the stream begins with.
    fn encode(&mut self, samples: &[f32]) -> Vec<u8> {
        match self {
            Self::Wav { header } => {
                let header = header.take().map(|rate| wav_header(rate, u32::MAX).to_vec());
                [header.unwrap_or_default(), pcm_i16(samples)].concat()
            }
            Self::Flac { encoder, begun } => {
                let mut bytes = if *begun { Vec::new() } else { encoder.head().to_vec() };
                *begun = true;
                encoder.push(samples, &mut bytes);
                bytes
            }
            Self::Pcm => pcm_i16(samples),
        }
    }

    /// What is still held back.
    fn end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Self::Flac { encoder, begun: true } = self {
            encoder.finish(&mut bytes);
        }
        bytes
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}
