//! Which token follows: transformers' logits processors in the orders in which Chatterbox applies them, and one random number a token.
//!
//! `runtime::sample` has other orders, and options that speech has no use for; here the order is the point. Logits stay f32 as in
//! Python, probabilities are f64.

use super::config::T3Config;
use super::error::T3Error;

/// The order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `T3.inference`: guidance, (analyser,) repetition penalty over the tokens and start of speech, temperature, min-p, top-p.
    Llama,
    /// `T3.inference_turbo`: temperature, top-k, top-p, and the penalty last, over the tokens, at first over start of speech.
    Gpt2,
}

impl Order {
    /// The order of a model.
    pub fn of(config: &T3Config) -> Self {
        if config.llama().is_some() { Self::Llama } else { Self::Gpt2 }
    }
}

/// How a token is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits. At 0 the largest logit after guidance and penalty is taken, nothing is cut and nothing is drawn.
    pub temperature: f32,
    /// So many of the largest are left, and all that equal the last of them; 0 leaves all. Turbo alone has it.
    pub top_k: usize,
    /// The fewest of the largest are left that have this much of the probability together; 1 leaves all.
    pub top_p: f32,
    /// What has less than this part of the largest probability is cut; 0 cuts nothing. Turbo doesn't have it.
    pub min_p: f32,
    /// Positive logits of tokens that were there are divided by it, negative ones multiplied, once for each token.
    pub repetition_penalty: f32,
    /// How far the logits are moved away from those without the text; 0 saves the row without the text. Turbo doesn't have it.
    pub cfg_weight: f32,
}

impl Sampling {
    /// What Python 0.1.7 uses: for Turbo and Nano, for the original English model, and for Multilingual.
    pub fn of(config: &T3Config) -> Self {
        let common = Self {
            temperature: 0.8,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.05,
            repetition_penalty: 2.0,
            cfg_weight: 0.5,
        };
        match config.llama() {
            None => Self {
                top_k: 1000,
                top_p: 0.95,
                min_p: 0.0,
                repetition_penalty: 1.2,
                cfg_weight: 0.0,
                ..common
            },
            Some(_) if config.is_english() => Self { repetition_penalty: 1.2, ..common },
            Some(_) => common,
        }
    }

    /// # Errors
    /// The first option that is outside its range.
    pub fn check(&self) -> Result<(), T3Error> {
        let part = |x: f32| (0.0..=1.0).contains(&x);
        let not_below_zero = |x: f32| x >= 0.0 && x.is_finite();
        let rules = [
            ("temperature", self.temperature, not_below_zero(self.temperature), "it must be 0 or more"),
            ("top_p", self.top_p, part(self.top_p), "it must be between 0 and 1"),
            ("min_p", self.min_p, part(self.min_p), "it must be between 0 and 1"),
            (
                "repetition_penalty",
                self.repetition_penalty,
                self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite(),
                "it must be above 0",
            ),
            ("cfg_weight", self.cfg_weight, not_below_zero(self.cfg_weight), "it must be 0 or more"),
        ];
        match rules.into_iter().find(|(_, _, sound, _)| !sound) {
            None => Ok(()),
            Some((option, found, _, reason)) => {
                Err(T3Error::Option { option, found: found.to_string(), reason })
            }
        }
    }

    /// Logits that guidance makes of those with and those without the text: `c + w · (c − u)`.
    pub fn guide(&self, with: &mut [f32], without: &[f32]) {
        for (c, &u) in with.iter_mut().zip(without) {
            *c += self.cfg_weight * (*c - u);
        }
    }

    /// Draws a token of these logits, guided already. `before` are the tokens that were there; `draw` gives one number in `[0, 1)`, and
    /// is asked once, or not at all at temperature 0. The token is the first at which the sum of the probabilities, in the order of
    /// the vocabulary, is above the number.
    ///
    /// # Errors
    /// Logits that are no numbers, or none of which is above minus infinity.
    pub fn token(
        &self,
        order: Order,
        logits: &mut [f32],
        before: &[i32],
        draw: impl FnOnce() -> f64,
    ) -> Result<i32, T3Error> {
        if logits.iter().any(|x| x.is_nan() || *x == f32::INFINITY) {
            return Err(T3Error::Logits { reason: "one is not a number" });
        }
        if self.temperature == 0.0 {
            self.penalise(logits, before);
        } else {
            self.cut(order, logits, before);
        }
        let best = largest(logits);
        let most = best.map_or(f32::NEG_INFINITY, |i| logits[i]);
        let Some(best) = best.filter(|_| most > f32::NEG_INFINITY) else {
            return Err(T3Error::Logits { reason: "none is above minus infinity" });
        };
        if self.temperature == 0.0 {
            return Ok(best as i32);
        }
        let weight = |x: f32| (f64::from(x) - f64::from(most)).exp();
        let goal = draw() * logits.iter().map(|&x| weight(x)).sum::<f64>();
        let mut sum = 0.0;
        for (i, &x) in logits.iter().enumerate() {
            sum += weight(x);
            if sum > goal {
                return Ok(i as i32);
            }
        }
        // A number so near 1 that the sum, rounded, doesn't get above it.
        let last = logits.iter().rposition(|&x| weight(x) > 0.0);
        Ok(last.unwrap_or(best) as i32)
    }

    /// Everything but the draw, in its order; what is cut becomes minus infinity.
    pub fn cut(&self, order: Order, logits: &mut [f32], before: &[i32]) {
        let temper = |logits: &mut [f32]| logits.iter_mut().for_each(|x| *x /= self.temperature);
        match order {
            Order::Llama => {
                self.penalise(logits, before);
                temper(logits);
                self.min_p(logits);
                self.top_p(logits);
            }
            Order::Gpt2 => {
                temper(logits);
                self.top_k(logits);
                self.top_p(logits);
                self.penalise(logits, before);
            }
        }
    }

    /// `RepetitionPenaltyLogitsProcessor`: each token once, however often it was there.
    fn penalise(&self, logits: &mut [f32], before: &[i32]) {
        if self.repetition_penalty == 1.0 {
            return;
        }
        let mut before: Vec<i32> = before.to_vec();
        before.sort_unstable();
        before.dedup();
        for token in before {
            let Some(x) = usize::try_from(token).ok().and_then(|i| logits.get_mut(i)) else { continue };
            *x = if *x < 0.0 { *x * self.repetition_penalty } else { *x / self.repetition_penalty };
        }
    }

    /// `TopKLogitsWarper`.
    fn top_k(&self, logits: &mut [f32]) {
        if self.top_k == 0 || self.top_k >= logits.len() {
            return;
        }
        let mut sorted = logits.to_vec();
        let (_, &mut least, _) = sorted.select_nth_unstable_by(self.top_k - 1, |a, b| b.total_cmp(a));
        logits.iter_mut().filter(|x| **x < least).for_each(|x| *x = f32::NEG_INFINITY);
    }

    /// `MinPLogitsWarper`. The largest stays, whatever the part is.
    fn min_p(&self, logits: &mut [f32]) {
        let Some(most) = largest(logits).map(|i| logits[i]) else { return };
        let least = f64::from(self.min_p);
        let cut = |x: f32| (f64::from(x) - f64::from(most)).exp() < least;
        logits.iter_mut().filter(|x| cut(**x)).for_each(|x| *x = f32::NEG_INFINITY);
    }

    /// `TopPLogitsWarper`: from the smallest on, what together has no more than `1 − top_p` of the probability goes.
    fn top_p(&self, logits: &mut [f32]) {
        let Some(most) = largest(logits).map(|i| logits[i]) else { return };
        if self.top_p >= 1.0 || most == f32::NEG_INFINITY {
            return;
        }
        let mut left: Vec<(f32, usize)> = logits
            .iter()
            .enumerate()
            .filter(|(_, x)| **x > f32::NEG_INFINITY)
            .map(|(i, &x)| (x, i))
            .collect();
        left.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let weight = |x: f32| (f64::from(x) - f64::from(most)).exp();
        let goal = (1.0 - f64::from(self.top_p)) * left.iter().map(|&(x, _)| weight(x)).sum::<f64>();
        let mut sum = 0.0;
        left.pop();
        for (x, i) in left {
            sum += weight(x);
            if sum > goal {
                break;
            }
            logits[i] = f32::NEG_INFINITY;
        }
    }
}

/// The first index of the largest; none of none.
fn largest(logits: &[f32]) -> Option<usize> {
    let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    (0..logits.len()).reduce(better)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

    use super::{Order, Sampling, T3Error};

    const PLAIN: Sampling = Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        cfg_weight: 0.0,
    };

    #[test]
    fn a_number_picks_the_token_whose_share_it_is_in() {
        // Shares 1/8, 1/2, 1/8, 1/4.
        let logits = [1f32, 4.0, 1.0, 2.0].map(f32::ln);
        let token = |u: f64| PLAIN.token(Order::Llama, &mut logits.clone(), &[], || u).unwrap();
        let found = [0.0, 0.124, 0.126, 0.624, 0.626, 0.749, 0.751, 1.0 - f64::EPSILON, 1.0].map(token);
        assert_eq!(found, [0, 0, 1, 1, 2, 2, 3, 3, 3]);
    }

    #[test]
    fn zero_takes_the_largest_and_draws_nothing() {
        let greedy = Sampling { temperature: 0.0, repetition_penalty: 2.0, top_k: 1, ..PLAIN };
        let token = |order, before: &[i32]| {
            greedy.token(order, &mut [1.0, 3.0, 2.0, 2.0], before, || panic!("nothing is drawn")).unwrap()
        };
        for order in [Order::Llama, Order::Gpt2] {
            assert_eq!(token(order, &[]), 1);
            assert_eq!(token(order, &[1]), 2);
            // Twice the same token is penalised once.
            assert_eq!(token(order, &[1, 2, 3, 1]), 1);
        }
    }

    #[test]
    fn turbo_penalises_what_the_others_left() {
        let sampling = Sampling { top_k: 1, repetition_penalty: 4.0, ..PLAIN };
        let mut logits = [1.0, 2.0, 0.0];
        sampling.cut(Order::Gpt2, &mut logits, &[1]);
        assert_eq!(logits, [f32::NEG_INFINITY, 0.5, f32::NEG_INFINITY]);
    }

    #[test]
    fn guidance_goes_away_from_the_logits_without_text() {
        let mut with = [1.0, 2.0];
        Sampling { cfg_weight: 0.5, ..PLAIN }.guide(&mut with, &[0.0, 4.0]);
        assert_eq!(with, [1.5, 1.0]);
    }

    #[test]
    fn what_cannot_be_drawn_from_is_an_error() {
        for mut logits in [vec![], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0], vec![f32::NEG_INFINITY; 3]]
        {
            let found = PLAIN.token(Order::Gpt2, &mut logits, &[], || 0.5);
            assert!(matches!(found, Err(T3Error::Logits { .. })), "{found:?}");
        }
    }

    #[test]
    fn options_outside_their_range_are_named() {
        PLAIN.check().unwrap();
        for (option, sampling) in [
            ("temperature", Sampling { temperature: -0.1, ..PLAIN }),
            ("temperature", Sampling { temperature: f32::NAN, ..PLAIN }),
            ("top_p", Sampling { top_p: 1.1, ..PLAIN }),
            ("min_p", Sampling { min_p: -1.0, ..PLAIN }),
            ("repetition_penalty", Sampling { repetition_penalty: 0.0, ..PLAIN }),
            ("cfg_weight", Sampling { cfg_weight: f32::INFINITY, ..PLAIN }),
        ] {
            let error = sampling.check().unwrap_err().to_string();
            assert!(error.starts_with(option), "{error}");
        }
    }
}
