//! Rows, pages and checkpoints of an engine: taken where they are free, made where the device has memory, won back from checkpoints.

use crate::options::EngineOptions;
use crate::prefix::{Checkpoint, Checkpoints};
use crate::slots::Slots;
use mynah_models::ModelError;
use mynah_models::language::LanguageModel;
use std::sync::Arc;

/// What the layer that drafts has of a sequence: entry i is token i + 1 with the hidden state of token i, in the place of token i in the
/// sequence's pages. Entries follow from tokens that are in the states, so whoever shares those tokens can share them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DraftCache {
    /// Entries it has.
    pub(crate) entries: usize,
    /// `[past − entries, hidden]`: the hidden states of the tokens from there on.
    pub(crate) hidden: Vec<f32>,
}

/// What a sequence holds while it runs, and a checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    /// Its row of the recurrent states.
    pub(crate) row: u32,
    /// Its pages in order, enough for all its tokens that are in the states.
    pub(crate) pages: Vec<u32>,
    /// Tokens that are in the states.
    pub(crate) past: usize,
    /// The snapshot of the recurrent states that is the one after these tokens: how many drafted tokens after them were wrong.
    pub(crate) snapshot: usize,
    /// `None` where nothing drafts.
    pub(crate) drafts: Option<DraftCache>,
}

impl Holding {
    /// A row for a sequence that begins.
    pub(crate) fn new(row: u32, drafts: Option<DraftCache>) -> Self {
        Self { row, pages: Vec::new(), past: 0, snapshot: 0, drafts }
    }

    /// Its first pages into which nothing more will be written, that can be shared.
    pub(crate) fn finished(&self, page: usize) -> &[u32] {
        // An entry that is missing has its place before tokens that are there.
        let last = self.drafts.as_ref().map_or(self.past, |drafts| drafts.entries.min(self.past));
        let pages = last / page.max(1);
        self.pages.get(..pages).unwrap_or(&self.pages)
    }
}

/// Nothing is left to take.
#[derive(Debug)]
pub(crate) struct Full;

/// The device's memory, shared out.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) rows: Slots,
    pub(crate) pages: Slots,
    pub(crate) checkpoints: Checkpoints,
    /// Why no more could be made.
    pub(crate) refused: Option<Arc<ModelError>>,
    /// Tokens of a page.
    page: usize,
}

/// Pages that are made at a time, as long as half as many again are fewer.
const FIRST_PAGES: usize = 8;

impl Memory {
    pub(crate) fn new(options: &EngineOptions, model: &dyn LanguageModel) -> Self {
        let page = model.page().max(1);
        let context = options.context.unwrap_or(usize::MAX).min(model.context());
        let cache =
            options.cache.unwrap_or_else(|| context.next_multiple_of(page).saturating_mul(options.sequences));
        Self {
            rows: Slots::new(options.sequences.saturating_add(options.checkpoints)),
            pages: Slots::new((cache / page).max(1)),
            checkpoints: Checkpoints::new(options.checkpoints),
            refused: None,
            page,
        }
    }

    /// Pages that so many tokens fill.
    pub(crate) fn pages_of(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.page)
    }

    /// A row; checkpoints but that of row `keep` give way.
    pub(crate) fn take_row(&mut self, model: &mut dyn LanguageModel, keep: Option<u32>) -> Result<u32, Full> {
        loop {
            if let Some(row) = self.rows.take() {
                return Ok(row);
            }
            if !self.make_rows(model) && !self.evict(keep) {
                return Err(Full);
            }
        }
    }

    /// A page; checkpoints but that of row `keep` give way.
    pub(crate) fn take_page(
        &mut self,
        model: &mut dyn LanguageModel,
        keep: Option<u32>,
    ) -> Result<u32, Full> {
        loop {
            if let Some(page) = self.pages.take() {
                return Ok(page);
            }
            if !self.make_pages(model) && !self.evict(keep) {
                return Err(Full);
            }
        }
    }

    /// Pages until a sequence has as many as `tokens` fill; those it got stay its own if there aren't enough.
    pub(crate) fn take_pages(
        &mut self,
        model: &mut dyn LanguageModel,
        pages: &mut Vec<u32>,
        tokens: usize,
    ) -> Result<(), Full> {
        while pages.len() < self.pages_of(tokens) {
            pages.push(self.take_page(model, None)?);
        }
        Ok(())
    }

    /// Pages for more `tokens` than a sequence has, as far as there are some that nobody holds; how many tokens there is room for.
    pub(crate) fn take_spare(
        &mut self,
        model: &mut dyn LanguageModel,
        pages: &mut Vec<u32>,
        tokens: usize,
    ) -> usize {
        while pages.len() < self.pages_of(tokens) {
            match self.pages.take() {
                Some(page) => pages.push(page),
                None if self.make_pages(model) => {}
                None => break,
            }
        }
        tokens.min(pages.len().saturating_mul(self.page))
    }

    /// Makes more rows, as far as the limit goes. False if there are none to make.
    fn make_rows(&mut self, model: &mut dyn LanguageModel) -> bool {
        let (made, pages) = (self.rows.made(), self.pages.made());
        // Some at a time, since each time those there are may be copied; one if that is too many.
        let sizes = [made + made / 2, made + 1];
        make(&mut self.rows, &mut self.refused, sizes, &mut |rows| model.reserve(rows, pages))
    }

    /// Makes more pages, as [`Memory::make_rows`] does rows.
    fn make_pages(&mut self, model: &mut dyn LanguageModel) -> bool {
        let (made, rows) = (self.pages.made(), self.rows.made());
        let sizes = [made + (made / 2).max(FIRST_PAGES), made + 1];
        make(&mut self.pages, &mut self.refused, sizes, &mut |pages| model.reserve(rows, pages))
    }

    /// Pages that a sequence could have if every checkpoint gave way, those that it would share with others that run included: `shared`
    /// are its full pages in a checkpoint.
    pub(crate) fn obtainable(&self, shared: &[u32]) -> usize {
        let mut kept: Vec<u32> =
            self.checkpoints.iter().flat_map(|c| c.holding.pages.iter().copied()).collect();
        kept.sort_unstable();
        // Those that nobody but checkpoints holds.
        let runs = kept.chunk_by(|a, b| a == b);
        let own = runs.filter(|run| self.pages.holders(run[0]) as usize == run.len()).map(|run| run[0]);
        let own: Vec<u32> = own.collect();
        let others = shared.iter().filter(|page| own.binary_search(page).is_err()).count();
        self.pages.spare() + own.len() + others
    }

    /// Drops the least recently used checkpoint but that of row `keep`. False if there is none.
    pub(crate) fn evict(&mut self, keep: Option<u32>) -> bool {
        let evicted = self.checkpoints.evict(keep);
        let there_was = evicted.is_some();
        if let Some(Checkpoint { holding, .. }) = evicted {
            self.release(holding.row, holding.pages);
        }
        there_was
    }

    /// Gives up a row and pages.
    pub(crate) fn release(&mut self, row: u32, pages: Vec<u32>) {
        self.rows.release(row);
        pages.into_iter().for_each(|page| self.pages.release(page));
    }

    /// Keeps what a sequence that is over leaves, for one that goes on from it; `tokens` are those in its states.
    pub(crate) fn keep(&mut self, mut holding: Holding, tokens: &[u32]) {
        let useful = self.checkpoints.capacity() > 0 && !tokens.is_empty();
        if !useful || self.checkpoints.has(tokens) {
            return self.release(holding.row, holding.pages);
        }
        let filled = self.pages_of(tokens.len()).min(holding.pages.len());
        holding.pages.drain(filled..).for_each(|page| self.pages.release(page));
        if self.checkpoints.len() >= self.checkpoints.capacity() {
            self.evict(None);
        }
        self.checkpoints.add(Checkpoint { tokens: tokens.to_vec(), holding });
    }

    /// Copies what a sequence has so far into a checkpoint, if there is room for one; `tokens` are those in its states.
    ///
    /// # Errors
    /// What copying on the device reports.
    pub(crate) fn checkpoint(
        &mut self,
        model: &mut dyn LanguageModel,
        holding: &Holding,
        tokens: &[u32],
    ) -> Result<(), ModelError> {
        if self.checkpoints.capacity() == 0 || tokens.is_empty() || self.checkpoints.has(tokens) {
            return Ok(());
        }
        if self.checkpoints.len() >= self.checkpoints.capacity() {
            self.evict(None);
        }
        let Ok(row) = self.take_row(model, None) else { return Ok(()) };
        if let Ok(copy) = self.copy(model, row, holding, None)? {
            self.checkpoints.add(Checkpoint { tokens: tokens.to_vec(), holding: copy });
        }
        Ok(())
    }

    /// Copies states into a row, which is given up if that can't be: pages that are finished are shared, others copied. The checkpoint of
    /// row `keep` stays where it is.
    pub(crate) fn copy(
        &mut self,
        model: &mut dyn LanguageModel,
        row: u32,
        from: &Holding,
        keep: Option<u32>,
    ) -> Result<Result<Holding, Full>, ModelError> {
        let mut to = Holding { row, pages: Vec::new(), ..from.clone() };
        for &page in from.finished(self.page) {
            self.pages.share(page);
            to.pages.push(page);
        }
        let done = self.copy_into(model, &mut to, from, keep);
        if !matches!(done, Ok(Ok(()))) {
            self.release(row, std::mem::take(&mut to.pages));
        }
        Ok(done?.map(|()| to))
    }

    /// Copies the row, and the pages that are not there yet.
    fn copy_into(
        &mut self,
        model: &mut dyn LanguageModel,
        to: &mut Holding,
        from: &Holding,
        keep: Option<u32>,
    ) -> Result<Result<(), Full>, ModelError> {
        model.copy_row(from.row as usize, to.row as usize)?;
        for &begun in from.pages.iter().take(self.pages_of(from.past)).skip(to.pages.len()) {
            let Ok(page) = self.take_page(model, keep) else { return Ok(Err(Full)) };
            to.pages.push(page);
            model.copy_page(begun, page)?;
        }
        Ok(Ok(()))
    }
}

/// Makes as many slots as the first of these `sizes` for which the device has memory. If it has none, there will be no more.
fn make(
    slots: &mut Slots,
    refused: &mut Option<Arc<ModelError>>,
    sizes: [usize; 2],
    reserve: &mut dyn FnMut(usize) -> Result<(), ModelError>,
) -> bool {
    if slots.made() >= slots.limit() {
        return false;
    }
    for size in sizes.map(|size| size.clamp(slots.made() + 1, slots.limit())) {
        match reserve(size) {
            Ok(()) => {
                slots.grow(size);
                return true;
            }
            Err(error) => *refused = Some(Arc::new(error)),
        }
    }
    if let Some(error) = refused {
        tracing::warn!(%error, made = slots.made(), "states can't grow");
    }
    slots.stop_growing();
    false
}
