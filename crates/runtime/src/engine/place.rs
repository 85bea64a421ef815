//! Who runs: sequences that wait get a row and pages, and give them up again.

use super::Engine;
use crate::error::EngineError;
use crate::event::{Event, Finish};
use crate::memory::{DraftCache, Full, Holding, Memory};
use crate::request::SequenceId;
use crate::saved::States;
use mynah_models::ModelError;
use mynah_models::language::LanguageModel;
use std::sync::Arc;

impl Engine {
    /// Lets those that wait run, the oldest first, as long as there is room. Nobody overtakes: one that needs much would wait for ever.
    pub(super) fn admit(&mut self) {
        while let Some((&id, _)) = self.sequences.iter().find(|(_, s)| s.holding.is_none()) {
            let running = self.running();
            if running >= self.options.sequences {
                return;
            }
            match self.place(id, running) {
                Ok(Ok(())) => {}
                Ok(Err(Full)) if running > 0 => return,
                Ok(Err(Full)) => self.fail_for_memory(id),
                Err(error) => self.finish(id, Finish::Failed(Arc::new(error.into()))),
            }
        }
    }

    /// Gives a sequence its states: saved ones, those of a checkpoint, or empty ones; and pages for all its tokens, besides which one
    /// must be left for each of those that run, or it would soon have to give them back.
    fn place(&mut self, id: SequenceId, running: usize) -> Result<Result<(), Full>, ModelError> {
        let Some(sequence) = self.sequences.get_mut(&id) else { return Ok(Ok(())) };
        let (model, memory) = (self.model.as_mut(), &mut self.memory);
        let tokens = sequence.tokens.len();
        let saved = sequence.saved.as_deref();
        let found = if saved.is_none() { memory.checkpoints.longest(&sequence.tokens) } else { None };
        let found = found.map(|c| c.holding.clone());
        let shared = found.as_ref().map_or(&[][..], |found| found.finished(model.page()));
        if memory.obtainable(shared) < memory.pages_of(tokens) + running {
            return Ok(Err(Full));
        }
        let drafts = (self.options.drafts > 0).then(DraftCache::default);
        let begun = match saved {
            Some(states) => put_back(model, memory, states, drafts)?,
            None => start(model, memory, found, drafts)?,
        };
        let Ok(mut holding) = begun else { return Ok(Err(Full)) };
        if memory.take_pages(model, &mut holding.pages, tokens).is_err() {
            memory.release(holding.row, holding.pages);
            return Ok(Err(Full));
        }
        if sequence.told == 0 {
            sequence.reused = holding.past.min(sequence.prompt);
        }
        sequence.saved = None;
        sequence.holding = Some(holding);
        Ok(Ok(()))
    }

    /// The page that a sequence's next token needs, if it needs one. Checkpoints give way for it, then the youngest sequence, which
    /// may be this one: false.
    pub(super) fn make_room(&mut self, id: SequenceId) -> bool {
        loop {
            let Some(sequence) = self.sequences.get_mut(&id) else { return false };
            let tokens = sequence.tokens.len();
            let Some(holding) = &mut sequence.holding else { return false };
            if self.memory.take_pages(self.model.as_mut(), &mut holding.pages, tokens).is_ok() {
                return true;
            }
            if self.running() == 1 {
                self.fail_for_memory(id);
                return false;
            }
            let youngest = self.sequences.iter().rev().find(|(_, s)| s.holding.is_some());
            if let Some((&youngest, _)) = youngest {
                self.preempt(youngest);
            }
        }
    }

    /// Takes a sequence's states away. It waits, and runs its tokens again when there is room.
    pub(super) fn preempt(&mut self, id: SequenceId) {
        if let Some(Holding { row, pages, past, .. }) =
            self.sequences.get_mut(&id).and_then(|s| s.holding.take())
        {
            tracing::debug!(sequence = id.0, past, "preempted");
            self.memory.release(row, pages);
            self.preemptions += 1;
        }
    }

    /// Ends a sequence. What it leaves is kept for those that begin alike, unless it went wrong.
    pub(super) fn finish(&mut self, id: SequenceId, reason: Finish) {
        let Some(sequence) = self.sequences.remove(&id) else { return };
        if let Some(holding) = sequence.holding {
            if matches!(reason, Finish::Failed(_)) {
                self.memory.release(holding.row, holding.pages);
            } else {
                let past = holding.past;
                self.memory.keep(holding, &sequence.tokens[..past]);
            }
        }
        self.events.push(Event::Finished { sequence: id, reason });
    }

    /// Ends a sequence that has the memory to itself, and it isn't enough.
    fn fail_for_memory(&mut self, id: SequenceId) {
        let tokens = self.sequences.get(&id).map_or(0, |s| s.tokens.len());
        let limit = self.memory.pages.limit() * self.model.page();
        let source = self.memory.refused.clone();
        self.finish(id, Finish::Failed(Arc::new(EngineError::OutOfMemory { tokens, limit, source })));
    }
}

/// A row with the states of a checkpoint, or with empty ones.
fn start(
    model: &mut dyn LanguageModel,
    memory: &mut Memory,
    checkpoint: Option<Holding>,
    drafts: Option<DraftCache>,
) -> Result<Result<Holding, Full>, ModelError> {
    if let Some(from) = checkpoint
        && let Ok(row) = memory.take_row(model, Some(from.row))
        && let Ok(holding) = memory.copy(model, row, &from, Some(from.row))?
    {
        return Ok(Ok(holding));
    }
    let Ok(row) = memory.take_row(model, None) else { return Ok(Err(Full)) };
    if let Err(error) = model.reset(row as usize) {
        memory.release(row, Vec::new());
        return Err(error);
    }
    Ok(Ok(Holding::new(row, drafts)))
}

/// A row and pages with saved states.
fn put_back(
    model: &mut dyn LanguageModel,
    memory: &mut Memory,
    states: &States,
    drafts: Option<DraftCache>,
) -> Result<Result<Holding, Full>, ModelError> {
    let Ok(row) = memory.take_row(model, None) else { return Ok(Err(Full)) };
    // Without hidden states the layer that drafts can't go on: the sequence is served without.
    let drafts = drafts.filter(|_| !states.hidden.is_empty()).map(|_| DraftCache {
        entries: states.past.saturating_sub(states.hidden.len() / model.hidden().max(1)),
        hidden: states.hidden.clone(),
    });
    let mut holding = Holding { past: states.past, ..Holding::new(row, drafts) };
    let mut put = || {
        model.write_row(row as usize, &states.row)?;
        for contents in states.pages.chunks((model.state_bytes().saved_page / 4).max(1)) {
            let Ok(page) = memory.take_page(model, None) else { return Ok(Err(Full)) };
            holding.pages.push(page);
            model.write_page(page, contents)?;
        }
        Ok(Ok(()))
    };
    match put() {
        Ok(Ok(())) => Ok(Ok(holding)),
        other => {
            memory.release(row, holding.pages);
            other.map(|full| full.and(Err(Full)))
        }
    }
}
