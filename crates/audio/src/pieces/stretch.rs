//! The stretch of a long recording that shows most of a voice: the one with the most speech in it. Feeds voice cloning, whose
//! models hear a few seconds of whatever they are given.

use super::activity::speech_activity;
use crate::SAMPLE_RATE;
use std::ops::Range;

/// A stretch may begin this long before speech does, in seconds, so that an onset is not cut.
const LEAD: f64 = 0.1;

/// The stretch of at most `seconds` of 16 kHz mono `samples` that holds the most speech, as a range of samples and the seconds of
/// speech in it. It begins where speech begins; of equal ones the first is taken. A shorter recording is taken whole.
pub fn best_stretch(samples: &[f32], seconds: f64) -> (Range<usize>, f64) {
    let spans = speech_activity(samples);
    let rate = f64::from(SAMPLE_RATE);
    let total = samples.len() as f64 / rate;
    let within = |from: f64, to: f64| {
        spans.iter().map(|&(start, end)| (end.min(to) - start.max(from)).max(0.0)).sum::<f64>()
    };
    if total <= seconds {
        return (0..samples.len(), within(0.0, total));
    }
    let last = total - seconds;
    let starts = spans.iter().map(|&(start, _)| (start - LEAD).clamp(0.0, last));
    let mut best = (0.0, within(0.0, seconds));
    for start in starts {
        let speech = within(start, start + seconds);
        if speech > best.1 {
            best = (start, speech);
        }
    }
    let first = (best.0 * rate) as usize;
    let count = (seconds * rate) as usize;
    (first..first.saturating_add(count).min(samples.len()), best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone that comes and goes, as syllables do.
    fn talk(seconds: usize) -> Vec<f32> {
        let tone = |n: usize| 0.3 * (n as f32 * 0.2).sin() * if n % 8000 < 6400 { 1.0 } else { 0.1 };
        (0..seconds * 16_000).map(tone).collect()
    }

    #[test]
    fn the_talk_is_found_between_silences() {
        let clip = [vec![0.0; 5 * 16_000], talk(8), vec![0.0; 5 * 16_000]].concat();
        let (range, speech) = best_stretch(&clip, 6.0);
        assert!((4 * 16_000..=8 * 16_000).contains(&range.start), "{range:?}");
        assert_eq!(range.len(), 6 * 16_000);
        assert!(speech > 4.5, "{speech}");
    }

    #[test]
    fn a_short_recording_is_taken_whole() {
        let clip = talk(3);
        assert_eq!(best_stretch(&clip, 6.0).0, 0..clip.len());
        assert_eq!(best_stretch(&[], 6.0), (0..0, 0.0));
    }

    #[test]
    fn silence_gives_its_beginning() {
        assert_eq!(best_stretch(&[0.0; 160_000], 2.0), (0..32_000, 0.0));
    }
}
