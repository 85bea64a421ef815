//! The chain of one sequence: what it was set to, what it has seen, where its random numbers are.

use super::candidates::Candidates;
use super::draws::Draws;
use super::error::SampleError;
use super::filter::{min_p, top_p, typical};
use super::logprobs::{Logprobs, logprobs};
use super::mask::TokenMask;
use super::options::SamplerOptions;
use super::penalties::Window;
use super::select::largest;

/// A token and its probability of being drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The token.
    pub token: u32,
    /// Its probability after the whole chain.
    pub probability: f64,
}

/// The next token.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// Log probabilities, if [`SamplerOptions::logprobs`] asks for them.
    pub logprobs: Option<Logprobs>,
}

/// The sampler of one sequence. A clone goes on by itself with the same random numbers.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplerOptions,
    draws: Draws,
    window: Window,
    /// The logits being worked on.
    work: Vec<f32>,
    candidates: Candidates,
}

impl Sampler {
    /// A sampler that has seen nothing.
    ///
    /// # Errors
    /// [`SampleError::BadOption`], [`SampleError::BadBias`].
    pub fn new(options: SamplerOptions) -> Result<Sampler, SampleError> {
        options.check()?;
        let draws = Draws::new(options.seed);
        Ok(Sampler {
            options,
            draws,
            window: Window::default(),
            work: Vec::new(),
            candidates: Candidates::default(),
        })
    }

    /// What it was set to.
    #[must_use]
    pub fn options(&self) -> &SamplerOptions {
        &self.options
    }

    /// Takes a token that the sequence now has, of the prompt or of the answer; penalties count them.
    pub fn accept(&mut self, token: u32) {
        if self.options.penalises() {
            self.window.push(token, self.options.penalty_window);
        }
    }

    /// Forgets the accepted tokens and begins the random numbers anew.
    pub fn reset(&mut self) {
        self.window.clear();
        self.draws.seek(0);
    }

    /// How many random numbers were used: with the accepted tokens, all that a sampler has to remember.
    #[must_use]
    pub fn drawn(&self) -> u64 {
        self.draws.drawn()
    }

    /// Passes over the random number of one choice, as if [`Sampler::sample`] had made it.
    pub fn skip(&mut self) {
        if self.options.temperature > 0.0 {
            self.draws.seek(self.draws.drawn().wrapping_add(1));
        }
    }

    /// Goes to a place in the random numbers, as [`Sampler::drawn`] gave it.
    pub fn seek(&mut self, drawn: u64) {
        self.draws.seek(drawn);
    }

    /// Chooses the next token; it is not [accepted](Sampler::accept) by this. `logits` are those of the whole vocabulary, as the
    /// model gave them; only tokens of `mask` are chosen. A choice takes one random number, none at temperature 0.
    ///
    /// # Errors
    /// NaN or plus infinity among the logits, nothing left to choose, a mask or bias for another vocabulary.
    pub fn sample(&mut self, logits: &[f32], mask: Option<&TokenMask>) -> Result<Choice, SampleError> {
        self.weigh(logits, mask)?;
        let token = if self.options.temperature == 0.0 {
            self.candidates.tokens[0]
        } else {
            self.candidates.at(self.draws.next_f64())
        };
        let logprobs = self.options.logprobs.map(|top| logprobs(logits, token, top)).transpose()?;
        Ok(Choice { token, logprobs })
    }

    /// What [`Sampler::sample`] would draw from: tokens by ascending id; the probabilities add up to 1.
    ///
    /// # Errors
    /// As [`Sampler::sample`].
    pub fn distribution(
        &mut self,
        logits: &[f32],
        mask: Option<&TokenMask>,
    ) -> Result<Vec<Candidate>, SampleError> {
        self.weigh(logits, mask)?;
        let Candidates { tokens, weights, total, .. } = &self.candidates;
        let weighed = tokens.iter().zip(weights);
        let of = |(&token, &weight)| Candidate { token, probability: f64::from(weight) / total };
        Ok(weighed.map(of).collect())
    }

    /// Runs the chain up to the draw.
    fn weigh(&mut self, logits: &[f32], mask: Option<&TokenMask>) -> Result<(), SampleError> {
        let (options, work) = (&self.options, &mut self.work);
        // Of all logits: what is masked must be a number too, or a broken model goes unnoticed under a grammar.
        let mut max = largest(logits)?;
        work.clear();
        work.extend_from_slice(logits);
        for &(token, bias) in &options.logit_bias {
            let out = SampleError::TokenOutOfRange { token, size: logits.len() };
            *work.get_mut(token as usize).ok_or(out)? += bias;
        }
        if let Some(mask) = mask {
            if mask.size() != logits.len() {
                return Err(SampleError::MaskSize { mask: mask.size(), logits: logits.len() });
            }
            mask.apply(work);
        }
        if options.penalises() {
            self.window.penalise(work, options);
        }
        if mask.is_some() || options.penalises() || !options.logit_bias.is_empty() {
            max = largest(work)?;
        }
        if options.temperature == 0.0 {
            let best = work.iter().position(|&logit| logit == max).unwrap_or(0);
            self.candidates.only(best as u32, max);
            return Ok(());
        }
        self.candidates.gather(work, max, options);
        typical(&mut self.candidates, options.typical);
        top_p(&mut self.candidates, options.top_p);
        min_p(&mut self.candidates, options.min_p);
        self.candidates.weigh(options.temperature);
        Ok(())
    }
}
