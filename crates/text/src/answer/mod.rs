//! A model's answer taken apart: what it thought, what it says, which tools it calls.
//!
//! Text comes from [`crate::stream`] in pieces of any size; [`AnswerParser`] gives out [`Part`]s as soon as they are
//! certain. Two forms of calls are read, told apart by what follows `<tool_call>`: Qwen3.5's and Qwen3-Coder's tags and
//! the JSON of Hermes, which Qwen2.5 and Qwen3 use.
//!
//! ```
//! use mynah_text::answer::{AnswerParser, Part};
//!
//! let mut parser = AnswerParser::new(true, &[]);
//! let mut parts = parser.push("Easy.\n</thi");
//! parts.extend(parser.push("nk>\n\nFour."));
//! parts.extend(parser.finish());
//! assert_eq!(parts, [Part::Reasoning("Easy.".into()), Part::Text("Four.".into())]);
//! ```

mod call;
mod parser;
mod schema;
mod tags;

pub use parser::AnswerParser;
pub use schema::text_parameter;

use crate::chat::ToolCall;

/// How a model writes a call between `<tool_call>` and `</tool_call>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallForm {
    /// `<function=NAME>` and `<parameter=KEY>`: Qwen3.5 and Qwen3-Coder.
    Tags,
    /// `{"name": …, "arguments": {…}}`: Hermes, Qwen2.5 and Qwen3.
    Json,
}

/// A part of an answer. Neighbours of the same kind belong together.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// What the model thought, tags and the line breaks beside them removed.
    Reasoning(String),
    /// What it says. A call that can't be read is here, word by word.
    Text(String),
    /// A call of a tool.
    Call {
        /// The call; its name need not be a tool that exists.
        call: ToolCall,
        /// How the model wrote it, tags included.
        source: String,
    },
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// What the model thought, if it did.
    pub reasoning: String,
    /// What it says.
    pub text: String,
    /// Which tools it calls, in order.
    pub calls: Vec<ToolCall>,
}

impl Answer {
    /// Takes a whole answer apart; the arguments are those of [`AnswerParser::new`].
    #[must_use]
    pub fn parse(text: &str, thinking: bool, tools: &[serde_json::Value]) -> Answer {
        let mut parser = AnswerParser::new(thinking, tools);
        let mut answer = Answer::default();
        for part in parser.push(text).into_iter().chain(parser.finish()) {
            match part {
                Part::Reasoning(more) => answer.reasoning += &more,
                Part::Text(more) => answer.text += &more,
                Part::Call { call, .. } => answer.calls.push(call),
            }
        }
        answer
    }
}
