//! What runs: a token for each sequence that answers, a piece of a prompt for one that doesn't yet.
//!
//! These are two steps of the model, since pieces in one step are padded to the longest. Prompts of like length share a step.

use super::Engine;
use super::cuts::Cuts;
use crate::event::{Event, Finish};
use crate::request::SequenceId;
use mynah_models::language::{Piece, Wanted};
use std::sync::Arc;

/// A sequence's part of a step.
pub(super) struct Part {
    pub(super) id: SequenceId,
    /// Its tokens up to this one are run.
    end: usize,
    /// Guesses at those that follow, which are run as well.
    pub(super) drafted: Vec<u32>,
}

impl Part {
    fn new(id: SequenceId, end: usize) -> Self {
        Self { id, end, drafted: Vec::new() }
    }
}

impl Engine {
    /// Goes on by a token, and by as many more as were drafted right, with all sequences of which only the last token isn't in the states.
    pub(super) fn decode(&mut self) {
        let answers: Vec<SequenceId> = self.running_with(|pending| pending == 1);
        for &id in &answers {
            self.make_room(id);
        }
        // Those for which others made room are no longer among those that run.
        let parts = answers.into_iter().filter_map(|id| {
            let sequence = self.sequences.get(&id)?;
            sequence.holding.as_ref().map(|_| Part::new(id, sequence.tokens.len()))
        });
        let mut parts: Vec<Part> = parts.collect();
        self.draft(&mut parts);
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
                parts.push(Part::new(id, end));
                (longest, sum) = (longest.max(length), sum + length);
            }
        }
        self.run(&parts);
        for Part { id, end, .. } in parts {
            self.keep_beginning(id, end, cuts);
        }
    }

    /// Those that run, by how many of their tokens aren't in the states yet; the oldest first.
    fn running_with(&self, pending: impl Fn(usize) -> bool) -> Vec<SequenceId> {
        let all = self.sequences.iter();
        all.filter(|(_, s)| s.holding.is_some() && pending(s.pending())).map(|(&id, _)| id).collect()
    }

    /// Takes a step of the model, and lets those whose tokens are all in choose the next.
    fn run(&mut self, parts: &[Part]) {
        let drafts = self.options.drafts > 0;
        // What is drafted stands behind tokens that are there; others are where they are.
        let fed = |part: &Part| {
            let sequence = self.sequences.get(&part.id)?;
            let past = sequence.holding.as_ref()?.past;
            let tokens = sequence.tokens.get(past..part.end)?;
            Some([tokens, &part.drafted].concat())
        };
        let fed: Vec<(&Part, Vec<u32>)> = parts.iter().filter_map(|part| Some((part, fed(part)?))).collect();
        let mut pieces = Vec::with_capacity(fed.len());
        for (part, tokens) in &fed {
            let Some(sequence) = self.sequences.get(&part.id) else { continue };
            let Some(holding) = &sequence.holding else { continue };
            let whole = part.end == sequence.tokens.len();
            let filled = self.memory.pages_of(holding.past + tokens.len()).min(holding.pages.len());
            pieces.push(Piece {
                row: holding.row as usize,
                pages: &holding.pages[..filled],
                past: holding.past,
                snapshot: holding.snapshot,
                tokens,
                wanted: match (whole, part.drafted.is_empty()) {
                    (false, _) => Wanted::None,
                    (true, true) => Wanted::Last,
                    (true, false) => Wanted::All,
                },
            });
        }
        if pieces.is_empty() {
            return;
        }
        let mut logits = std::mem::take(&mut self.logits);
        let stepped = if drafts {
            self.model.step_with_hidden(&pieces).map(|found| {
                logits = found.logits;
                found.hidden
            })
        } else {
            self.model.step(&pieces).map(|found| {
                logits.clear();
                logits.extend_from_slice(found);
                Vec::new()
            })
        };
        let ids: Vec<SequenceId> = fed.iter().map(|(part, _)| part.id).collect();
        let hidden = match stepped {
            Ok(hidden) => hidden,
            Err(error) => return self.fail(ids, error),
        };
        self.take_in(&fed, &hidden);
        if drafts && let Err(error) = self.catch_up(&self.with_prompts(&fed)) {
            return self.fail(ids, error);
        }
        let vocabulary = self.model.vocabulary().max(1);
        let mut rows = logits.chunks_exact_mut(vocabulary);
        let mut over = Vec::new();
        for (part, _) in &fed {
            self.tell_prompt(part);
            if let Some(reason) = self.choose(part, &mut rows) {
                over.push((part.id, reason));
            }
        }
        for (id, reason) in over {
            self.finish(id, reason);
        }
        self.logits = logits;
    }

    /// Takes note of what a step has put into the states: the tokens, and the hidden states of all that was run, `[tokens, hidden]`.
    fn take_in(&mut self, fed: &[(&Part, Vec<u32>)], mut hidden: &[f32]) {
        let width = self.model.hidden();
        for (part, tokens) in fed {
            let (own, others) = hidden.split_at((tokens.len() * width).min(hidden.len()));
            hidden = others;
            let found = self.sequences.get_mut(&part.id).and_then(|s| s.holding.as_mut());
            let Some(holding) = found else { continue };
            (holding.past, holding.snapshot) = (holding.past + tokens.len(), 0);
            if let Some(cache) = &mut holding.drafts {
                cache.hidden.extend_from_slice(own);
            }
        }
    }

    /// Those of which more than a token was known; only a prompt's hidden states are too many to wait for the next draft.
    fn with_prompts(&self, fed: &[(&Part, Vec<u32>)]) -> Vec<SequenceId> {
        let prompts = fed.iter().filter(|(part, tokens)| tokens.len() > 1 + part.drafted.len());
        prompts.map(|(part, _)| part.id).collect()
    }

    /// Tells how far a prompt is.
    fn tell_prompt(&mut self, part: &Part) {
        let Some(sequence) = self.sequences.get_mut(&part.id) else { return };
        if part.end > sequence.told && sequence.told < sequence.prompt {
            sequence.told = part.end.min(sequence.prompt);
            let (done, reused, of) = (sequence.told, sequence.reused, sequence.prompt);
            self.events.push(Event::Prompt { sequence: part.id, done, reused, of });
        }
    }

    /// Chooses the token after those of a part, and as many more as were drafted right; what was drafted wrong is taken back.
    fn choose<'a>(&mut self, part: &Part, rows: &mut impl Iterator<Item = &'a mut [f32]>) -> Option<Finish> {
        let (id, context) = (part.id, self.context);
        let sequence = self.sequences.get_mut(&id)?;
        if part.end < sequence.tokens.len() {
            return None;
        }
        let drafted = part.drafted.len();
        let (mut over, mut accepted, mut differs) = (None, 0, false);
        // The rest of the rows are passed over, not left to the next sequence.
        for (at, logits) in rows.take(1 + drafted).enumerate() {
            if over.is_some() || differs {
                continue;
            }
            let said = sequence.tokens.len();
            over = sequence.choose(id, logits, context, &mut self.events);
            let chosen = sequence.tokens.get(said);
            differs = chosen.is_none() || chosen != part.drafted.get(at);
            accepted += usize::from(!differs);
        }
        // A drafted token that ended the sequence was chosen, and is in the states all the same; what `past` counts was run before it.
        let wrong = drafted - accepted;
        if let Some(holding) = &mut sequence.holding {
            let width = self.model.hidden();
            (holding.past, holding.snapshot) = (holding.past - wrong, wrong);
            if let Some(cache) = &mut holding.drafts {
                cache.hidden.truncate(cache.hidden.len().saturating_sub(wrong * width));
            }
        }
        if drafted > 0 {
            self.drafted += drafted as u64;
            self.accepted += accepted as u64;
            self.events.push(Event::Drafted { sequence: id, drafted, accepted });
        }
        over
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
