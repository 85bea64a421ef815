//! A sequence outside its engine: tokens and states, to go on later, elsewhere, or after the process died.

mod file;

use crate::error::EngineError;
use mynah_models::language::LanguageModel;

/// States of a sequence, copied out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct States {
    /// Tokens that are in them.
    pub(crate) past: usize,
    /// What [`LanguageModel::read_row`] gave; nothing if no token is in.
    pub(crate) row: Vec<f32>,
    /// What [`LanguageModel::read_page`] gave, one page after another.
    pub(crate) pages: Vec<f32>,
    /// Hidden states of the last tokens, of which the layer that drafts has no entries yet; none if nothing drafted.
    pub(crate) hidden: Vec<f32>,
}

/// A sequence as [`crate::Engine::save`] found it.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedSequence {
    /// [`LanguageModel::identity`] of its model.
    pub(crate) identity: u64,
    /// Its tokens, the first `prompt` of them given.
    pub(crate) tokens: Vec<u32>,
    pub(crate) prompt: usize,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) ends: Vec<u32>,
    pub(crate) states: States,
}

impl SavedSequence {
    /// Its tokens: the prompt, then what followed.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many of the tokens are the prompt.
    pub fn prompt(&self) -> usize {
        self.prompt
    }

    /// Whether it is of this model, and whole.
    pub(crate) fn check(&self, model: &dyn LanguageModel) -> Result<(), EngineError> {
        let wrong = |reason: String| Err(EngineError::Saved { reason });
        if self.identity != model.identity() {
            let (found, wanted) = (self.identity, model.identity());
            return wrong(format!("it is of another model ({found:016x}, this one is {wanted:016x})"));
        }
        let vocabulary = model.vocabulary();
        for &token in self.tokens.iter().chain(&self.ends) {
            if token as usize >= vocabulary {
                return Err(EngineError::Token { token, vocabulary });
            }
        }
        let states = &self.states;
        if self.prompt == 0 || self.prompt > self.tokens.len() || states.past >= self.tokens.len() {
            let (tokens, prompt, past) = (self.tokens.len(), self.prompt, states.past);
            return wrong(format!("{tokens} tokens with a prompt of {prompt} and {past} in the states"));
        }
        let sizes = model.state_bytes();
        let row = if states.past > 0 { sizes.saved_row / 4 } else { 0 };
        let pages = states.past.div_ceil(model.page().max(1)).saturating_mul(sizes.saved_page / 4);
        if states.row.len() != row || states.pages.len() != pages {
            let found = [states.row.len(), states.pages.len()];
            return wrong(format!("it has states of {found:?} elements, {:?} are wanted", [row, pages]));
        }
        let (hidden, width) = (states.hidden.len(), model.hidden());
        if hidden > 0 && (width == 0 || hidden % width > 0 || hidden / width > states.past) {
            return wrong(format!("it has {hidden} elements of hidden states of {width}"));
        }
        Ok(())
    }
}
