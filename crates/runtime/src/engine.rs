//! Serves any number of sequences on one model.

use crate::choose::Choose;
use crate::error::EngineError;
use crate::event::Event;
use crate::options::EngineOptions;
use crate::request::{Request, SequenceId};
use crate::saved::SavedSequence;
use mynah_models::language::LanguageModel;

/// What an engine holds at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sequences that run.
    pub running: usize,
    /// Sequences that wait to run.
    pub waiting: usize,
    /// Pages in use, and pages there may be.
    pub pages: [usize; 2],
    /// Checkpoints kept.
    pub checkpoints: usize,
    /// How often a sequence had to give its states up for an older one.
    pub preemptions: u64,
}

/// A model and the sequences on it.
pub struct Engine {
    model: Box<dyn LanguageModel>,
    options: EngineOptions,
}

impl Engine {
    /// An engine that owns `model`.
    ///
    /// # Errors
    /// [`EngineError::Option`].
    pub fn new(model: Box<dyn LanguageModel>, options: EngineOptions) -> Result<Self, EngineError> {
        options.check()?;
        Ok(Self { model, options })
    }

    /// The model.
    pub fn model(&self) -> &dyn LanguageModel {
        self.model.as_ref()
    }

    /// The model, for profiles and dumps; whoever steps it here spoils the sequences.
    pub fn model_mut(&mut self) -> &mut dyn LanguageModel {
        self.model.as_mut()
    }

    /// Tokens of the longest sequence: by the model, by the options, and by the pages there may be.
    pub fn context(&self) -> usize {
        self.options.context.unwrap_or(usize::MAX).min(self.model.context())
    }

    /// What it holds.
    pub fn usage(&self) -> Usage {
        Usage::default()
    }

    /// Whether nothing runs, waits or is to be told.
    pub fn is_idle(&self) -> bool {
        true
    }

    /// Takes a request; it runs from the next step on, or when others make room.
    ///
    /// # Errors
    /// [`EngineError::EmptyPrompt`], [`EngineError::Token`], [`EngineError::Context`].
    pub fn submit(&mut self, request: Request) -> Result<SequenceId, EngineError> {
        drop(request);
        Err(EngineError::EmptyPrompt)
    }

    /// Goes on by a token with each sequence whose prompt is in, and by a piece with a prompt that is not; tells what came of it.
    pub fn step(&mut self) -> Vec<Event> {
        Vec::new()
    }

    /// Ends a sequence; the next step tells so. False if there is none.
    pub fn cancel(&mut self, sequence: SequenceId) -> bool {
        let _ = sequence;
        false
    }

    /// The tokens of a sequence that waits or runs: the prompt, then what was chosen.
    pub fn tokens(&self, sequence: SequenceId) -> Option<&[u32]> {
        let _ = sequence;
        None
    }

    /// Another sequence that goes on from where one is, with a chooser of its own.
    ///
    /// # Errors
    /// [`EngineError::NoSequence`], or what the chooser says to the tokens so far.
    pub fn fork(
        &mut self,
        sequence: SequenceId,
        chooser: Box<dyn Choose>,
    ) -> Result<SequenceId, EngineError> {
        drop(chooser);
        Err(EngineError::NoSequence(sequence))
    }

    /// Copies a sequence out; it goes on.
    ///
    /// # Errors
    /// [`EngineError::NoSequence`], or what reading the states reports.
    pub fn save(&mut self, sequence: SequenceId) -> Result<SavedSequence, EngineError> {
        Err(EngineError::NoSequence(sequence))
    }

    /// A sequence that goes on from a saved one, with a chooser that is shown its tokens.
    ///
    /// # Errors
    /// [`EngineError::Saved`] for one of another model or that doesn't fit; what the chooser says to the tokens so far.
    pub fn restore(
        &mut self,
        saved: SavedSequence,
        chooser: Box<dyn Choose>,
    ) -> Result<SequenceId, EngineError> {
        drop((saved, chooser));
        Err(EngineError::EmptyPrompt)
    }

    /// Runs tokens from an empty state and hands over the logits `[vocabulary]` after each, from that of token `from` on: what
    /// perplexity needs. Nothing is kept.
    ///
    /// # Errors
    /// As [`Engine::submit`], or what running the model reports.
    pub fn evaluate(
        &mut self,
        tokens: &[u32],
        from: usize,
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), EngineError> {
        let _ = (tokens, from, each);
        Ok(())
    }

    /// Forgets what was kept for prompts that begin alike.
    pub fn clear_checkpoints(&mut self) {}
}
