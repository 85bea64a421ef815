//! What language models bring and write: vocabularies, chat templates, answers.

pub mod answer;
pub mod template;
pub mod vocabulary;
