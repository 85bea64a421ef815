//! Speculative decoding: a layer of the model drafts the tokens that come next, and one step of the model holds them against what it
//! says itself.
//!
//! ```text
//! hidden states, tokens ─► layer that drafts ─► guesses ─► step of all of them ─► choose, choose, … up to the first that differs
//! ```
//!
//! Each token is chosen by the chooser from the model's own logits after the tokens before it, with the random number that is its turn, so
//! the tokens are the very same as without drafts; a draft only decides how many are found in one step. (With draws compared instead of
//! probabilities the guess need not be drawn: Leviathan et al. 2023 accept a drawn one with min(1, p/q), here a guess is right as often as
//! the model draws it.) Recurrent states go back to the last right token by their snapshots, keys and values are written over.

use super::Engine;
use super::steps::Part;
use crate::event::Finish;
use crate::request::SequenceId;
use mynah_models::ModelError;
use mynah_models::language::{Continuation, Wanted};
use std::sync::Arc;

/// A sequence for which tokens are drafted.
struct Draft {
    id: SequenceId,
    /// Which part of the step is its own.
    part: usize,
    /// Tokens that may be drafted.
    most: usize,
    /// Entries of the layer, those of drafts among them.
    entries: usize,
    /// What the layer is shown next: tokens, and the hidden states before them.
    tokens: Vec<u32>,
    hidden: Vec<f32>,
    pages: Vec<u32>,
}

impl Engine {
    /// Drafts what comes after the token that each of these sequences has to go on from.
    pub(super) fn draft(&mut self, parts: &mut [Part]) {
        if self.options.drafts == 0 {
            return;
        }
        let mut drafts: Vec<Draft> =
            parts.iter().enumerate().filter_map(|(at, part)| self.begin_draft(at, part.id)).collect();
        let mut first = true;
        while !drafts.is_empty() {
            if let Err(error) = self.draft_once(&mut drafts, parts) {
                return self.fail(drafts.iter().map(|draft| draft.id).collect(), error);
            }
            if first {
                // Entries of tokens that are in the states stay; what comes after them is guesswork, and written over.
                for draft in &drafts {
                    let found = self.sequences.get_mut(&draft.id).and_then(|s| s.holding.as_mut());
                    if let Some(cache) = found.and_then(|holding| holding.drafts.as_mut()) {
                        cache.entries = draft.entries;
                        cache.hidden.clear();
                    }
                }
                first = false;
            }
            drafts.retain(|draft| draft.most > 0);
        }
    }

    /// What the layer is shown of a sequence, if it is worth drafting for: at least one guess must be of use, and fit into the context
    /// and into pages that nobody else wants.
    fn begin_draft(&mut self, part: usize, id: SequenceId) -> Option<Draft> {
        let context = self.context;
        let sequence = self.sequences.get_mut(&id)?;
        let tokens = sequence.tokens.len();
        let said = tokens - sequence.prompt;
        let left = sequence.max_tokens.map_or(usize::MAX, |most| most.saturating_sub(said));
        let most = self.options.drafts.min(left.saturating_sub(1)).min(context.saturating_sub(tokens));
        let holding = sequence.holding.as_mut()?;
        let cache = holding.drafts.as_ref().filter(|cache| !cache.hidden.is_empty())?;
        let shown = sequence.tokens.get(cache.entries + 1..)?.to_vec();
        let (entries, hidden) = (cache.entries, cache.hidden.clone());
        if most == 0 {
            return None;
        }
        let room = self.memory.take_spare(self.model.as_mut(), &mut holding.pages, tokens + most);
        let most = most.min(room.saturating_sub(tokens));
        let pages = holding.pages.clone();
        (most > 0).then_some(Draft { id, part, most, entries, tokens: shown, hidden, pages })
    }

    /// One more guess for each. Those for which there is none more to make are left with nothing to do.
    fn draft_once(&mut self, drafts: &mut [Draft], parts: &mut [Part]) -> Result<(), ModelError> {
        let shown: Vec<Continuation<'_>> = drafts
            .iter()
            .map(|draft| Continuation {
                pages: &draft.pages,
                past: draft.entries,
                tokens: &draft.tokens,
                hidden: &draft.hidden,
                wanted: Wanted::Last,
            })
            .collect();
        let mut found = self.model.draft(&shown)?;
        let (vocabulary, width) = (self.model.vocabulary().max(1), self.model.hidden());
        let mut hidden = found.hidden.as_slice();
        for (draft, logits) in drafts.iter_mut().zip(found.logits.chunks_exact_mut(vocabulary)) {
            let (own, others) = hidden.split_at((draft.tokens.len() * width).min(hidden.len()));
            hidden = others;
            draft.entries += draft.tokens.len();
            draft.most -= 1;
            let (Some(part), Some(sequence)) = (parts.get_mut(draft.part), self.sequences.get_mut(&draft.id))
            else {
                continue;
            };
            match sequence.guess(&part.drafted, logits) {
                Some(token) => {
                    part.drafted.push(token);
                    draft.tokens = vec![token];
                    draft.hidden = own[own.len().saturating_sub(width)..].to_vec();
                }
                None => draft.most = 0,
            }
        }
        Ok(())
    }

    /// Shows the layer that drafts what these sequences have taken in, but the last token, whose entry waits for the one after it.
    pub(super) fn catch_up(&mut self, ids: &[SequenceId]) -> Result<(), ModelError> {
        let width = self.model.hidden().max(1);
        let mut shown = Vec::new();
        for id in ids {
            let Some(sequence) = self.sequences.get(id) else { continue };
            let Some(holding) = &sequence.holding else { continue };
            let Some(cache) = holding.drafts.as_ref().filter(|cache| cache.hidden.len() > width) else {
                continue;
            };
            shown.push(Continuation {
                pages: &holding.pages[..self.memory.pages_of(holding.past).min(holding.pages.len())],
                past: cache.entries,
                tokens: sequence.tokens.get(cache.entries + 1..holding.past).unwrap_or(&[]),
                hidden: &cache.hidden[..cache.hidden.len() - width],
                wanted: Wanted::None,
            });
        }
        if shown.is_empty() {
            return Ok(());
        }
        self.model.draft(&shown)?;
        for id in ids {
            let found = self.sequences.get_mut(id).and_then(|s| s.holding.as_mut());
            if let Some(cache) = found.and_then(|holding| holding.drafts.as_mut())
                && let Some(known) = cache.hidden.len().checked_sub(width)
            {
                cache.entries += known / width;
                cache.hidden.drain(..known);
            }
        }
        Ok(())
    }

    /// Ends sequences whose step failed: what it left in their states is unknown.
    pub(super) fn fail(&mut self, ids: Vec<SequenceId>, error: ModelError) {
        let error = Arc::new(error.into());
        for id in ids {
            self.finish(id, Finish::Failed(Arc::clone(&error)));
        }
    }
}
