//! Token ids to text, and transcripts to files.
//!
//! A decoder hands over token ids with frames ([`DecodedToken`]); this crate turns them into words with times
//! ([`assemble()`]), joins the pieces of a long clip ([`merge_pieces`]), cuts sentences ([`Transcript::build`]),
//! lays out subtitle cues ([`cues::cues`]), renders every file format ([`render`]) and writes the files so that
//! none is ever half there ([`output`]). It knows no model and no device.

pub mod assemble;
pub mod cues;
mod error;
pub mod formats;
pub mod merge;
pub mod output;
mod pieces;
pub mod punctuation;
pub mod segment;
pub mod spans;
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
