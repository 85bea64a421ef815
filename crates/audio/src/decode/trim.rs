//! Drops the samples of a stream that lie outside an [`Edit`].

use super::edits::Edit;
use super::{Block, Decoder};
use crate::AudioError;
use crate::stream::SourceInfo;

/// A [`Decoder`] that gives out only the edited part of another.
pub(super) struct Trimmed<D> {
    inner: D,
    edit: Edit,
    info: SourceInfo,
    /// Frames of the inner stream passed so far.
    position: u64,
}

impl<D: Decoder> Trimmed<D> {
    pub(super) fn new(inner: D, edit: Edit) -> Self {
        let mut info = inner.info().clone();
        let heard = |frames: u64| {
            let (first, end) = bounds(edit, info.rate);
            frames.min(end).saturating_sub(first)
        };
        info.frames = info.frames.map(heard);
        Self { inner, edit, info, position: 0 }
    }
}

/// First frame heard, and the one after the last.
fn bounds(edit: Edit, rate: u32) -> (u64, u64) {
    // `as` saturates and takes NaN for 0.
    let frame = |seconds: f64| (seconds * f64::from(rate)).round() as u64;
    (frame(edit.start), edit.length.map_or(u64::MAX, |length| frame(edit.start + length)))
}

impl<D: Decoder> Decoder for Trimmed<D> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, samples: &mut Vec<f32>) -> Result<Option<Block>, AudioError> {
        let Some(block) = self.inner.next(samples)? else { return Ok(None) };
        let (first, end) = bounds(self.edit, block.rate);
        let channels = block.channels.max(1);
        let frames = (samples.len() / channels) as u64;
        // Both lie within the block, so they fit.
        let from = first.saturating_sub(self.position).min(frames) as usize;
        let to = end.saturating_sub(self.position).min(frames) as usize;
        self.position += frames;
        samples.truncate(to * channels);
        samples.drain(..(from * channels).min(samples.len()));
        Ok(Some(block))
    }

    fn bad_packets(&self) -> u64 {
        self.inner.bad_packets()
    }

    fn truncated(&self) -> bool {
        self.inner.truncated()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up in stereo blocks of 10 frames at 1000 Hz.
    struct Counter(u32, SourceInfo);

    impl Decoder for Counter {
        fn info(&self) -> &SourceInfo {
            &self.1
        }

        fn next(&mut self, samples: &mut Vec<f32>) -> Result<Option<Block>, AudioError> {
            *samples = (self.0..self.0 + 10).flat_map(|n| [n as f32; 2]).collect();
            self.0 += 10;
            Ok((self.0 <= 50).then_some(Block { rate: 1000, channels: 2, decoded: true }))
        }

        fn bad_packets(&self) -> u64 {
            0
        }

        fn truncated(&self) -> bool {
            false
        }
    }

    fn heard(start: f64, length: Option<f64>) -> (Vec<u32>, Option<u64>) {
        let info = SourceInfo {
            container: String::new(),
            codec: String::new(),
            rate: 1000,
            channels: 2,
            bits: None,
            frames: Some(50),
        };
        let mut trimmed = Trimmed::new(Counter(0, info), Edit { start, length });
        let (mut heard, mut samples) = (Vec::new(), Vec::new());
        while trimmed.next(&mut samples).unwrap().is_some() {
            heard.extend(samples.chunks(2).map(|frame| frame[0] as u32));
        }
        (heard, trimmed.info().frames)
    }

    #[test]
    fn only_the_edit_is_heard() {
        assert_eq!(heard(0.0, None), ((0..50).collect(), Some(50)));
        assert_eq!(heard(0.012, Some(0.03)), ((12..42).collect(), Some(30)));
        assert_eq!(heard(0.012, Some(9.0)), ((12..50).collect(), Some(38)));
        assert_eq!(heard(0.004, Some(0.002)), (vec![4, 5], Some(2)));
        assert_eq!(heard(1e30, Some(1e30)), (Vec::new(), Some(0)));
    }
}
