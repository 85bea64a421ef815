//! What runs: a token for each sequence that answers, a piece of a prompt for one that doesn't yet.
//!
//! These are two steps of the model, since pieces in one step are padded to the longest. Prompts of like length share a step.

use super::Engine;
use super::cuts::Cuts;
use crate::event::{Event, Finish};
use crate::request::SequenceId;
use mynah_models::language::{Piece, Wanted};
use std::sync::Arc;

/// A sequence's part of a step: tokens up to this one.
type Part = (SequenceId, usize);

impl Engine {
    /// Goes on by a token with all sequences of which only the last token isn't in the states.
    pub(super) fn decode(&mut self) {
        let answers: Vec<SequenceId> = self.running_with(|pending| pending == 1);
        for &id in &answers {
            self.make_room(id);
        }
        // Those for which others made room are no longer among those that run.
        let parts = answers.into_iter().filter_map(|id| {
            let sequence = self.sequences.get(&id)?;
            sequence.holding.as_ref().map(|_| (id, sequence.tokens.len()))
        });
        let parts: Vec<Part> = parts.collect();
        self.run(&parts);
    }

    /// Takes a piece of the oldest prompt that is not in, and of others if they are hardly shorter.
    pub(super) fn prefill(&mut self) {
        let cuts = Cuts::new(&self.options, self.model.page());
        let mut parts: Vec<Part> = Vec::new();
        let (mut longest, mut sum) = (0, 0);
        for id in self.running_with(|pending| pending > 1) {
            let Some(sequence) = self.sequences.get(&id) else { continue };
            let past = sequence.past();
            let end = cuts.end(past, sequence.tokens.len(), sequence.prompt);
            let (length, count) = (end - past, parts.len() + 1);
            let padded = count * longest.max(length);
            let joins = padded <= self.options.chunk && sum + length >= padded / 4 * 3;
            if parts.is_empty() || joins {
                parts.push((id, end));
                (longest, sum) = (longest.max(length), sum + length);
            }
        }
        self.run(&parts);
        for (id, past) in parts {
            self.keep_beginning(id, past, cuts);
        }
    }

    /// Those that run, by how many of their tokens aren't in the states yet; the oldest first.
    fn running_with(&self, pending: impl Fn(usize) -> bool) -> Vec<SequenceId> {
        let all = self.sequences.iter();
        all.filter(|(_, s)| s.holding.is_some() && pending(s.pending())).map(|(&id, _)| id).collect()
    }

    /// Takes a step of the model, and lets those whose tokens are all in choose the next.
    fn run(&mut self, parts: &[Part]) {
        let mut pieces = Vec::with_capacity(parts.len());
        for (id, end) in parts {
            let Some(sequence) = self.sequences.get(id) else { continue };
            let Some(holding) = &sequence.holding else { continue };
            let whole = *end == sequence.tokens.len();
            pieces.push(Piece {
                row: holding.row as usize,
                pages: &holding.pages[..self.memory.pages_of(*end)],
                past: holding.past,
                snapshot: 0,
                tokens: &sequence.tokens[holding.past..*end],
                wanted: if whole { Wanted::Last } else { Wanted::None },
            });
        }
        if pieces.is_empty() {
            return;
        }
        let (vocabulary, context) = (self.model.vocabulary(), self.context());
        let mut logits = match self.model.step(&pieces) {
            Ok(logits) => logits,
            Err(error) => {
                // What the step left in the states of those that took part is unknown.
                let error = Arc::new(error.into());
                for (id, _) in parts {
                    self.finish(*id, Finish::Failed(Arc::clone(&error)));
                }
                return;
            }
        };
        let mut over = Vec::new();
        for &(id, end) in parts {
            let Some(sequence) = self.sequences.get_mut(&id) else { continue };
            if let Some(holding) = &mut sequence.holding {
                holding.past = end;
            }
            if end > sequence.told && sequence.told < sequence.prompt {
                sequence.told = end.min(sequence.prompt);
                let (done, reused, of) = (sequence.told, sequence.reused, sequence.prompt);
                self.events.push(Event::Prompt { sequence: id, done, reused, of });
            }
            if end < sequence.tokens.len() {
                continue;
            }
            let (own, others) = logits.split_at(vocabulary.min(logits.len()));
            logits = others;
            self.logits.clear();
            self.logits.extend_from_slice(own);
            if let Some(reason) = sequence.choose(id, &mut self.logits, context, &mut self.events) {
                over.push((id, reason));
            }
        }
        for (id, reason) in over {
            self.finish(id, reason);
        }
    }

    /// Makes a checkpoint of a prompt's beginning, where one is worth having.
    fn keep_beginning(&mut self, id: SequenceId, past: usize, cuts: Cuts) {
        let Some(sequence) = self.sequences.get(&id) else { return };
        let Some(holding) = sequence.holding.as_ref().filter(|h| h.past == past) else { return };
        if !cuts.keeps(past, sequence.prompt) {
            return;
        }
        let tokens = &sequence.tokens[..past];
        if let Err(error) = self.memory.checkpoint(self.model.as_mut(), holding, tokens) {
            self.finish(id, Finish::Failed(Arc::new(error.into())));
        }
    }
}
