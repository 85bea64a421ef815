//! What an engine tells after each step.

use crate::choose::Choice;
use crate::error::EngineError;
use crate::request::SequenceId;
use std::sync::Arc;

/// Why a sequence is over.
#[derive(Clone, Debug)]
pub enum Finish {
    /// A token of [`crate::Request::ends`] came.
    End,
    /// Its chooser let nothing more follow.
    Stop,
    /// It has as many tokens as were asked for.
    Length,
    /// It has as many tokens as fit.
    Context,
    /// It was cancelled.
    Cancelled,
    /// It could not go on.
    Failed(Arc<EngineError>),
}

/// Something that happened to a sequence.
#[derive(Clone, Debug)]
pub enum Event {
    /// A part of its prompt was taken in.
    Prompt {
        /// Whose.
        sequence: SequenceId,
        /// Tokens of the prompt that are in, those found in the cache included.
        done: usize,
        /// Of them, those that were found in the cache.
        reused: usize,
        /// Tokens of the prompt.
        of: usize,
    },
    /// It has a new token.
    Token {
        /// Whose.
        sequence: SequenceId,
        /// The token.
        choice: Choice,
    },
    /// Drafts of its next tokens were held against what was chosen.
    Drafted {
        /// Whose.
        sequence: SequenceId,
        /// Tokens that were drafted.
        drafted: usize,
        /// Of them, those that were right; their [`Event::Token`]s came before this.
        accepted: usize,
    },
    /// It is over and forgotten.
    Finished {
        /// Whose.
        sequence: SequenceId,
        /// Why.
        reason: Finish,
    },
}
