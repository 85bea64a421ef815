//! Text to token ids and back, chats to prompts, answers to calls, and transcripts to files.
//!
//! For language models: [`bpe`] encodes and decodes with a file's vocabulary, [`stream`] gives out text while it is
//! generated, [`chat`] runs a file's chat template, [`answer`] takes thoughts and tool calls out of what came back.
//!
//! For transcripts: a decoder hands over token ids with frames ([`DecodedToken`]); this crate turns them into words with times
//! ([`assemble()`]), joins the pieces of a long clip ([`merge_pieces`]), cuts sentences ([`Transcript::build`]),
//! lays out subtitle cues ([`cues::cues`]), renders every file format ([`render`]) and writes the files so that
//! none is ever half there ([`output`]). The crate knows no model and no device.

pub mod answer;
pub mod assemble;
pub mod bpe;
pub mod chat;
pub mod cues;
mod error;
pub mod formats;
pub mod merge;
pub mod output;
mod pieces;
pub mod punctuation;
pub mod segment;
pub mod spans;
pub mod speech;
pub mod stream;
pub mod transcript;
pub mod vocab;

pub use assemble::{DecodedToken, Spoken, Timing, assemble};
pub use cues::{Cue, CueOptions};
pub use error::TextError;
pub use formats::{Format, RenderOptions, render, render_with};
pub use merge::{Merger, PieceTranscript, merge_pieces};
pub use segment::SegmentRules;
pub use spans::SpanRule;
pub use transcript::{Segment, Token, Transcript, TranscriptInfo, Word};
pub use vocab::Vocabulary;
