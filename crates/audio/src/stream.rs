//! The front door for sound: any input as mono blocks of 16 kHz, or another rate. Takes interleaved blocks from a [`Decoder`], replaces
//! samples that are not numbers, averages the channels, resamples. The blocks go to [`crate::PieceReader`] or straight
//! to a model.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use crate::decode::{self, Block, Decoder};
use crate::input::Input;
use crate::resample::{MAX_RATE, MIN_RATE};
use crate::{AudioError, Resampler, SAMPLE_RATE};

/// Samples gathered before a block is given out, about a second; blocks are shorter only at the end of the audio, and
/// longer by what one packet adds.
const BLOCK: usize = SAMPLE_RATE as usize;

/// What the container says about its audio, before decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceInfo {
    /// Short name of the container, for example `wav`, `isomp4`, `ogg`.
    pub container: String,
    /// Short name of the codec, for example `pcm s16`, `mp3`, `vorbis`.
    pub codec: String,
    /// Sample rate of the source in Hz.
    pub rate: u32,
    /// Channels of the source; 0 if only the first packet will tell.
    pub channels: u32,
    /// Bits per sample, where the codec has such a thing.
    pub bits: Option<u32>,
    /// Length in frames at [`SourceInfo::rate`], if the container knows. A hint: the header may lie.
    pub frames: Option<u64>,
}

/// What happened while decoding; complete once the stream has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// Samples given out, at the stream's rate.
    pub samples: u64,
    /// Packets that could not be decoded and were replaced by silence.
    pub bad_packets: u64,
    /// Source samples that are NaN, infinite, or beyond 10^10, replaced by zero.
    pub non_finite: u64,
    /// The input ended before its container said it would, or became unreadable: audio is missing at the end.
    pub truncated: bool,
}

/// Audio from any source as blocks of 16 kHz mono `f32` samples, nominally in [-1, 1].
///
/// Channels are averaged. A 16 kHz mono source passes through bit-exactly (16-bit samples divided by 32768). Memory
/// depends on the codec's packets and on [`SAMPLE_RATE`], not on the length, with one exception: see
/// [`crate::SPOOL_LIMIT`].
///
/// ```
/// # fn main() -> Result<(), mynah_audio::AudioError> {
/// let wav: &'static [u8] = include_bytes!("../../../fixtures/audio/s16.wav");
/// let mut stream = mynah_audio::AudioStream::from_bytes(wav)?;
/// assert_eq!(stream.source_info().rate, 16_000);
/// let mut samples = 0;
/// while let Some(block) = stream.next_block()? {
///     samples += block.len();
/// }
/// assert_eq!(samples as f64 / 16_000.0, stream.duration_hint().unwrap());
/// # Ok(())
/// # }
/// ```
pub struct AudioStream {
    decoder: Box<dyn Decoder>,
    name: String,
    /// Of the blocks given out, in Hz.
    rate: u32,
    resampler: Option<(u32, Resampler)>,
    info: SourceInfo,
    stats: StreamStats,
    packet: Vec<f32>,
    ready: Vec<f32>,
    ended: bool,
}

impl std::fmt::Debug for AudioStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioStream")
            .field("name", &self.name)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl AudioStream {
    /// Opens a file. A FIFO or device is read as a pipe.
    ///
    /// # Errors
    /// [`AudioError::Open`] and everything that reading a header can meet: [`AudioError::NotAudio`],
    /// [`AudioError::NoAudioTrack`], [`AudioError::UnsupportedCodec`], [`AudioError::BadHeader`],
    /// [`AudioError::BadRate`], [`AudioError::Read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AudioError> {
        Self::new(Input::from_path(path.as_ref())?)
    }

    /// Reads from something that cannot seek, such as standard input. `hint` is a file name extension (`mp3`), used only
    /// to recognise formats without a clear mark. MP4 and CAF are spooled first, see [`crate::SPOOL_LIMIT`].
    ///
    /// # Errors
    /// As [`AudioStream::open`], and [`AudioError::SpoolLimit`].
    pub fn from_reader(reader: Box<dyn Read + Send>, hint: Option<&str>) -> Result<Self, AudioError> {
        Self::new(Input::from_reader(reader, hint))
    }

    /// Reads a file already in memory: a `Vec<u8>` or a `&'static [u8]`.
    ///
    /// # Errors
    /// As [`AudioStream::open`].
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, AudioError> {
        Self::new(Input::from_bytes(bytes.into()))
    }

    fn new(input: Input) -> Result<Self, AudioError> {
        let name = input.name.clone();
        let decoder = decode::open(input)?;
        let info = decoder.info().clone();
        // Some codecs tell their rate with the first packet; a rate that is given must make sense.
        if info.rate != 0 {
            check_rate(&name, info.rate)?;
        }
        Ok(Self {
            decoder,
            name,
            rate: SAMPLE_RATE,
            resampler: None,
            info,
            stats: StreamStats::default(),
            packet: Vec::new(),
            ready: Vec::new(),
            ended: false,
        })
    }

    /// The same stream, to be given out at `rate` Hz in place of [`SAMPLE_RATE`]. To be called before the first block is taken: what
    /// has been resampled already stays as it is.
    ///
    /// # Errors
    /// [`AudioError::Config`] if the rate is outside [`MIN_RATE`]..=[`MAX_RATE`].
    pub fn at_rate(mut self, rate: u32) -> Result<Self, AudioError> {
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            let reason = format!("{rate} Hz is outside {MIN_RATE}..={MAX_RATE} Hz");
            return Err(AudioError::Config { what: "audio stream", reason });
        }
        self.rate = rate;
        Ok(self)
    }

    /// The next samples, about a second of them; `None` at the end. After an error the stream has ended.
    ///
    /// # Errors
    /// [`AudioError::NothingDecoded`], [`AudioError::Corrupt`], [`AudioError::BadRate`], [`AudioError::Read`]. Audio
    /// that merely stops early is no error, see [`StreamStats::truncated`].
    pub fn next_block(&mut self) -> Result<Option<Vec<f32>>, AudioError> {
        while !self.ended && self.ready.len() < BLOCK {
            if let Err(error) = self.fill() {
                self.ended = true;
                self.ready.clear();
                return Err(error);
            }
        }
        if self.ready.is_empty() {
            return Ok(None);
        }
        self.stats.samples += self.ready.len() as u64;
        Ok(Some(std::mem::take(&mut self.ready)))
    }

    /// Everything that is left, as one clip. Memory grows with the length.
    ///
    /// # Errors
    /// As [`AudioStream::next_block`].
    pub fn read_all(&mut self) -> Result<Vec<f32>, AudioError> {
        let mut all = Vec::new();
        while let Some(block) = self.next_block()? {
            all.extend_from_slice(&block);
        }
        Ok(all)
    }

    /// Length in seconds according to the container, if it says. For progress, not for arithmetic: headers lie.
    pub fn duration_hint(&self) -> Option<f64> {
        let frames = self.info.frames?;
        (self.info.rate > 0).then(|| frames as f64 / f64::from(self.info.rate))
    }

    /// What the container says about the source.
    pub fn source_info(&self) -> &SourceInfo {
        &self.info
    }

    /// Counts so far.
    pub fn stats(&self) -> StreamStats {
        StreamStats {
            bad_packets: self.decoder.bad_packets(),
            truncated: self.decoder.truncated(),
            ..self.stats
        }
    }

    /// Name of the source as errors give it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Decodes one packet into `ready`, or flushes at the end.
    fn fill(&mut self) -> Result<(), AudioError> {
        let Some(block) = self.decoder.next(&mut self.packet)? else {
            self.ended = true;
            return self.flush();
        };
        if block.decoded {
            self.stats.non_finite += replace_absurd(&mut self.packet);
        }
        mix_to_mono(&mut self.packet, block.channels);
        self.resample(block)
    }

    fn resample(&mut self, block: Block) -> Result<(), AudioError> {
        if self.packet.is_empty() {
            return Ok(());
        }
        if self.resampler.as_ref().is_none_or(|(rate, _)| *rate != block.rate) {
            check_rate(&self.name, block.rate)?;
            self.flush()?;
            self.resampler = Some((block.rate, Resampler::new(block.rate, self.rate)?));
        }
        match &mut self.resampler {
            Some((_, resampler)) => resampler.push(&self.packet, &mut self.ready),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), AudioError> {
        match self.resampler.take() {
            Some((_, mut resampler)) => resampler.finish(&mut self.ready),
            None => Ok(()),
        }
    }
}

impl Iterator for AudioStream {
    type Item = Result<Vec<f32>, AudioError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_block().transpose()
    }
}

fn check_rate(name: &str, rate: u32) -> Result<(), AudioError> {
    if (MIN_RATE..=MAX_RATE).contains(&rate) {
        return Ok(());
    }
    Err(AudioError::BadRate { name: name.into(), rate })
}

/// Samples beyond this are no audio, even for writers that scale floats like 32-bit integers.
const MAX_SAMPLE: f32 = 1e10;

/// One NaN would spread through a resampler block or a clip's statistics, and so would a value near the end of the
/// range. Returns how many were replaced.
fn replace_absurd(samples: &mut [f32]) -> u64 {
    let mut replaced = 0;
    for sample in samples.iter_mut().filter(|s| s.is_nan() || s.abs() > MAX_SAMPLE) {
        *sample = 0.0;
        replaced += 1;
    }
    replaced
}

/// Averages interleaved channels in place.
fn mix_to_mono(samples: &mut Vec<f32>, channels: usize) {
    if channels <= 1 {
        return;
    }
    let frames = samples.len() / channels;
    for frame in 0..frames {
        let sum: f32 = samples[frame * channels..(frame + 1) * channels].iter().sum();
        samples[frame] = sum / channels as f32;
    }
    samples.truncate(frames);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_averaged() {
        let mut samples = vec![0.5, -0.5, 0.25, 0.75, 1.0, 1.0];
        mix_to_mono(&mut samples, 2);
        assert_eq!(samples, [0.0, 0.5, 1.0]);
        let mut mono = vec![0.1, 0.2];
        mix_to_mono(&mut mono, 1);
        assert_eq!(mono, [0.1, 0.2]);
    }

    #[test]
    fn samples_that_are_not_numbers_become_zero() {
        let mut samples = [1.0, f32::NAN, f32::INFINITY, -2.0, f32::NEG_INFINITY, -3e38, 32768.0];
        assert_eq!(replace_absurd(&mut samples), 4);
        assert_eq!(samples, [1.0, 0.0, 0.0, -2.0, 0.0, 0.0, 32768.0]);
    }

    #[test]
    fn streams_and_extractors_cross_threads() {
        fn crosses<T: Send>() {}
        fn shared<T: Sync>() {}
        crosses::<AudioStream>();
        crosses::<crate::PieceReader>();
        crosses::<crate::MelExtractor>();
        shared::<crate::MelExtractor>();
    }
}
