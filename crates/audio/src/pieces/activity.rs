//! Where somebody speaks, by energy alone. Feeds the pause search and tells a transducer's host loop that a long run of
//! blanks lies over speech.

use super::energy::{FRAME, SILENCE_DB, levels};
use crate::SAMPLE_RATE;

/// Frames of a block with its own threshold (10 s); with its neighbours it sees 30 s, long enough to contain a pause.
const BLOCK: usize = 1000;

/// Percentile of the level taken as the noise floor. Small, because fluent speech may pause for no more
/// than a second in half a minute; not the minimum, which a single dropout would set.
const FLOOR_PERCENT: usize = 2;

/// Gaps shorter than this many frames (0.2 s) are within speech: stop consonants, breaths between syllables.
const MIN_PAUSE: usize = 20;

/// Spans shorter than this many frames (0.08 s) are clicks.
const MIN_SPEECH: usize = 8;

/// Levels that vary less than this (dB) hold no speech pauses: steady noise, a tone, or silence.
const MIN_RANGE: f32 = 10.0;

/// Steady sound louder than this (dB) counts as speech, since that errs towards decoding; quieter is background.
const STEADY_SPEECH: f32 = -45.0;

/// Spans of speech in seconds from the start of `samples` (16 kHz mono), in order, at least 0.08 s long and 0.2 s apart.
///
/// The threshold adapts every 10 s: it lies 35 % of the way from the noise floor (2nd percentile of the level around)
/// to the speech level (95th percentile), between 40 and 8 dB below the latter. Sound that hardly varies is all speech
/// or all background, depending on its level. Music and noise louder than the speech are taken for speech: this is a
/// detector of pauses, not of voices.
pub fn speech_activity(samples: &[f32]) -> Vec<(f64, f64)> {
    let seconds = |frame: usize| (frame * FRAME).min(samples.len()) as f64 / f64::from(SAMPLE_RATE);
    spans(&active(&levels(samples))).into_iter().map(|(start, end)| (seconds(start), seconds(end))).collect()
}

/// Whether each frame is above its local threshold.
fn active(levels: &[f32]) -> Vec<bool> {
    let blocks: Vec<&[f32]> = levels.chunks(BLOCK).collect();
    let loudest = percentile(levels, 95);
    let mut active = Vec::with_capacity(levels.len());
    for (index, block) in blocks.iter().enumerate() {
        let around = blocks[index.saturating_sub(1)..(index + 2).min(blocks.len())].concat();
        let threshold = threshold(percentile(&around, FLOOR_PERCENT), percentile(&around, 95), loudest);
        active.extend(block.iter().map(|&level| level > threshold));
    }
    active
}

/// Level above which a frame is speech, from the local floor and peak and the peak of the whole signal, in dB.
fn threshold(floor: f32, peak: f32, loudest: f32) -> f32 {
    if peak - floor < MIN_RANGE {
        let background = peak < STEADY_SPEECH || peak < loudest - 25.0;
        return if background { f32::INFINITY } else { SILENCE_DB };
    }
    (floor + 0.35 * (peak - floor)).clamp(peak - 40.0, peak - 8.0)
}

/// Value that `percent` of the values do not exceed; the floor of an empty slice.
fn percentile(values: &[f32], percent: usize) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get(values.len().saturating_sub(1) * percent / 100).copied().unwrap_or(SILENCE_DB)
}

/// Runs of active frames as `start..end`, with short gaps closed and short spans dropped.
fn spans(active: &[bool]) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut frame = 0;
    for run in active.chunk_by(|a, b| a == b) {
        let (start, end) = (frame, frame + run.len());
        frame = end;
        if !run[0] {
            continue;
        }
        match spans.last_mut() {
            Some(last) if start - last.1 < MIN_PAUSE => last.1 = end,
            _ => spans.push((start, end)),
        }
    }
    spans.retain(|(start, end)| end - start >= MIN_SPEECH);
    spans
}

/// Gaps between speech within `from..to`, as frame ranges: everything that [`spans`] leaves out.
pub(super) fn pauses(levels: &[f32], from: usize, to: usize) -> Vec<(usize, usize)> {
    let spans = spans(&active(levels));
    let edges = std::iter::once(0).chain(spans.iter().flat_map(|&(start, end)| [start, end]));
    let edges: Vec<usize> = edges.chain(std::iter::once(levels.len())).collect();
    let gaps = edges.chunks_exact(2).map(|edge| (edge[0].max(from), edge[1].min(to)));
    gaps.filter(|(start, end)| end > start).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_close_and_clicks_drop() {
        let mut frames = vec![false; 200];
        frames[10..40].fill(true);
        frames[50..90].fill(true); // a gap of 10 frames before it
        frames[120..123].fill(true); // a click
        frames[150..180].fill(true);
        assert_eq!(spans(&frames), [(10, 90), (150, 180)]);
    }

    #[test]
    fn pauses_are_what_speech_leaves() {
        let mut levels = vec![-70.0; 300];
        levels[50..100].fill(-20.0);
        levels[160..250].fill(-20.0);
        assert_eq!(pauses(&levels, 0, 300), [(0, 50), (100, 160), (250, 300)]);
        assert_eq!(pauses(&levels, 60, 130), [(100, 130)]);
    }

    #[test]
    fn steady_sound_is_all_or_nothing() {
        assert!(active(&[-80.0; 100]).iter().all(|a| !a));
        assert!(active(&[-20.0; 100]).iter().all(|a| *a));
        assert!(active(&[]).is_empty());
    }
}
