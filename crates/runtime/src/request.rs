//! What is asked of an engine.

use crate::choose::Choose;

/// A sequence of an engine; numbers rise in the order of submission and are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(pub u64);

/// A prompt to go on from.
pub struct Request {
    /// Its tokens, at least one.
    pub prompt: Vec<u32>,
    /// Tokens after which the sequence ends with [`crate::Finish::Length`]; 0 only runs the prompt, `None` goes on to the end of the
    /// context.
    pub max_tokens: Option<usize>,
    /// Tokens that end it, which are not given out.
    pub ends: Vec<u32>,
    /// Who chooses its tokens.
    pub chooser: Box<dyn Choose>,
}
