//! Chat templates: messages, tools and options to the text a model was trained to continue.
//!
//! A GGUF file brings its template (`tokenizer.chat_template`), a Jinja program written for Hugging Face transformers.
//! [`ChatTemplate`] runs it as transformers would and hands a [`Prompt`] to
//! [`Tokenizer::encode_prompt`](crate::bpe::Tokenizer::encode_prompt). What the model answers is taken apart by
//! [`crate::answer`].

mod clock;
mod disarm;
mod error;
mod json;
mod message;
mod template;

pub use clock::Clock;
pub use error::ChatError;
pub(crate) use message::object;
pub use message::{FunctionCall, Message, ToolCall};
pub use template::{ChatRequest, ChatTemplate};

/// A rendered chat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The text, as the template wrote it.
    pub text: String,
    /// Byte offsets into `text`, ascending. A special token that spans one came out of a message, not out of the
    /// template, and is text.
    pub literal: Vec<usize>,
}

impl Prompt {
    /// Whether the prompt ends inside a thought, so that what the model writes first is thought, not answer.
    #[must_use]
    pub fn opens_thought(&self) -> bool {
        self.text.trim_end().ends_with("<think>")
    }
}
