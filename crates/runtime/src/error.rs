//! What can be wrong with a request, a saved sequence or a run.

use crate::choose::ChooseError;
use crate::request::SequenceId;
use mynah_models::ModelError;
use std::sync::Arc;

/// A failure of an engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is nothing to go on from.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// A token that the model doesn't have.
    #[error("token {token} is not one of the model's {vocabulary}")]
    Token {
        /// The token.
        token: u32,
        /// How many there are.
        vocabulary: usize,
    },
    /// The prompt leaves no room for an answer.
    #[error("a prompt of {prompt} tokens doesn't fit a context of {context}")]
    Context {
        /// Its tokens.
        prompt: usize,
        /// Tokens that fit: by the model, by the options, and by the pages there may be.
        context: usize,
    },
    /// A sequence has all the memory there is to itself, and it isn't enough.
    #[error("no memory for a sequence of {tokens} tokens: keys and values of {limit} fit{}", because(source.as_deref()))]
    OutOfMemory {
        /// Its tokens.
        tokens: usize,
        /// Tokens whose keys and values fit.
        limit: usize,
        /// What the device said when it was asked for more; `None` if the options allow no more.
        source: Option<Arc<ModelError>>,
    },
    /// An option that makes no sense.
    #[error("{option} can't be {found}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        found: usize,
        /// Why not.
        reason: &'static str,
    },
    /// No such sequence is waiting or running.
    #[error("there is no sequence {0:?}; it may be finished")]
    NoSequence(SequenceId),
    /// A saved sequence can't be read or written.
    #[error("the saved sequence: {reason}")]
    Saved {
        /// What is wrong.
        reason: String,
    },
    /// A saved sequence's file can't be read or written.
    #[error("the saved sequence's file")]
    Io(#[from] std::io::Error),
    /// The chooser gave up.
    #[error(transparent)]
    Choose(#[from] ChooseError),
    /// The model failed, or the device has no memory left.
    #[error(transparent)]
    Model(#[from] ModelError),
}

fn because(refused: Option<&ModelError>) -> String {
    refused.map_or_else(String::new, |error| format!(" ({error})"))
}
