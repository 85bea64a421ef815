//! Serves any number of sequences on one model.
//!
//! Sequences are served in the order of their numbers. The oldest are admitted first, and when pages run out the youngest gives its states
//! up and waits, so the oldest always gets on and everybody's turn comes.

mod cuts;
mod drafts;
mod evaluate;
mod place;
mod steps;

use crate::choose::Choose;
use crate::error::EngineError;
use crate::event::{Event, Finish};
use crate::memory::Memory;
use crate::options::EngineOptions;
use crate::request::{Request, SequenceId};
use crate::saved::{SavedSequence, States};
use crate::sequence::Sequence;
use mynah_models::language::LanguageModel;
use std::collections::BTreeMap;

/// What an engine holds at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sequences that run.
    pub running: usize,
    /// Sequences that wait to run.
    pub waiting: usize,
    /// Pages of sequences and checkpoints.
    pub pages: usize,
    /// Pages there may be.
    pub pages_limit: usize,
    /// Rows of sequences and checkpoints.
    pub rows: usize,
    /// Checkpoints kept.
    pub checkpoints: usize,
    /// How often a sequence had to give its states up for an older one.
    pub preemptions: u64,
    /// Tokens that were drafted.
    pub drafted: u64,
    /// Of them, those that were right.
    pub accepted: u64,
}

/// A model and the sequences on it.
pub struct Engine {
    model: Box<dyn LanguageModel>,
    options: EngineOptions,
    context: usize,
    memory: Memory,
    sequences: BTreeMap<SequenceId, Sequence>,
    next: u64,
    /// What the next step tells first.
    events: Vec<Event>,
    preemptions: u64,
    drafted: u64,
    accepted: u64,
    /// Logits a chooser may write on.
    logits: Vec<f32>,
}

impl Engine {
    /// An engine that owns `model`.
    ///
    /// # Errors
    /// [`EngineError::Option`].
    pub fn new(model: Box<dyn LanguageModel>, mut options: EngineOptions) -> Result<Self, EngineError> {
        options.check()?;
        let most = model.drafts();
        if options.drafts > most {
            let reason =
                if most == 0 { "nothing in the model drafts" } else { "its states can't go back so far" };
            return Err(EngineError::Option { option: "drafts", found: options.drafts, reason });
        }
        let page = model.page().max(1);
        if options.chunk > page {
            options.chunk -= options.chunk % page;
        }
        let memory = Memory::new(&options, model.as_ref());
        let paged = memory.pages.limit().saturating_mul(page);
        let context = options.context.unwrap_or(usize::MAX).min(model.context()).min(paged);
        Ok(Self {
            model,
            options,
            context,
            memory,
            sequences: BTreeMap::new(),
            next: 0,
            events: Vec::new(),
            preemptions: 0,
            drafted: 0,
            accepted: 0,
            logits: Vec::new(),
        })
    }

    /// The model.
    pub fn model(&self) -> &dyn LanguageModel {
        self.model.as_ref()
    }

    /// The model, for profiles and dumps; whoever steps it here spoils the sequences.
    pub fn model_mut(&mut self) -> &mut dyn LanguageModel {
        self.model.as_mut()
    }

    /// The model again; what there is of sequences goes.
    pub fn into_model(self) -> Box<dyn LanguageModel> {
        self.model
    }

    /// Tokens of the longest sequence: by the model, by the options, and by the pages there may be.
    pub fn context(&self) -> usize {
        self.context
    }

    /// What it holds.
    pub fn usage(&self) -> Usage {
        let running = self.running();
        Usage {
            running,
            waiting: self.sequences.len() - running,
            pages: self.memory.pages.used(),
            pages_limit: self.memory.pages.limit(),
            rows: self.memory.rows.used(),
            checkpoints: self.memory.checkpoints.len(),
            preemptions: self.preemptions,
            drafted: self.drafted,
            accepted: self.accepted,
        }
    }

    fn running(&self) -> usize {
        self.sequences.values().filter(|s| s.holding.is_some()).count()
    }

    /// Whether nothing runs, waits or is to be told.
    pub fn is_idle(&self) -> bool {
        self.sequences.is_empty() && self.events.is_empty()
    }

    /// Takes a request; it runs from the next step on, or when others make room.
    ///
    /// # Errors
    /// [`EngineError::EmptyPrompt`], [`EngineError::Token`], [`EngineError::Context`].
    pub fn submit(&mut self, request: Request) -> Result<SequenceId, EngineError> {
        let answer = usize::from(request.max_tokens != Some(0));
        self.check(&request.prompt, answer)?;
        Ok(self.add(Sequence::new(request)))
    }

    /// Whether tokens can be run with so many to follow.
    fn check(&self, tokens: &[u32], more: usize) -> Result<(), EngineError> {
        if tokens.is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        let vocabulary = self.model.vocabulary();
        if let Some(&token) = tokens.iter().find(|&&t| t as usize >= vocabulary) {
            return Err(EngineError::Token { token, vocabulary });
        }
        let (prompt, context) = (tokens.len(), self.context());
        if prompt + more > context {
            return Err(EngineError::Context { prompt, context });
        }
        Ok(())
    }

    fn add(&mut self, sequence: Sequence) -> SequenceId {
        let id = SequenceId(self.next);
        self.next += 1;
        self.sequences.insert(id, sequence);
        id
    }

    /// Goes on by a token with each sequence whose prompt is in, and by a piece with a prompt that is not; tells what came of it.
    pub fn step(&mut self) -> Vec<Event> {
        self.admit();
        self.decode();
        self.prefill();
        std::mem::take(&mut self.events)
    }

    /// Ends a sequence; the next step tells so. False if there is none.
    pub fn cancel(&mut self, sequence: SequenceId) -> bool {
        let there = self.sequences.contains_key(&sequence);
        if there {
            self.finish(sequence, Finish::Cancelled);
        }
        there
    }

    /// The tokens of a sequence that waits or runs: the prompt, then what was chosen.
    pub fn tokens(&self, sequence: SequenceId) -> Option<&[u32]> {
        self.sequences.get(&sequence).map(|s| s.tokens.as_slice())
    }

    /// Another sequence that goes on from where one is, with a chooser of its own. With a checkpoint to spare nothing is computed again.
    ///
    /// # Errors
    /// [`EngineError::NoSequence`], what the chooser says to the tokens so far, or what copying the states reports.
    pub fn fork(
        &mut self,
        sequence: SequenceId,
        chooser: Box<dyn Choose>,
    ) -> Result<SequenceId, EngineError> {
        let first = self.sequences.get(&sequence).ok_or(EngineError::NoSequence(sequence))?;
        let (prompt, chosen) = first.tokens.split_at(first.prompt);
        let request = Request {
            prompt: prompt.to_vec(),
            max_tokens: first.max_tokens,
            ends: first.ends.clone(),
            chooser,
        };
        let second = Sequence::resumed(request, chosen)?;
        if let Some(holding) = &first.holding {
            let tokens = &first.tokens[..holding.past];
            self.memory.checkpoint(self.model.as_mut(), holding, tokens)?;
        }
        Ok(self.add(second))
    }

    /// Copies a sequence out; it goes on.
    ///
    /// # Errors
    /// [`EngineError::NoSequence`], or what reading the states reports.
    pub fn save(&mut self, sequence: SequenceId) -> Result<SavedSequence, EngineError> {
        let found = self.sequences.get(&sequence).ok_or(EngineError::NoSequence(sequence))?;
        let mut states = States::default();
        match (&found.holding, &found.saved) {
            (Some(holding), _) if holding.past > 0 => {
                states.past = holding.past;
                states.row = self.model.read_row(holding.row as usize, holding.snapshot)?;
                states.hidden = holding.drafts.as_ref().map_or_else(Vec::new, |d| d.hidden.clone());
                for &page in holding.pages.iter().take(self.memory.pages_of(holding.past)) {
                    states.pages.extend(self.model.read_page(page)?);
                }
            }
            (None, Some(saved)) => states = saved.as_ref().clone(),
            _ => {}
        }
        Ok(SavedSequence {
            identity: self.model.identity(),
            tokens: found.tokens.clone(),
            prompt: found.prompt,
            max_tokens: found.max_tokens,
            ends: found.ends.clone(),
            states,
        })
    }

    /// A sequence that goes on from a saved one, with a chooser that is shown its tokens.
    ///
    /// # Errors
    /// [`EngineError::Saved`] for one of another model or that is not whole, [`EngineError::Context`], what the chooser says to the tokens
    /// so far.
    pub fn restore(
        &mut self,
        saved: SavedSequence,
        chooser: Box<dyn Choose>,
    ) -> Result<SequenceId, EngineError> {
        saved.check(self.model.as_ref())?;
        self.check(&saved.tokens, usize::from(saved.max_tokens != Some(0)))?;
        let SavedSequence { tokens, prompt, max_tokens, ends, states, .. } = saved;
        let (prompt, chosen) = tokens.split_at(prompt);
        let request = Request { prompt: prompt.to_vec(), max_tokens, ends, chooser };
        let mut sequence = Sequence::resumed(request, chosen)?;
        sequence.saved = (states.past > 0).then(|| Box::new(states));
        Ok(self.add(sequence))
    }

    /// Forgets what was kept for prompts that begin alike.
    pub fn clear_checkpoints(&mut self) {
        while self.memory.evict(None) {}
    }
}
