//! Logits of given tokens, for perplexity.

use super::Engine;
use crate::error::EngineError;
use crate::memory::Holding;
use mynah_models::language::{Piece, Wanted};

/// Tokens whose logits are computed at a time: those of a large vocabulary take a megabyte each.
const TOGETHER: usize = 64;

impl Engine {
    /// Runs tokens from an empty state and hands over the logits `[vocabulary]` after each, from that of token `from` on: what
    /// perplexity needs. Nothing is kept; checkpoints and sequences that run make room if they must.
    ///
    /// # Errors
    /// [`EngineError::EmptyPrompt`], [`EngineError::Token`], [`EngineError::Context`], [`EngineError::OutOfMemory`], or what running the
    /// model reports.
    pub fn evaluate(
        &mut self,
        tokens: &[u32],
        from: usize,
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), EngineError> {
        self.check(tokens, 0)?;
        let mut pages = Vec::new();
        let row = loop {
            let (model, memory) = (self.model.as_mut(), &mut self.memory);
            if memory.take_pages(model, &mut pages, tokens.len()).is_ok()
                && let Ok(row) = memory.take_row(model, None)
            {
                break row;
            }
            let youngest = self.sequences.iter().rev().find(|(_, s)| s.holding.is_some());
            let Some((&youngest, _)) = youngest else {
                pages.into_iter().for_each(|page| self.memory.pages.release(page));
                let limit = self.memory.pages.limit() * self.model.page();
                let source = self.memory.refused.clone();
                return Err(EngineError::OutOfMemory { tokens: tokens.len(), limit, source });
            };
            self.preempt(youngest);
        };
        let holding = Holding { pages, ..Holding::new(row, None) };
        let done = self.evaluate_on(&holding, tokens, from, each);
        self.memory.release(holding.row, holding.pages);
        done
    }

    fn evaluate_on(
        &mut self,
        holding: &Holding,
        tokens: &[u32],
        from: usize,
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), EngineError> {
        let row = holding.row as usize;
        self.model.reset(row)?;
        let vocabulary = self.model.vocabulary().max(1);
        let mut past = 0;
        while past < tokens.len() {
            let (length, wanted) = if past < from {
                ((from - past).min(self.options.chunk), Wanted::None)
            } else {
                (TOGETHER, Wanted::All)
            };
            let end = (past + length).min(tokens.len());
            let pages = &holding.pages[..self.memory.pages_of(end)];
            let piece = Piece { row, pages, past, snapshot: 0, tokens: &tokens[past..end], wanted };
            let logits = self.model.step(&[piece])?;
            for (i, logits) in logits.chunks_exact(vocabulary).enumerate() {
                each(past + i, logits);
            }
            past = end;
        }
        Ok(())
    }
}
