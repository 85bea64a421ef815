//! Which short recordings share a run of the model when nobody said how many may.
//!
//! A short clip's matrix products have few rows: the weights are read and unpacked for little, most of all by the
//! decoder, whose rows are one to a clip. Clips of 3 s through a model of 0.6 billion parameters take a fifth less time
//! eight at a time than alone; beyond 30 s there is nothing left to gain, and memory to lose.

/// Samples of all clips, each as long as the longest: 30 s.
const SAMPLES: usize = 30 * 16_000;
/// Clips.
const CLIPS: usize = 8;

/// Whether a clip of `next` samples joins those that share a run already. Shorter clips are padded to the longest, which
/// may waste a quarter.
pub(crate) fn joins(clips: &[usize], next: usize) -> bool {
    let longest = clips.iter().copied().max().unwrap_or(0).max(next);
    let padded = longest.saturating_mul(clips.len() + 1);
    let sum = clips.iter().sum::<usize>() + next;
    clips.is_empty() || (clips.len() < CLIPS && padded <= SAMPLES && sum >= padded / 4 * 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = 16_000;

    #[test]
    fn short_clips_of_like_length_share() {
        assert!(joins(&[], 3600 * SECOND), "one clip is always taken");
        assert!(joins(&[3 * SECOND; 7], 3 * SECOND));
        assert!(joins(&[10 * SECOND, 9 * SECOND], 10 * SECOND));
    }

    #[test]
    fn long_many_or_uneven_clips_do_not() {
        assert!(!joins(&[16 * SECOND], 15 * SECOND), "more than 30 s");
        assert!(!joins(&[SECOND; 8], SECOND), "more than eight");
        assert!(!joins(&[2 * SECOND], 10 * SECOND), "mostly padding");
    }
}
