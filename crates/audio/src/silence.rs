//! Where the sound of a clip begins and ends, as `librosa.effects.trim` finds it: frames within some decibels of the loudest.

use std::ops::Range;

/// Samples of a frame, and between frames.
const FRAME: usize = 2048;
const HOP: usize = 512;
/// Quieter mean squares count as this much.
const FLOOR: f64 = 1e-10;

/// The samples from the first to the last frame whose level is within `top_db` of the loudest frame's: frames of 2048 samples,
/// centred every 512, with zeros beyond the ends. An empty clip gives an empty range.
pub fn trim_silence(samples: &[f32], top_db: f64) -> Range<usize> {
    let squares: Vec<f64> = (0..=samples.len() / HOP)
        .map(|frame| {
            let centre = frame * HOP;
            let own = &samples[centre.saturating_sub(FRAME / 2)..(centre + FRAME / 2).min(samples.len())];
            own.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / FRAME as f64
        })
        .collect();
    let level = |square: f64| 10.0 * square.max(FLOOR).log10();
    let loudest = level(squares.iter().copied().fold(0.0, f64::max));
    let heard = |&square: &f64| level(square) - loudest > -top_db;
    match (squares.iter().position(heard), squares.iter().rposition(heard)) {
        (Some(first), Some(last)) => {
            let end = ((last + 1) * HOP).min(samples.len());
            (first * HOP).min(end)..end
        }
        _ => 0..0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_goes_at_both_ends() {
        let mut clip = vec![0.0; 8192];
        clip.extend((0..16_384).map(|n| (n as f32 * 0.3).sin()));
        clip.extend([0.001; 8192]);
        let found = trim_silence(&clip, 20.0);
        assert!((7168..=8192).contains(&found.start) && (24_576..=26_112).contains(&found.end), "{found:?}");
    }

    #[test]
    fn what_has_no_loud_part_stays() {
        assert_eq!(trim_silence(&[], 20.0), 0..0);
        assert_eq!(trim_silence(&[0.0; 3000], 20.0), 0..3000);
        assert_eq!(trim_silence(&[0.5; 100], 20.0), 0..100);
    }
}
