//! Sequences of language models: who runs when, what each keeps, what is shared, what is saved.
//!
//! ```text
//! Request ─► Engine: waiting ─► running: prompt in pieces, then a token a step ─► Event
//!                      ▲            │  logits ─► Choose ─► token
//!                      └ preempted ─┘  rows, pages, checkpoints
//! ```
//!
//! An [`Engine`] owns a model (`mynah_models::language::LanguageModel`) and serves any number of sequences on it. Tokens are chosen by
//! what implements [`Choose`], as [`sample::Chooser`] does among what a [`grammar`] allows; text is made by `mynah-text`. What a
//! sequence says depends on nothing but its own tokens and chooser: not on the others, nor on the order, nor on whether it had to wait,
//! was preempted, forked or brought back from a file. See `docs/runtime.md` and `docs/sampling.md`.

mod choose;
mod engine;
mod error;
mod event;
pub mod grammar;
mod memory;
mod options;
mod prefix;
mod request;
pub mod sample;
mod saved;
mod sequence;
mod slots;

pub use choose::{Choice, Choose, ChooseError, Greedy, Logprob};
pub use engine::{Engine, Usage};
pub use error::EngineError;
pub use event::{Event, Finish};
pub use options::EngineOptions;
pub use request::{Request, SequenceId};
pub use saved::SavedSequence;
