//! What can go wrong with a chat template.

/// A template that does not parse or does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The file has no chat template.
    #[error("the file has no tokenizer.chat_template")]
    NoTemplate,
    /// The template is not Jinja.
    #[error("chat template, line {line}: {detail}")]
    Syntax {
        /// Line of the template, from 1.
        line: usize,
        /// What is wrong there.
        detail: String,
    },
    /// The template called `raise_exception`: it does not take these messages.
    #[error("the chat template refuses these messages: {message} (line {line})")]
    Raised {
        /// Line of the template, from 1; 0 if unknown.
        line: usize,
        /// What the template says.
        message: String,
    },
    /// The template ran for too long.
    #[error("chat template, line {line}: stopped after {steps} steps")]
    Endless {
        /// Line of the template, from 1; 0 if unknown.
        line: usize,
        /// How many steps a template may take.
        steps: u64,
    },
    /// The template failed in another way.
    #[error("chat template, line {line}: {detail}")]
    Render {
        /// Line of the template, from 1; 0 if unknown.
        line: usize,
        /// What failed.
        detail: String,
    },
    /// A message is nothing that JSON can say.
    #[error("the messages cannot be given to the template: {detail}")]
    Messages {
        /// What the serializer says.
        detail: String,
    },
}
