//! Decoder output → tokens and words with times.
//!
//! The rules are NeMo's (`get_words_offsets`, `_refine_timestamps_tdt`): a piece with `▁` opens a word, punctuation is
//! glued to the word before it and takes no time of its own, because models often emit a full stop long after the word,
//! in the silence. Next: [`crate::merge_pieces`] for long clips, then [`crate::Transcript::build`].

use crate::error::TextError;
use crate::punctuation::closes;
use crate::spans::SpanRule;
use crate::transcript::{Token, Word};
use crate::vocab::Vocabulary;

/// One token as a greedy decoder emits it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecodedToken {
    /// Index into the vocabulary; never the blank.
    pub id: u32,
    /// Encoder frame it was emitted at (CTC: the first frame of its run).
    pub frame: u32,
    /// Frames it lasts: TDT's predicted duration, 1 for RNN-T, the length of the run for CTC.
    pub duration_frames: u32,
    /// 0 to 1; anything else is pulled into that range.
    pub confidence: f32,
}

/// How frames become seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Length of one encoder frame in seconds: 0.08 for Parakeet.
    pub frame_seconds: f64,
    /// Where frame 0 lies in the clip, in seconds; not 0 for a later piece of a long clip.
    pub offset_seconds: f64,
    /// How long a token lasts.
    pub span: SpanRule,
}

/// Words and their tokens, not yet cut into sentences. The word ranges cover all tokens, each once, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spoken {
    /// Tokens in order, control tokens left out.
    pub tokens: Vec<Token>,
    /// Words in order.
    pub words: Vec<Word>,
    /// The last language a tag such as `<en-US>` named.
    pub language: Option<String>,
}

/// Groups `decoded` into words with times.
///
/// # Errors
/// [`TextError::TokenOutOfRange`] if an id is not in `vocabulary`.
pub fn assemble(
    decoded: &[DecodedToken],
    vocabulary: &Vocabulary,
    timing: Timing,
) -> Result<Spoken, TextError> {
    let ids: Vec<u32> = decoded.iter().map(|token| token.id).collect();
    let texts = vocabulary.texts(&ids)?;
    let spans = timing.span.spans(decoded);
    let seconds = |frame: u64| timing.offset_seconds + frame as f64 * timing.frame_seconds;

    let mut builder = Builder::default();
    for ((token, text), (start, end)) in decoded.iter().zip(texts).zip(spans) {
        if vocabulary.is_special(token.id) {
            if let Some(language) = vocabulary.language(token.id) {
                builder.spoken.language = Some(language.to_owned());
            }
            continue;
        }
        let punctuation = vocabulary.is_punctuation(token.id);
        builder.push(
            Token {
                id: token.id,
                text,
                start: seconds(start),
                end: seconds(end),
                emitted: seconds(u64::from(token.frame)),
                confidence: unit_range(token.confidence),
            },
            punctuation,
        );
    }
    Ok(builder.finish())
}

/// A confidence pulled into 0..=1; what is no number counts as no confidence.
fn unit_range(confidence: f32) -> f32 {
    if confidence.is_nan() { 0.0 } else { confidence.clamp(0.0, 1.0) }
}

#[derive(Default)]
struct Builder {
    spoken: Spoken,
    /// Index of a lone `▁` that waits for its word.
    mark: Option<usize>,
}

impl Builder {
    fn push(&mut self, mut token: Token, punctuation: bool) {
        let Spoken { tokens, words, .. } = &mut self.spoken;
        let index = tokens.len();
        let bare = token.text.trim();
        let spaced = token.text.starts_with(char::is_whitespace);
        if spaced && bare.is_empty() {
            self.mark.get_or_insert(index);
            tokens.push(token);
            return;
        }
        let mark = self.mark.take();
        let glued = punctuation && bare.chars().all(closes);
        match words.last_mut() {
            Some(word) if glued || !(spaced || mark.is_some()) => {
                if punctuation && let Some(before) = tokens.last() {
                    token.start = before.end;
                    token.end = before.end;
                }
                word.text.push_str(if glued { bare } else { &token.text });
                word.end = word.end.max(token.end);
                word.confidence = word.confidence.min(token.confidence);
                word.tokens.end = index + 1;
            }
            _ => {
                // A lone mark is the beginning of its word, unless the word brings a mark of its own: then it was noise.
                let begun = mark.filter(|_| !spaced).and_then(|mark| tokens.get(mark));
                words.push(Word {
                    text: bare.to_owned(),
                    start: begun.map_or(token.start, |mark| mark.start),
                    end: token.end,
                    confidence: begun.map_or(1.0, |mark| mark.confidence).min(token.confidence),
                    tokens: mark.unwrap_or(index)..index + 1,
                });
            }
        }
        tokens.push(token);
    }

    fn finish(mut self) -> Spoken {
        let Spoken { tokens, words, .. } = &mut self.spoken;
        // A `▁` that no word followed belongs to the last word, without time or text.
        match words.last_mut() {
            Some(word) => word.tokens.end = tokens.len(),
            None => tokens.clear(),
        }
        for word in words {
            word.text.truncate(word.text.trim_end().len());
        }
        self.spoken
    }
}

#[cfg(test)]
mod tests;
