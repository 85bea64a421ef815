//! Greedy CTC (Graves et al. 2006): best label of each frame, repeats collapsed, blanks dropped.

use super::{Decoded, argmax, confidence};

/// Decodes `frames` rows of `log_probs [frames, blank + 1]`.
///
/// A token's frame is the first of its run, its duration the run's length, and its confidence the lowest of the run,
/// as NeMo aggregates it.
pub(crate) fn greedy(log_probs: &[f32], frames: usize, blank: usize) -> Vec<Decoded> {
    let choices = blank + 1;
    let mut tokens: Vec<Decoded> = Vec::new();
    let mut previous = blank;
    for (frame, row) in log_probs.chunks_exact(choices).take(frames).enumerate() {
        let best = argmax(row);
        if best != blank {
            let score = confidence(f64::from(row[best]).exp(), choices);
            match tokens.last_mut() {
                Some(last) if best == previous => {
                    last.duration_frames += 1;
                    last.confidence = last.confidence.min(score);
                }
                _ => tokens.push(Decoded {
                    id: best as u32,
                    frame: frame as u32,
                    duration_frames: 1,
                    confidence: score,
                }),
            }
        }
        previous = best;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(labels: &[usize]) -> Vec<f32> {
        let row = |l: usize| (0..3).map(move |i| if i == l { (0.8f32).ln() } else { (0.1f32).ln() });
        labels.iter().flat_map(|&l| row(l)).collect()
    }

    #[test]
    fn repeats_collapse_and_a_blank_parts_them() {
        let tokens = greedy(&frames(&[2, 0, 0, 2, 0, 1, 2]), 7, 2);
        let seen: Vec<_> = tokens.iter().map(|t| (t.id, t.frame, t.duration_frames)).collect();
        assert_eq!(seen, [(0, 1, 2), (0, 4, 1), (1, 5, 1)]);
        assert!((tokens[0].confidence - 0.7).abs() < 1e-6);
    }

    #[test]
    fn frames_past_the_valid_length_are_not_read() {
        assert!(greedy(&frames(&[2, 2, 1]), 2, 2).is_empty());
    }
}
