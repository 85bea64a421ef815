//! Encoder delay and padding of MP3. The codec library can drop them, but believes a declared end even where
//! that is an estimate from the bit rate of the first frame (variable rate without a Xing header) or belongs to the first
//! of several files that were joined, and would then drop speech. Here an end is believed only if what lies beyond it
//! could be padding.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};
use symphonia::core::formats::Track;
use symphonia::core::packet::Packet;

/// Most frames of padding: a LAME header counts up to 4095, to which rounding to whole MPEG frames adds less than two.
const MAX_PADDING: usize = 4095 + 2 * 1152;

/// What to drop from the packets of a track.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Gapless {
    /// What the decoder of the library thinks right.
    Library,
    /// Delay as marked; padding once nothing but padding can follow. Samples beyond the declared end wait in `held`.
    Padding { held: Vec<f32> },
    /// Delay only.
    Delay,
}

impl Gapless {
    pub(super) fn of(track: &Track, codec: AudioCodecId) -> Self {
        match codec {
            CODEC_ID_MP1 | CODEC_ID_MP2 | CODEC_ID_MP3 if track.padding.is_some() => {
                Self::Padding { held: Vec::new() }
            }
            CODEC_ID_MP1 | CODEC_ID_MP2 | CODEC_ID_MP3 => Self::Delay,
            _ => Self::Library,
        }
    }

    /// Trims the interleaved samples decoded from a packet.
    pub(super) fn trim(&mut self, packet: &Packet, channels: usize, samples: &mut Vec<f32>) {
        let frames = samples.len() / channels.max(1);
        let within = |duration: u64| usize::try_from(duration).unwrap_or(usize::MAX).min(frames);
        let (start, end) = (within(packet.trim_start.get()), within(packet.trim_end.get()));
        self.trim_frames(start, end, channels.max(1), samples);
    }

    fn trim_frames(&mut self, start: usize, end: usize, channels: usize, samples: &mut Vec<f32>) {
        if *self == Self::Library {
            return;
        }
        let last = (samples.len() / channels - end) * channels;
        let first = (start * channels).min(last);
        match self {
            Self::Library => {}
            Self::Delay => drop(samples.drain(..first)),
            Self::Padding { held } => {
                held.extend_from_slice(&samples[last..]);
                samples.truncate(last);
                samples.drain(..first);
                if held.len() > MAX_PADDING * channels {
                    samples.append(held);
                    *self = Self::Delay;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trims packets of ten frames of the numbers 0, 1, 2, … each given as (start, end).
    fn heard(mut gapless: Gapless, trims: &[(usize, usize)], size: usize) -> Vec<usize> {
        let mut heard = Vec::new();
        for (index, &(start, end)) in trims.iter().enumerate() {
            let mut samples: Vec<f32> =
                (index * size..(index + 1) * size).flat_map(|n| [n as f32; 2]).collect();
            gapless.trim_frames(start, end, 2, &mut samples);
            heard.extend(samples.chunks(2).map(|frame| frame[0] as usize));
        }
        heard
    }

    #[test]
    fn delay_and_padding_are_dropped() {
        let trims = [(10, 0), (3, 0), (0, 4), (0, 10)];
        let padding = Gapless::Padding { held: Vec::new() };
        assert_eq!(heard(padding, &trims, 10), (13..26).collect::<Vec<_>>());
        assert_eq!(heard(Gapless::Delay, &trims, 10), (13..40).collect::<Vec<_>>());
        assert_eq!(heard(Gapless::Library, &trims, 10), (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn audio_beyond_the_declared_end_is_kept() {
        let padding = Gapless::Padding { held: Vec::new() };
        let trims =
            [(0, 0), (0, 500), (0, 1000), (0, 1000), (0, 1000), (0, 1000), (0, 1000), (0, 1000), (0, 1000)];
        assert_eq!(heard(padding, &trims, 1000), (0..9000).collect::<Vec<_>>());
    }
}
