//! Greedy decoding: from a head's outputs to tokens with frames, durations and confidences.
//!
//! Confidence is NeMo's `max_prob`: the probability of the emitted token among tokens and blank, rescaled so that a
//! uniform guess gives 0: `(N·p − 1) / (N − 1)`.

pub(crate) mod ctc;
pub(crate) mod transducer;

pub use mynah_text::DecodedToken as Decoded;

/// The first index of the largest element.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    best
}

/// NeMo's rescaling of a probability among `choices` outcomes.
pub(crate) fn confidence(probability: f64, choices: usize) -> f32 {
    let n = choices as f64;
    ((n * probability - 1.0) / (n - 1.0)).clamp(0.0, 1.0) as f32
}

/// Softmax probability of one logit.
pub(crate) fn probability(logits: &[f32], index: usize) -> f64 {
    let top = f64::from(logits[argmax(logits)]);
    let sum: f64 = logits.iter().map(|&l| (f64::from(l) - top).exp()).sum();
    (f64::from(logits[index]) - top).exp() / sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }

    #[test]
    fn a_uniform_guess_has_no_confidence() {
        assert_eq!(confidence(0.25, 4), 0.0);
        assert_eq!(confidence(1.0, 4), 1.0);
        assert!((probability(&[0.0, 0.0], 1) - 0.5).abs() < 1e-12);
    }
}
