//! What comes back.

use mynah_runtime::Choice;
use mynah_text::answer::Answer;
use std::time::Duration;

/// What an answer's listener is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Output<T> {
    /// A part of the prompt is in.
    Prompt {
        /// Tokens that are in.
        done: usize,
        /// Tokens in all.
        of: usize,
    },
    /// More of the answer.
    Piece(T),
}

/// Why an answer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model ended it, or what a grammar describes is complete.
    End,
    /// A stop string came.
    Stop,
    /// It has as many tokens as were asked for.
    Length,
    /// The context is full.
    Context,
    /// The listener ended it.
    Cancelled,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Its text, without control tokens and stop strings.
    pub text: String,
    /// Its tokens as they were chosen, those of a stop string included.
    pub choices: Vec<Choice>,
    /// Why it is over.
    pub reason: StopReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of them, those that were found in a checkpoint.
    pub reused_tokens: usize,
    /// Tokens that the model's own layer drafted, if it was asked to.
    pub drafted_tokens: usize,
    /// Of them, those that were right; each saved a step.
    pub accepted_tokens: usize,
    /// From the request to the first token.
    pub prompt_time: Duration,
    /// From the first token to the last.
    pub answer_time: Duration,
}

/// An answer in a chat.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatAnswer {
    /// Thoughts, text and calls.
    pub answer: Answer,
    /// Everything as it was written, and what it took.
    pub generated: Generated,
}
