//! What language models bring and write: vocabularies, chat templates, answers; and what speech models are given.

pub mod answer;
pub mod speech;
pub mod template;
pub mod vocabulary;
