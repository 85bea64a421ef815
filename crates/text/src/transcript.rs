//! What was said: tokens, words and sentences with their times. Built from a decoder's output by
//! [`crate::assemble()`] and [`Transcript::build`], read by every writer in [`crate::formats`].

use std::ops::Range;

use serde::Serialize;

use crate::assemble::Spoken;
use crate::segment::{SegmentRules, segments};

/// One emitted token. All times are seconds from the start of the clip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Token {
    /// Index into the vocabulary.
    pub id: u32,
    /// What the token adds to the text, leading space included; empty inside a run of byte pieces.
    pub text: String,
    /// Where the token begins. Punctuation begins and ends where the token before it ends.
    pub start: f64,
    /// Where the token ends.
    pub end: f64,
    /// When the decoder emitted it: its frame times the frame length, never adjusted.
    pub emitted: f64,
    /// 0 to 1.
    pub confidence: f32,
}

/// One word with the punctuation glued to it. Times are seconds from the start of the clip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Word {
    /// The word as written, no space around it.
    pub text: String,
    /// Start of its first token.
    pub start: f64,
    /// End of its last token.
    pub end: f64,
    /// The least confidence among its tokens, 0 to 1.
    pub confidence: f32,
    /// Its tokens in [`Transcript::tokens`]. The ranges of all words cover all tokens, each once, in order.
    pub tokens: Range<usize>,
}

impl Word {
    /// The middle of the word in seconds.
    #[must_use]
    pub fn midpoint(&self) -> f64 {
        f64::midpoint(self.start, self.end)
    }
}

/// A sentence, or what stands between two pauses. Times are seconds from the start of the clip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// 0, 1, 2, …
    pub id: usize,
    /// Start of its first word.
    pub start: f64,
    /// End of its last word.
    pub end: f64,
    /// Its words joined by spaces.
    pub text: String,
    /// Its words in [`Transcript::words`]; never empty.
    pub words: Range<usize>,
    /// Its tokens in [`Transcript::tokens`].
    pub tokens: Range<usize>,
}

/// The transcript of one clip.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Transcript {
    /// All words joined by spaces.
    pub text: String,
    /// Words in the order they were said.
    pub words: Vec<Word>,
    /// Tokens in the order they were emitted, control tokens left out.
    pub tokens: Vec<Token>,
    /// Sentences; they cover all words, each once, in order.
    pub segments: Vec<Segment>,
    /// Length of the audio in seconds.
    pub duration: f64,
    /// BCP 47 tag (`en`, `de-DE`) when the model said it or the caller knows it.
    pub language: Option<String>,
    /// Length of one encoder frame in seconds: 0.08 for Parakeet.
    pub frame_seconds: f64,
    /// Name of the model that heard it.
    pub model: String,
}

/// What a transcript says beside its words.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TranscriptInfo {
    /// Length of the audio in seconds.
    pub duration: f64,
    /// Overrules the language that the tokens name.
    pub language: Option<String>,
    /// Length of one encoder frame in seconds.
    pub frame_seconds: f64,
    /// Name of the model.
    pub model: String,
}

impl Transcript {
    /// Joins words into text, cuts them into segments by `rules`, and adds what `info` knows.
    #[must_use]
    pub fn build(spoken: Spoken, rules: &SegmentRules, info: TranscriptInfo) -> Self {
        let Spoken { tokens, words, language } = spoken;
        let segments = segments(&words, rules);
        Self {
            text: join(&words),
            segments,
            words,
            tokens,
            duration: info.duration,
            language: info.language.or(language),
            frame_seconds: info.frame_seconds,
            model: info.model,
        }
    }

    /// The words of a segment; empty if the range does not fit this transcript.
    #[must_use]
    pub fn words_of(&self, segment: &Segment) -> &[Word] {
        self.words.get(segment.words.clone()).unwrap_or_default()
    }

    /// The tokens of a segment; empty if the range does not fit this transcript.
    #[must_use]
    pub fn tokens_of(&self, segment: &Segment) -> &[Token] {
        self.tokens.get(segment.tokens.clone()).unwrap_or_default()
    }
}

/// Words joined by single spaces.
pub(crate) fn join(words: &[Word]) -> String {
    let mut text = String::with_capacity(words.iter().map(|word| word.text.len() + 1).sum());
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word.text);
    }
    text
}
