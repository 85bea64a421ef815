//! The sampler of an [`Engine`](crate::Engine)'s sequence, with a grammar if there is one.

use super::sampler::Sampler;
use crate::choose::{Choice, Choose, ChooseError, Logprob, likeliest};
use crate::grammar::Constraint;

/// Chooses by a [`Sampler`] what a [`Constraint`] allows. A sequence ends when nothing but an end may follow.
#[derive(Debug)]
pub struct Chooser {
    sampler: Sampler,
    constraint: Option<Constraint>,
    /// Where the grammar is after tokens that are only guessed.
    ahead: Option<Constraint>,
}

impl Chooser {
    /// For an answer that begins now; the tokens of the prompt are shown by the engine.
    #[must_use]
    pub fn new(sampler: Sampler, constraint: Option<Constraint>) -> Chooser {
        Chooser { sampler, constraint, ahead: None }
    }

    fn take(&mut self, token: u32) -> Result<(), ChooseError> {
        self.sampler.accept(token);
        match &mut self.constraint {
            Some(constraint) => constraint.accept(token).map_err(reason),
            None => Ok(()),
        }
    }
}

fn reason(error: impl std::fmt::Display) -> ChooseError {
    ChooseError { reason: error.to_string() }
}

impl Choose for Chooser {
    fn begin(&mut self, prompt: &[u32]) {
        prompt.iter().for_each(|&token| self.sampler.accept(token));
    }

    fn observe(&mut self, token: u32) -> Result<(), ChooseError> {
        self.sampler.skip();
        self.take(token)
    }

    fn choose(&mut self, logits: &mut [f32]) -> Result<Choice, ChooseError> {
        let mask = match &mut self.constraint {
            Some(constraint) => constraint.mask().map_err(reason)?,
            None => None,
        };
        let choice = self.sampler.sample(logits, mask).map_err(reason)?;
        self.take(choice.token)?;
        let (logprob, top) = choice.logprobs.map_or((None, Vec::new()), |given| {
            let top = given.top.iter().map(|t| Logprob { token: t.token, logprob: t.logprob });
            (Some(given.chosen.logprob), top.collect())
        });
        let stop = self.constraint.as_ref().is_some_and(Constraint::is_finished);
        Ok(Choice { token: choice.token, logprob, top, stop })
    }

    /// The likeliest token that the grammar allows. Not one that was drawn: when the model is nearly certain, which drafts pay for most, a
    /// draw from the less certain draft is the worse guess.
    fn guess(&mut self, drafted: &[u32], logits: &mut [f32]) -> Option<u32> {
        if let Some(now) = &mut self.constraint {
            let constraint = match drafted.last() {
                None => {
                    self.ahead = None;
                    now
                }
                Some(&token) => {
                    let ahead = self.ahead.get_or_insert_with(|| now.clone());
                    // What a guess can't go past is where guessing ends.
                    ahead.accept(token).ok().filter(|()| !ahead.is_finished())?;
                    ahead
                }
            };
            if let Some(mask) = constraint.mask().ok()?
                && mask.size() == logits.len()
            {
                mask.apply(logits);
            }
        }
        likeliest(logits).filter(|&token| logits.get(token as usize).is_some_and(|&x| x > f32::NEG_INFINITY))
    }
}
