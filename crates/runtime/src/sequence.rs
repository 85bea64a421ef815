//! A sequence of an engine: its tokens, what it wants, and what it holds while it runs.

use crate::choose::{Choose, ChooseError};
use crate::error::EngineError;
use crate::event::{Event, Finish};
use crate::memory::Holding;
use crate::request::{Request, SequenceId};
use crate::saved::States;
use std::sync::Arc;

/// A sequence that waits or runs.
pub(crate) struct Sequence {
    /// Those given and those chosen.
    pub(crate) tokens: Vec<u32>,
    /// How many were given.
    pub(crate) prompt: usize,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) ends: Vec<u32>,
    chooser: Box<dyn Choose>,
    /// `None` while it waits.
    pub(crate) holding: Option<Holding>,
    /// States to begin with, from a file.
    pub(crate) saved: Option<Box<States>>,
    /// Tokens of the prompt that were found in a checkpoint, the first time it ran.
    pub(crate) reused: usize,
    /// How far the prompt was told to be.
    pub(crate) told: usize,
}

impl Sequence {
    /// A request as a sequence that waits.
    pub(crate) fn new(request: Request) -> Self {
        let Request { prompt: tokens, max_tokens, ends, mut chooser } = request;
        chooser.begin(&tokens);
        let prompt = tokens.len();
        Self { tokens, prompt, max_tokens, ends, chooser, holding: None, saved: None, reused: 0, told: 0 }
    }

    /// A sequence that goes on behind tokens that were chosen already.
    pub(crate) fn resumed(request: Request, chosen: &[u32]) -> Result<Self, ChooseError> {
        let mut sequence = Self::new(request);
        for &token in chosen {
            sequence.chooser.observe(token)?;
            sequence.tokens.push(token);
        }
        if !chosen.is_empty() {
            sequence.told = sequence.prompt;
        }
        Ok(sequence)
    }

    /// Tokens that are not in the states yet.
    pub(crate) fn pending(&self) -> usize {
        self.tokens.len() - self.past()
    }

    /// Tokens that are in the states.
    pub(crate) fn past(&self) -> usize {
        self.holding.as_ref().map_or(0, |h| h.past)
    }

    /// A guess at the token after those `drafted`, by a draft's logits; none of a token that would end the sequence, which is as well chosen
    /// without a guess.
    pub(crate) fn guess(&mut self, drafted: &[u32], logits: &mut [f32]) -> Option<u32> {
        let vocabulary = logits.len();
        let token = self.chooser.guess(drafted, logits)?;
        ((token as usize) < vocabulary && !self.ends.contains(&token)).then_some(token)
    }

    /// Goes on by a token: all that are known are in the states, and these are the logits of the last. `Some` when it is over.
    pub(crate) fn choose(
        &mut self,
        id: SequenceId,
        logits: &mut [f32],
        context: usize,
        events: &mut Vec<Event>,
    ) -> Option<Finish> {
        let wanted = self.max_tokens.unwrap_or(usize::MAX);
        if self.tokens.len() - self.prompt >= wanted {
            return Some(Finish::Length);
        }
        let choice = match self.chooser.choose(logits) {
            Ok(choice) if (choice.token as usize) < logits.len() => choice,
            Ok(choice) => {
                let error = EngineError::Token { token: choice.token, vocabulary: logits.len() };
                return Some(Finish::Failed(Arc::new(error)));
            }
            Err(error) => return Some(Finish::Failed(Arc::new(error.into()))),
        };
        if self.ends.contains(&choice.token) {
            return Some(Finish::End);
        }
        let stop = choice.stop;
        self.tokens.push(choice.token);
        events.push(Event::Token { sequence: id, choice });
        if stop {
            Some(Finish::Stop)
        } else if self.tokens.len() - self.prompt >= wanted {
            Some(Finish::Length)
        } else {
            (self.tokens.len() >= context).then_some(Finish::Context)
        }
    }
}
