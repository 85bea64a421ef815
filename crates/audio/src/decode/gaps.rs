//! Packets that never arrive. The FLAC demuxer drops damaged frames without a word, and all time stamps after them would
//! be early; silence in their place keeps time.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::packet::Packet;

/// Finds packets that a demuxer dropped without a word, as the FLAC demuxer drops damaged frames.
pub(super) struct Gaps {
    /// Whether time stamps count frames exactly.
    exact: bool,
    /// Time stamp of the packet to come.
    expected: Option<i64>,
    /// A packet that waits until the gap before it is filled.
    pub(super) held: Option<Packet>,
}

impl Gaps {
    pub(super) fn of(codec: AudioCodecId) -> Self {
        Self { exact: codec == CODEC_ID_FLAC, expected: None, held: None }
    }

    /// Frames missing in front of `packet`, `None` if there are none.
    pub(super) fn before(&mut self, packet: &Packet) -> Option<u64> {
        if !self.exact {
            return None;
        }
        let start = packet.pts.get();
        let missing = self.expected.map_or(0, |expected| start.saturating_sub(expected));
        if missing > 0 {
            self.expected = Some(start);
            return u64::try_from(missing).ok();
        }
        self.expected = Some(start.saturating_add_unsigned(packet.block_dur().get()));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;
    use symphonia::core::units::{Duration, Timestamp};

    fn packet(start: i64) -> Packet {
        Packet::new(0, Timestamp::new(start), Duration::new(100), Vec::new())
    }

    #[test]
    fn a_gap_is_reported_once() {
        let mut gaps = Gaps::of(CODEC_ID_FLAC);
        let found: Vec<_> =
            [0, 100, 500, 500, 600, 300, i64::MAX].map(|start| gaps.before(&packet(start))).into();
        assert_eq!(found, [None, None, Some(300), None, None, None, Some(i64::MAX as u64 - 400)]);
    }

    #[test]
    fn other_time_stamps_are_not_exact_enough() {
        let mut gaps = Gaps::of(CODEC_ID_MP3);
        assert!(gaps.before(&packet(0)).is_none() && gaps.before(&packet(5000)).is_none());
    }
}
