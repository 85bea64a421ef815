//! WAV files: RIFF, RF64 and BW64 with uncompressed or G.711 samples, streamed from any reader. Yields interleaved
//! samples that [`crate::stream`] averages to mono. ADPCM is left to the codec library ([`is_adpcm`]).

mod header;
mod pcm;

use std::io::Read;

use crate::AudioError;
use crate::decode::{Block, Decoder};
use crate::input::Input;
use crate::stream::SourceInfo;

/// Frames decoded at a time.
const BLOCK_FRAMES: usize = 8192;

/// Whether the samples are ADPCM blocks, which the codec library decodes.
pub(crate) fn is_adpcm(head: &[u8]) -> bool {
    matches!(header::peek_tag(head), Some(header::TAG_MS_ADPCM | header::TAG_IMA_ADPCM))
}

/// Streams the samples of a WAV file.
pub(crate) struct WavReader {
    input: Input,
    header: header::WavHeader,
    info: SourceInfo,
    /// Bytes of samples still to come, if known.
    left: Option<u64>,
    bytes: Vec<u8>,
    truncated: bool,
}

impl WavReader {
    /// Reads the header.
    ///
    /// # Errors
    /// [`AudioError::BadHeader`], [`AudioError::UnsupportedCodec`] or [`AudioError::Read`].
    pub(crate) fn new(mut input: Input) -> Result<Self, AudioError> {
        let name = input.name.clone();
        let header = header::read(&mut input).map_err(|error| match error {
            header::HeaderError::Io(source) => AudioError::Read { name, source },
            header::HeaderError::Bad(reason) => AudioError::BadHeader { name, container: "wav", reason },
            header::HeaderError::Codec(codec) => AudioError::UnsupportedCodec { name, codec },
        })?;
        let frame_bytes = (header.encoding.bytes() * usize::from(header.channels)) as u64;
        // A file knows its own length better than its header does; a pipe has only the header's word.
        let present = input.byte_len().map(|len| len.saturating_sub(header.data_offset));
        let readable = match (header.data_bytes, present) {
            (Some(claimed), Some(present)) => Some(claimed.min(present)),
            (claimed, present) => claimed.or(present),
        };
        let info = SourceInfo {
            container: "wav".into(),
            codec: header.encoding.name().into(),
            rate: header.rate,
            channels: u32::from(header.channels),
            bits: Some(u32::from(header.bits)),
            frames: readable.map(|bytes| bytes / frame_bytes),
        };
        Ok(Self { input, header, info, left: header.data_bytes, bytes: Vec::new(), truncated: false })
    }

    fn frame_bytes(&self) -> usize {
        self.header.encoding.bytes() * usize::from(self.header.channels)
    }
}

impl Decoder for WavReader {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, samples: &mut Vec<f32>) -> Result<Option<Block>, AudioError> {
        samples.clear();
        let frame_bytes = self.frame_bytes();
        let want = (BLOCK_FRAMES * frame_bytes) as u64;
        let want = self.left.map_or(want, |left| want.min(left));
        self.bytes.clear();
        let read = self.input.by_ref().take(want).read_to_end(&mut self.bytes);
        let got = read.map_err(|e| self.input.read_error(e))? as u64;
        self.left = self.left.map(|left| left - got);
        self.truncated |= got < want && self.left.is_some();
        let whole = self.bytes.len() - self.bytes.len() % frame_bytes;
        if whole == 0 {
            return Ok(None);
        }
        self.header.encoding.decode(&self.bytes[..whole], samples);
        Ok(Some(Block { rate: self.header.rate, channels: usize::from(self.header.channels), decoded: true }))
    }

    fn bad_packets(&self) -> u64 {
        0
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}
