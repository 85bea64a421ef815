//! Log probabilities of the model's own distribution: natural logarithms of a softmax over the logits as they came, before bias,
//! masks, penalties, filters and temperature. OpenAI's API is answered with these, perplexity is made of them.

use super::error::SampleError;
use super::exp::exp_sum;
use super::select::{largest, top_k};

/// A token and the natural logarithm of its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// `ln p`, minus infinity where the logit is.
    pub logprob: f32,
}

/// The log probabilities of a choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Logprobs {
    /// The token that was chosen.
    pub chosen: TokenLogprob,
    /// The best tokens, best first; the chosen one is among them only if it is one.
    pub top: Vec<TokenLogprob>,
}

/// The log probability of one token, `logits` being those of the whole vocabulary; in f64, for sums over texts.
///
/// # Errors
/// [`SampleError::TokenOutOfRange`], or logits without a distribution.
pub fn logprob(logits: &[f32], token: u32) -> Result<f64, SampleError> {
    let out = SampleError::TokenOutOfRange { token, size: logits.len() };
    let logit = logits.get(token as usize).ok_or(out)?;
    Ok(f64::from(*logit) - normaliser(logits)?)
}

/// The log probabilities of the chosen token and of the `top` best.
///
/// # Errors
/// As [`logprob`].
pub fn logprobs(logits: &[f32], chosen: u32, top: usize) -> Result<Logprobs, SampleError> {
    let out = SampleError::TokenOutOfRange { token: chosen, size: logits.len() };
    let logit = *logits.get(chosen as usize).ok_or(out)?;
    let normaliser = normaliser(logits)?;
    let of = |(token, logit)| TokenLogprob { token, logprob: (f64::from(logit) - normaliser) as f32 };
    Ok(Logprobs { chosen: of((chosen, logit)), top: top_k(logits, top).into_iter().map(of).collect() })
}

/// `ln sum exp l`.
fn normaliser(logits: &[f32]) -> Result<f64, SampleError> {
    let max = largest(logits)?;
    Ok(f64::from(max) + exp_sum(logits, max).ln())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an error is a failed test")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn near_f64(logits in prop::collection::vec(-30f32..30.0, 1..300), top in 0usize..9) {
            let total: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
            let truth = |token: u32| f64::from(logits[token as usize]) - total.ln();
            let given = logprobs(&logits, 0, top).unwrap();
            prop_assert!((f64::from(given.chosen.logprob) - truth(0)).abs() < 1e-5);
            prop_assert_eq!(given.top.len(), top.min(logits.len()));
            for pair in given.top.windows(2) {
                prop_assert!(pair[0].logprob >= pair[1].logprob);
            }
            for best in &given.top {
                prop_assert!((f64::from(best.logprob) - truth(best.token)).abs() < 1e-5);
                prop_assert!((logprob(&logits, best.token).unwrap() - truth(best.token)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn errors() {
        assert_eq!(logprob(&[0.0], 1), Err(SampleError::TokenOutOfRange { token: 1, size: 1 }));
        assert!(logprobs(&[0.0, f32::NAN], 0, 1).is_err());
        assert_eq!(logprob(&[0.0, f32::NEG_INFINITY], 1).unwrap(), f64::NEG_INFINITY);
    }
}
