//! Where to cut a stretch of audio in two.

use super::activity::pauses;
use super::energy::{FRAME, levels};

/// Shortest pause worth cutting in, in frames (0.25 s).
const MIN_PAUSE: usize = 25;

/// Pauses longer than this (frames, 1 s) are equally good; quietness and position decide between them.
const ENOUGH: usize = 100;

/// A place to cut, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// First sample of the second part.
    pub(super) at: usize,
    /// The pause around `at`, or `None` if there is none.
    pub(super) pause: Option<(usize, usize)>,
}

/// The best place in `from..to` (samples of `samples`), which must span at least a frame: the middle of the longest and
/// quietest pause, else the quietest frame.
pub(super) fn best_place(samples: &[f32], from: usize, to: usize) -> Place {
    let levels = levels(samples);
    let window = (from.div_ceil(FRAME), (to / FRAME).min(levels.len()));
    let mut best: Option<(f32, (usize, usize))> = None;
    for (start, end) in pauses(&levels, window.0, window.1) {
        if end - start < MIN_PAUSE {
            continue;
        }
        let level = levels[start..end].iter().sum::<f32>() / (end - start) as f32;
        // A tenth of a second of pause is worth 2 dB of quiet; a later cut breaks ties, for longer pieces.
        let score = (end - start).min(ENOUGH) as f32 - 5.0 * level + start as f32 * 1e-3;
        if best.is_none_or(|(top, _)| score > top) {
            best = Some((score, (start, end)));
        }
    }
    if let Some((_, (start, end))) = best {
        let at = (start + end) / 2 * FRAME;
        return Place { at, pause: Some((start * FRAME, end * FRAME)) };
    }
    let frames = levels.get(window.0..window.1.max(window.0)).unwrap_or_default();
    let quietest = frames.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
    let at = ((window.0 + quietest) * FRAME + FRAME / 2).clamp(from, to);
    Place { at, pause: None }
}
