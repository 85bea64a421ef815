//! Picks the reader for an input and defines what a reader is. Blocks of interleaved samples go from here to
//! [`crate::stream`].

mod codecs;
mod edits;
mod gapless;
mod gaps;
mod guard;
mod names;
mod trim;

use std::io::{Seek, SeekFrom};

use crate::AudioError;
use crate::input::Input;
use crate::sniff::{Container, sniff};
use crate::stream::SourceInfo;
use crate::wav;

/// What a [`Decoder`] has put into the caller's buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    /// Sample rate of these samples in Hz; it may change within one stream (chained Ogg).
    pub(crate) rate: u32,
    /// Interleaved channels, at least 1.
    pub(crate) channels: usize,
    /// False if this is silence standing in for a corrupt packet.
    pub(crate) decoded: bool,
}

/// A stream of interleaved samples in the source's own rate.
pub(crate) trait Decoder: Send {
    /// What the container says about the audio.
    fn info(&self) -> &SourceInfo;

    /// Replaces `samples` with the next ones, interleaved. `None` at the end. A block may hold no samples.
    fn next(&mut self, samples: &mut Vec<f32>) -> Result<Option<Block>, AudioError>;

    /// Packets skipped so far because they could not be decoded.
    fn bad_packets(&self) -> u64;

    /// Whether the input ended before its own end.
    fn truncated(&self) -> bool;
}

/// Recognises the container and reads up to the first sample.
///
/// # Errors
/// Any [`AudioError`] of opening: not audio, no audio track, a codec without decoder, a bad header, a read failure.
pub(crate) fn open(mut input: Input) -> Result<Box<dyn Decoder>, AudioError> {
    input.skip_tags()?;
    let head = input.head()?;
    match sniff(&head) {
        Container::Wav if wav::is_adpcm(&head) => {
            input.hide_seek();
            Ok(Box::new(codecs::CodecReader::new(input, true)?))
        }
        Container::Wav => Ok(Box::new(wav::WavReader::new(input)?)),
        Container::Mp4 => open_mp4(input.spool("mp4")?),
        Container::Seeking(container) => {
            Ok(Box::new(codecs::CodecReader::new(input.spool(container)?, true)?))
        }
        Container::Forward => {
            input.hide_seek();
            Ok(Box::new(codecs::CodecReader::new(input, true)?))
        }
        Container::Streaming => Ok(Box::new(codecs::CodecReader::new(input, true)?)),
        Container::Unknown => Ok(Box::new(codecs::CodecReader::new(input, false)?)),
        Container::Foreign(what) => {
            let found = format!(" (it looks like {what})");
            Err(AudioError::NotAudio { name: input.name, found })
        }
    }
}

fn open_mp4(mut input: Input) -> Result<Box<dyn Decoder>, AudioError> {
    let movie = edits::movie(&mut input);
    input.seek(SeekFrom::Start(0)).map_err(|e| input.read_error(e))?;
    input.claim_length(movie.end);
    let reader = codecs::CodecReader::new(input, true)?;
    match movie.edits.get(reader.audio_index()) {
        Some(Some(edit)) => Ok(Box::new(trim::Trimmed::new(reader, *edit))),
        _ => Ok(Box::new(reader)),
    }
}
