//! Which tokens may come next: answers that follow a JSON schema, a regular expression or a grammar.
//!
//! [llguidance](https://github.com/guidance-ai/llguidance) follows the grammar; this gives it a vocabulary and keeps it away from
//! special tokens. A [`GrammarCompiler`] belongs to a tokenizer and is made once, a [`Constraint`] belongs to an answer: its mask goes
//! to [`crate::sample`], the chosen token comes back.
//!
//! - A special token (`<|im_end|>`, `<think>`) is never part of what a grammar describes, even if the grammar names it. The tokens
//!   that end an answer are allowed exactly where the grammar may be at its end.
//! - Thoughts are free: a constraint may begin after a token, `</think>` ([`Scope::after`]).
//! - Calls of tools are free: instead of an answer that follows the grammar a model may begin a call ([`Scope::unless`],
//!   `<tool_call>`), after which nothing is constrained.
//! - Or calls alone are held to their tools' definitions: the grammar of [`Grammar::calls`] begins anew at each `<tool_call>`
//!   ([`Scope::again`]), and everything else is free.
//! - Stop strings are looked for in the text that comes out, so they may cut an answer short of what the grammar asks for.
//!
//! ```no_run
//! use mynah_gguf::GgufFile;
//! use mynah_runtime::grammar::{Grammar, GrammarCompiler, Scope};
//! use mynah_text::bpe::Tokenizer;
//!
//! let file = GgufFile::open("qwen3.5-0.8b.gguf")?;
//! let tokenizer = Tokenizer::from_metadata(file.metadata())?;
//! let compiler = GrammarCompiler::new(&tokenizer, tokenizer.len())?;
//! let mut constraint = compiler.compile(&Grammar::Regex("yes|no".into()), Scope::default())?;
//! assert!(constraint.mask()?.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calls;
mod compiler;
mod constraint;
mod error;
mod kinds;

pub use compiler::GrammarCompiler;
pub use constraint::{Constraint, Scope};
pub use error::GrammarError;
pub use kinds::Grammar;
