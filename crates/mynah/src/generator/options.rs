//! How an answer is generated.

use mynah_runtime::{Choose, Greedy};

/// What is asked of one answer.
pub struct GenerateOptions {
    /// Tokens at most; `None` goes on until the model ends or the context is full.
    pub max_tokens: Option<usize>,
    /// Texts that end the answer, and are not part of it.
    pub stops: Vec<String>,
    /// Who chooses the tokens: the likeliest, unless a sampler is given.
    pub chooser: Box<dyn Choose>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { max_tokens: None, stops: Vec::new(), chooser: Box::new(Greedy) }
    }
}
