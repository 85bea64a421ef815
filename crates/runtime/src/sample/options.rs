//! The settings of a sampler, and what they may be.

use super::error::SampleError;

/// How the next token is chosen. The default changes nothing: the model's own distribution, seed 0.
///
/// `l` is a token's logit, `p` its probability among the tokens still there.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerOptions {
    /// Divides logits before the draw; 0 takes the best token. From 0.
    pub temperature: f32,
    /// The `k` best tokens; 0 keeps all.
    pub top_k: usize,
    /// The fewest tokens, best first, whose probabilities reach this (nucleus sampling, Holtzman et al. 2019); 1 keeps all.
    /// In `(0, 1]`.
    pub top_p: f32,
    /// Tokens with `p` at least this share of the best token's (Nguyen et al. 2024); 0 keeps all. In `[0, 1]`.
    pub min_p: f32,
    /// Locally typical sampling (Meister et al. 2022): the fewest tokens that reach this mass, those first whose `-ln p` is nearest
    /// to the entropy; 1 keeps all. In `(0, 1]`.
    pub typical: f32,
    /// A token in the window gets `l / r` if `l > 0`, else `l · r` (CTRL, Keskar et al. 2019; Hugging Face, llama.cpp). Once for
    /// each distinct token, however often it occurs. Above 0; 1 is off.
    pub repeat_penalty: f32,
    /// A token in the window gets `l - presence` (OpenAI). 0 is off; negative values invite repetition.
    pub presence_penalty: f32,
    /// A token that occurs `n` times in the window gets `l - n · frequency` (OpenAI). 0 is off.
    pub frequency_penalty: f32,
    /// How many of the last tokens, of the prompt and of the answer, are the window (llama.cpp's `repeat_last_n`); 0 turns the three
    /// penalties off, `usize::MAX` counts everything (Hugging Face).
    pub penalty_window: usize,
    /// Added to the logits of tokens (OpenAI); minus infinity forbids a token. Several for one token add up.
    pub logit_bias: Vec<(u32, f32)>,
    /// The seed of the draws, see [`Draws`](super::Draws).
    pub seed: u64,
    /// Whether to give log probabilities, and of how many of the best tokens besides the chosen one. They are the model's own, of
    /// the logits as they came: no bias, mask, penalty, filter or temperature.
    pub logprobs: Option<usize>,
}

impl Default for SamplerOptions {
    fn default() -> SamplerOptions {
        SamplerOptions {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical: 1.0,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            penalty_window: 64,
            logit_bias: Vec::new(),
            seed: 0,
            logprobs: None,
        }
    }
}

impl SamplerOptions {
    /// The best token always.
    #[must_use]
    pub fn greedy() -> SamplerOptions {
        SamplerOptions { temperature: 0.0, ..SamplerOptions::default() }
    }

    /// # Errors
    /// [`SampleError::BadOption`] or [`SampleError::BadBias`] for the first value outside its range.
    pub fn check(&self) -> Result<(), SampleError> {
        let share = |x: f32| (0.0..=1.0).contains(&x);
        let mass = |x: f32| x > 0.0 && x <= 1.0;
        let checks = [
            ("temperature", self.temperature, self.temperature >= 0.0, "0 or more, and finite"),
            ("top-p", self.top_p, mass(self.top_p), "above 0 and at most 1"),
            ("min-p", self.min_p, share(self.min_p), "from 0 to 1"),
            ("typical", self.typical, mass(self.typical), "above 0 and at most 1"),
            ("repeat penalty", self.repeat_penalty, self.repeat_penalty > 0.0, "above 0, and finite"),
            ("presence penalty", self.presence_penalty, true, "finite"),
            ("frequency penalty", self.frequency_penalty, true, "finite"),
        ];
        for (option, value, good, range) in checks {
            if !(good && value.is_finite()) {
                return Err(SampleError::BadOption { option, value, range });
            }
        }
        match self.logit_bias.iter().find(|(_, bias)| bias.is_nan() || *bias == f32::INFINITY) {
            Some(&(token, bias)) => Err(SampleError::BadBias { token, bias }),
            None => Ok(()),
        }
    }

    /// Whether any penalty changes logits.
    pub(super) fn penalises(&self) -> bool {
        self.penalty_window > 0
            && (self.repeat_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let plain = SamplerOptions::default();
        assert_eq!(plain.check(), Ok(()));
        assert_eq!(SamplerOptions::greedy().check(), Ok(()));
        let bad: [fn(&mut SamplerOptions); 14] = [
            |o| o.temperature = -0.1,
            |o| o.temperature = f32::NAN,
            |o| o.temperature = f32::INFINITY,
            |o| o.top_p = 0.0,
            |o| o.top_p = 1.01,
            |o| o.min_p = -0.01,
            |o| o.min_p = f32::NAN,
            |o| o.typical = 0.0,
            |o| o.repeat_penalty = 0.0,
            |o| o.repeat_penalty = f32::INFINITY,
            |o| o.presence_penalty = f32::NAN,
            |o| o.frequency_penalty = f32::NEG_INFINITY,
            |o| o.logit_bias = vec![(0, 1.0), (3, f32::INFINITY)],
            |o| o.logit_bias = vec![(3, f32::NAN)],
        ];
        for (at, change) in bad.iter().enumerate() {
            let mut options = plain.clone();
            change(&mut options);
            assert!(options.check().is_err(), "case {at}");
        }
        let forbids = SamplerOptions { logit_bias: vec![(1, f32::NEG_INFINITY)], ..plain };
        assert_eq!(forbids.check(), Ok(()));
    }
}
