//! How an engine shares a model among sequences.

use crate::error::EngineError;

/// Bounds of an engine. Memory is taken as sequences grow, up to these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Sequences that run at a time; more wait.
    pub sequences: usize,
    /// Tokens of a prompt that a step takes, rounded down to whole pages if it is more than one.
    pub chunk: usize,
    /// Tokens of the longest sequence; `None` for what the model was made for.
    pub context: Option<usize>,
    /// Tokens whose keys and values are kept for all sequences and checkpoints together; `None` for as many as `sequences` of
    /// `context` have.
    pub cache: Option<usize>,
    /// Checkpoints kept for prompts that begin alike, each with the recurrent states of a sequence; 0 for none.
    pub checkpoints: usize,
    /// Tokens that the model's own layer drafts for each sequence in a step, 0 for none; tokens are the same either way.
    pub drafts: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { sequences: 8, chunk: 512, context: None, cache: None, checkpoints: 8, drafts: 0 }
    }
}

impl EngineOptions {
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let zero = |option, found| {
            if found == 0 {
                return Err(EngineError::Option { option, found, reason: "nothing could run" });
            }
            Ok(())
        };
        zero("sequences", self.sequences)?;
        zero("chunk", self.chunk)?;
        zero("context", self.context.unwrap_or(1))?;
        zero("cache", self.cache.unwrap_or(1))
    }
}
