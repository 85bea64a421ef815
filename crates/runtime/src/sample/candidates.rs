//! The tokens still in the running, by ascending id.

use super::exp::{exp_sum, exps};
use super::options::SamplerOptions;
use super::select::{Ranked, top_k};

/// Tokens, their logits and, after [`Candidates::weigh`], numbers proportional to their probabilities.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates {
    pub(super) tokens: Vec<u32>,
    pub(super) logits: Vec<f32>,
    pub(super) weights: Vec<f32>,
    /// The largest logit.
    pub(super) max: f32,
    /// Weight of all tokens that compete, also of those not listed because no filter could keep them.
    pub(super) total: f64,
    /// Room for the filters.
    pub(super) ranked: Vec<Ranked>,
}

impl Candidates {
    /// Takes one token.
    pub(super) fn only(&mut self, token: u32, logit: f32) {
        self.set([(token, logit)].into_iter());
        (self.max, self.total) = (logit, 1.0);
        self.weights.clear();
        self.weights.push(1.0);
    }

    /// Takes the tokens of a vocabulary that can outlive the filters, and weighs them at temperature 1. `max` is the largest logit
    /// and finite.
    pub(super) fn gather(&mut self, logits: &[f32], max: f32, options: &SamplerOptions) {
        self.max = max;
        if (1..logits.len()).contains(&options.top_k) {
            let mut best = top_k(logits, options.top_k);
            best.sort_unstable_by_key(|&(token, _)| token);
            self.set(best.into_iter());
            self.weigh(1.0);
            return;
        }
        let (floor, total) = floor(logits, max, options);
        let above = (0..).zip(logits).filter(|&(_, &logit)| logit >= floor && logit > f32::NEG_INFINITY);
        self.set(above.map(|(token, &logit)| (token, logit)));
        self.weigh(1.0);
        self.total = total.unwrap_or(self.total);
    }

    fn set(&mut self, candidates: impl Iterator<Item = (u32, f32)>) {
        self.tokens.clear();
        self.logits.clear();
        for (token, logit) in candidates {
            self.tokens.push(token);
            self.logits.push(logit);
        }
    }

    /// Weights at this temperature, above 0; the best token's is 1.
    pub(super) fn weigh(&mut self, temperature: f32) {
        self.total = exps(&self.logits, self.max, temperature, &mut self.weights);
    }

    /// Keeps the candidates at places for which `keep` is true, and weighs them again at temperature 1.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut kept = 0;
        for at in 0..self.tokens.len() {
            if keep(at) {
                (self.tokens[kept], self.logits[kept]) = (self.tokens[at], self.logits[at]);
                kept += 1;
            }
        }
        self.tokens.truncate(kept);
        self.logits.truncate(kept);
        self.max = self.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.weigh(1.0);
    }

    /// The token at `share` of the way through the weights; `share` is in `[0, 1)`, there is at least one candidate.
    pub(super) fn at(&self, share: f64) -> u32 {
        let goal = share * self.total;
        let (mut mass, mut last) = (0.0, 0);
        for (&token, &weight) in self.tokens.iter().zip(&self.weights) {
            if weight > 0.0 {
                mass += f64::from(weight);
                last = token;
                if mass > goal {
                    break;
                }
            }
        }
        last
    }
}

/// The logit below which no token of a whole vocabulary outlives the filters, so that it needs no ranking, and the weight of all of
/// them if it was needed to find out.
fn floor(logits: &[f32], max: f32, options: &SamplerOptions) -> (f32, Option<f64>) {
    // More than the error of an exponential.
    const SLACK: f64 = 1e-3;
    if options.typical < 1.0 {
        return (f32::NEG_INFINITY, None);
    }
    if options.top_p < 1.0 {
        // n tokens of less than (1 - p) / n each are less than 1 - p in all: the others reach p without them.
        let total = exp_sum(logits, max);
        let share = (1.0 - f64::from(options.top_p)) / logits.len() as f64;
        let floor = f64::from(max) + total.ln() + share.ln() - SLACK;
        return (floor as f32, Some(total));
    }
    if options.min_p > 0.0 {
        let floor = f64::from(max) + f64::from(options.min_p).ln() - SLACK;
        return (floor as f32, None);
    }
    (f32::NEG_INFINITY, None)
}
