//! Everything but plain WAV, through symphonia: probe, demux, decode packet by packet. Corrupt packets become silence of
//! the same length, so that later time stamps stay right, and are counted.

use std::io::ErrorKind;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::common::Limit;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::units::Duration;

use super::gapless::Gapless;
use super::gaps::Gaps;
use super::guard::{guarded, panicked};
use super::names::codec_name;
use super::{Block, Decoder};
use crate::AudioError;
use crate::input::Input;
use crate::stream::SourceInfo;

/// Corrupt packets in a row after which the stream is given up.
const MAX_BAD_RUN: u32 = 1000;

/// Packets of other tracks, or empty ones, skipped within one call; ends a walk over a hostile file.
const MAX_SKIPPED: u32 = 10_000_000;

/// Longest silence put in place of one corrupt packet, in seconds. A hostile packet may claim to last for years.
const MAX_STAND_IN: u64 = 1;

/// Longest silence put in place of packets that a demuxer dropped in one go, in seconds.
const MAX_GAP: u64 = 10;

/// A demuxer and a decoder of one audio track.
pub(super) struct CodecReader {
    name: String,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    gapless: Gapless,
    gaps: Gaps,
    info: SourceInfo,
    bad_packets: u64,
    bad_run: u32,
    packets: u64,
    good_packets: u64,
    frames: u64,
    truncated: bool,
    ended: bool,
}

impl CodecReader {
    /// Probes the input, picks its default audio track and makes a decoder for it. `recognised`: the first bytes are those
    /// of a container, so whatever fails is a damaged file and not some other kind of file.
    pub(super) fn new(input: Input, recognised: bool) -> Result<Self, AudioError> {
        let name = input.name.clone();
        let bytes = input.byte_len();
        let mut hint = Hint::new();
        if let Some(extension) = &input.extension {
            hint.with_extension(extension);
        }
        let stream = MediaSourceStream::new(Box::new(input), MediaSourceStreamOptions::default());
        // Tags and pictures are not used; do not read megabytes of them into memory.
        let tags = MetadataOptions::default()
            .limit_tag_bytes(Limit::Maximum(1 << 16))
            .limit_visual_bytes(Limit::Maximum(1 << 16));
        let probed =
            guarded(|| symphonia::default::get_probe().probe(&hint, stream, FormatOptions::default(), tags));
        let format = match probed {
            Ok(format) => format,
            Err(Error::IoError(source)) if source.kind() != ErrorKind::UnexpectedEof => {
                return Err(AudioError::Read { name, source });
            }
            Err(Error::IoError(_)) if recognised => {
                let reason = "the file ends inside its header".into();
                return Err(AudioError::BadHeader { name, container: "container", reason });
            }
            // The probe's own verdict, as opposed to that of a format it found.
            Err(Error::Unsupported(reason)) if reason.starts_with("core (probe)") => {
                return Err(AudioError::NotAudio { name, found: String::new() });
            }
            Err(Error::Unsupported(reason) | Error::DecodeError(reason) | Error::LimitError(reason)) => {
                return Err(AudioError::BadHeader { name, container: "container", reason: reason.into() });
            }
            Err(_) => return Err(AudioError::NotAudio { name, found: String::new() }),
        };
        let Choice { track, decoder, gapless, gaps, mut info } = choose_track(&*format, &name)?;
        let most = bytes.map_or(u64::MAX, |bytes| bytes.saturating_mul(MAX_FRAMES_PER_BYTE));
        info.frames = info.frames.filter(|&frames| frames <= most);
        Ok(Self {
            name,
            format,
            decoder,
            track,
            gapless,
            gaps,
            info,
            bad_packets: 0,
            bad_run: 0,
            packets: 0,
            good_packets: 0,
            frames: 0,
            truncated: false,
            ended: false,
        })
    }

    /// Position of the chosen track among the audio tracks of the file.
    pub(super) fn audio_index(&self) -> usize {
        let mut audio = self.format.tracks().iter().filter(|t| t.track_type() == Some(TrackType::Audio));
        audio.position(|t| t.id == self.track).unwrap_or(usize::MAX)
    }

    fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.info.rate.max(1))
    }

    /// Ends the stream. Having met packets and decoded none of them is an error; having met none is empty audio.
    fn end(&mut self, reason: &str) -> Result<Option<Block>, AudioError> {
        self.ended = true;
        if self.packets > 0 && self.good_packets == 0 {
            return Err(AudioError::NothingDecoded {
                name: self.name.clone(),
                packets: self.packets,
                reason: reason.into(),
            });
        }
        Ok(None)
    }

    /// Counts a corrupt packet and stands silence in for it.
    fn bad_packet(
        &mut self,
        frames: u64,
        reason: &Error,
        samples: &mut Vec<f32>,
    ) -> Result<Block, AudioError> {
        self.bad_packets += 1;
        self.bad_run += 1;
        if self.bad_run >= MAX_BAD_RUN || panicked(reason) {
            let reason = reason.to_string();
            if self.good_packets == 0 {
                self.end(&reason)?;
            }
            self.ended = true;
            let (packets, seconds) = (self.bad_run, self.seconds());
            return Err(AudioError::Corrupt { name: self.name.clone(), packets, seconds, reason });
        }
        Ok(self.silence(frames, MAX_STAND_IN, samples))
    }

    fn silence(&mut self, frames: u64, most_seconds: u64, samples: &mut Vec<f32>) -> Block {
        let frames = frames.min(u64::from(self.info.rate) * most_seconds);
        self.frames += frames;
        samples.clear();
        samples.resize(frames as usize, 0.0);
        Block { rate: self.info.rate, channels: 1, decoded: false }
    }

    /// A chained stream starts anew: its tracks and codec parameters may differ.
    fn restart(&mut self) -> Result<(), AudioError> {
        let choice = choose_track(&*self.format, &self.name)?;
        self.track = choice.track;
        self.decoder = choice.decoder;
        self.gapless = choice.gapless;
        self.gaps = choice.gaps;
        // The stream as a whole is described by its first part.
        self.info.rate = choice.info.rate;
        Ok(())
    }
}

impl Decoder for CodecReader {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, samples: &mut Vec<f32>) -> Result<Option<Block>, AudioError> {
        samples.clear();
        if self.ended {
            return Ok(None);
        }
        for _ in 0..MAX_SKIPPED {
            let held = self.gaps.held.take();
            let packet = match held.map_or_else(|| guarded(|| self.format.next_packet()), |p| Ok(Some(p))) {
                Ok(Some(packet)) => packet,
                Ok(None) => return self.end("the track is empty"),
                Err(Error::ResetRequired) => {
                    self.restart()?;
                    continue;
                }
                Err(Error::IoError(source)) if source.kind() != ErrorKind::UnexpectedEof => {
                    self.ended = true;
                    return Err(AudioError::Read { name: self.name.clone(), source });
                }
                // A demuxer does not recover from its errors: what came before is the audio there is.
                Err(error) => {
                    self.truncated = true;
                    return self.end(&error.to_string());
                }
            };
            if packet.track_id != self.track {
                continue;
            }
            if let Some(missing) = self.gaps.before(&packet) {
                self.gaps.held = Some(packet);
                self.bad_packets += 1;
                return Ok(Some(self.silence(missing, MAX_GAP, samples)));
            }
            self.packets += 1;
            let decoded = guarded(|| {
                let buffer = self.decoder.decode(&packet)?;
                let spec = buffer.spec();
                let (rate, channels) = (spec.rate(), spec.channels().count());
                buffer.copy_to_vec_interleaved::<f32>(samples);
                Ok((rate, channels, buffer.frames()))
            });
            match decoded {
                Ok((_, channels, frames)) if channels == 0 || frames == 0 => {
                    samples.clear();
                    self.good_packets += 1;
                }
                Ok((rate, channels, frames)) => {
                    self.gapless.trim(&packet, channels, samples);
                    self.good_packets += 1;
                    self.bad_run = 0;
                    self.frames += frames as u64;
                    self.info.rate = rate;
                    return Ok(Some(Block { rate, channels, decoded: true }));
                }
                Err(Error::ResetRequired) => self.restart()?,
                Err(error) => {
                    samples.clear();
                    let frames = packet_frames(&*self.format, self.track, packet.dur, self.info.rate);
                    return self.bad_packet(frames, &error, samples).map(Some);
                }
            }
        }
        self.truncated = true;
        self.end("no samples in ten million packets")
    }

    fn bad_packets(&self) -> u64 {
        self.bad_packets
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}

/// Duration of a packet in frames at `rate`.
fn packet_frames(format: &dyn FormatReader, track: u32, duration: Duration, rate: u32) -> u64 {
    let base = format.tracks().iter().find(|t| t.id == track).and_then(|t| t.time_base);
    let Some(base) = base else { return 0 };
    let numerator = u128::from(duration.get()) * u128::from(base.numer.get()) * u128::from(rate);
    u64::try_from(numerator / u128::from(base.denom.get())).unwrap_or(u64::MAX)
}

/// More channels than any recording has.
const MAX_CHANNELS: usize = 256;

/// Most samples, over all channels, of one packet; decoders allocate for as many as the header claims. Real packets have
/// up to 65 536 frames (FLAC) and rarely more than two channels.
const MAX_PACKET_SAMPLES: u64 = 1 << 20;

/// Frames that a byte of a file can stand for, at the very most (FLAC of digital silence comes to some hundred).
const MAX_FRAMES_PER_BYTE: u64 = 4096;

/// A track and what is needed to decode it.
struct Choice {
    track: u32,
    decoder: Box<dyn AudioDecoder>,
    gapless: Gapless,
    gaps: Gaps,
    info: SourceInfo,
}

/// The default audio track if it has a decoder, else the first other one that has.
fn choose_track(format: &dyn FormatReader, name: &str) -> Result<Choice, AudioError> {
    let default = format.default_track(TrackType::Audio).map(|t| t.id);
    let audio = |t: &&Track| t.track_type() == Some(TrackType::Audio);
    let mut tracks: Vec<&Track> = format.tracks().iter().filter(audio).collect();
    tracks.sort_by_key(|t| Some(t.id) != default);
    let mut unsupported = None;
    for track in tracks {
        let Some(params) = track.codec_params.as_ref().and_then(|p| p.audio()) else { continue };
        let channels = params.channels.as_ref().map_or(0, symphonia::core::audio::Channels::count);
        let frames = params.max_frames_per_packet.unwrap_or(0);
        if channels > MAX_CHANNELS || frames.saturating_mul(channels as u64) > MAX_PACKET_SAMPLES {
            let reason = format!("{channels} channels, {frames} frames a packet");
            return Err(AudioError::BadHeader { name: name.into(), container: "container", reason });
        }
        let gapless = Gapless::of(track, params.codec);
        let options = AudioDecoderOptions::default().gapless(gapless == Gapless::Library);
        let made = guarded(|| symphonia::default::get_codecs().make_audio_decoder(params, &options));
        let Ok(decoder) = made else {
            unsupported.get_or_insert_with(|| codec_name(params.codec));
            continue;
        };
        let params = decoder.codec_params();
        let rate = params.sample_rate.unwrap_or(0);
        let info = SourceInfo {
            container: format.format_info().short_name.into(),
            codec: decoder.codec_info().short_name.into(),
            rate,
            channels: params.channels.as_ref().map_or(0, |c| c.count() as u32),
            bits: params.bits_per_sample,
            frames: track.num_frames.or_else(|| {
                let frames = packet_frames(format, track.id, track.duration?, rate);
                (frames > 0).then_some(frames)
            }),
        };
        let gaps = Gaps::of(params.codec);
        return Ok(Choice { track: track.id, decoder, gapless, gaps, info });
    }
    match unsupported {
        Some(codec) => Err(AudioError::UnsupportedCodec { name: name.into(), codec }),
        None => Err(AudioError::NoAudioTrack { name: name.into() }),
    }
}
