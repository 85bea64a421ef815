//! How long a token lasts. A transducer with durations says it; a CTC or RNN-T head only says when it fired.

use crate::assemble::DecodedToken;

/// The rule that turns a decoder's frames into token starts and ends, in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SpanRule {
    /// `[frame, frame + duration_frames)`. TDT: the predicted duration; RNN-T: NeMo counts one frame a token, so the
    /// decoder says 1.
    #[default]
    Emitted,
    /// A token lasts until the next one fires, but at most `max_extra` frames longer than its own run. For CTC heads,
    /// whose tokens are spikes of a frame or two. Without the bound the last word before a pause would last through
    /// the pause, and no pause could be found.
    NextToken {
        /// Frames that may be added to `duration_frames`.
        max_extra: u32,
    },
    /// What NeMo (and parakeet.cpp) print for CTC: a token starts where the token before it fired and ends where it
    /// fires itself. Words come out early by a token; here for byte parity with those tools.
    PreviousToken,
}

impl SpanRule {
    /// The rule for CTC heads: spikes stretched by at most 0.24 s at 80 ms frames.
    pub const CTC: Self = Self::NextToken { max_extra: 3 };

    /// Start and end of every token in frames; `end >= start`.
    #[must_use]
    pub fn spans(self, tokens: &[DecodedToken]) -> Vec<(u64, u64)> {
        let mut spans = Vec::with_capacity(tokens.len());
        for (index, token) in tokens.iter().enumerate() {
            let start = u64::from(token.frame);
            let end = start + u64::from(token.duration_frames);
            spans.push(match self {
                Self::Emitted => (start, end),
                Self::NextToken { max_extra } => match tokens.get(index + 1) {
                    Some(next) => (start, u64::from(next.frame).clamp(end, end + u64::from(max_extra))),
                    None => (start, end),
                },
                Self::PreviousToken => {
                    let before = match index.checked_sub(1).and_then(|before| tokens.get(before)) {
                        Some(previous) => u64::from(previous.frame),
                        None => start.saturating_sub(1),
                    };
                    (before.min(start), start)
                }
            });
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(frames: &[(u32, u32)]) -> Vec<DecodedToken> {
        frames
            .iter()
            .map(|&(frame, duration_frames)| DecodedToken { id: 0, frame, duration_frames, confidence: 1.0 })
            .collect()
    }

    #[test]
    fn emitted_is_the_decoders_word() {
        assert_eq!(SpanRule::Emitted.spans(&tokens(&[(3, 4), (7, 0), (9, 1)])), [(3, 7), (7, 7), (9, 10)]);
        let far = SpanRule::Emitted.spans(&tokens(&[(u32::MAX, u32::MAX)]));
        assert_eq!(far, [(u64::from(u32::MAX), 2 * u64::from(u32::MAX))]);
    }

    #[test]
    fn a_spike_lasts_until_the_next_but_not_through_a_pause() {
        let rule = SpanRule::NextToken { max_extra: 3 };
        assert_eq!(rule.spans(&tokens(&[(2, 1), (4, 2), (50, 1)])), [(2, 4), (4, 9), (50, 51)]);
        let out_of_order = rule.spans(&tokens(&[(9, 1), (4, 1)]));
        assert_eq!(out_of_order, [(9, 10), (4, 5)]);
    }

    #[test]
    fn previous_token_is_nemos_cumulative_sum() {
        let spans = SpanRule::PreviousToken.spans(&tokens(&[(5, 1), (8, 1), (20, 2)]));
        assert_eq!(spans, [(4, 5), (5, 8), (8, 20)]);
        assert_eq!(SpanRule::PreviousToken.spans(&tokens(&[(0, 1)])), [(0, 0)]);
    }
}
