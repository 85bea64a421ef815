//! An answer while it is generated: token ids to text that can be shown at once. Comes from the sampler; goes to a
//! terminal, an event stream, or [`crate::answer`].

mod stop;
mod utf8;

pub use stop::StopStrings;
pub use utf8::Utf8Stream;

use crate::bpe::{BpeError, Kind, Tokenizer};

/// Turns token after token into text: whole characters only, nothing that may still become a stop string, no control
/// tokens.
#[derive(Debug, Clone)]
pub struct TextStream {
    characters: Utf8Stream,
    stops: StopStrings,
}

impl TextStream {
    /// A new answer with these stop strings.
    #[must_use]
    pub fn new<S: AsRef<str>>(stops: impl IntoIterator<Item = S>) -> TextStream {
        TextStream { characters: Utf8Stream::default(), stops: StopStrings::new(stops) }
    }

    /// Takes a token of `tokenizer` and gives the text that became certain, often none.
    ///
    /// # Errors
    /// [`BpeError::TokenOutOfRange`].
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<String, BpeError> {
        if tokenizer.kind(id)? == Kind::Control {
            return Ok(String::new());
        }
        let text = self.characters.push(tokenizer.token_bytes(id)?);
        Ok(self.stops.push(&text))
    }

    /// Ends the answer: what was held back.
    pub fn finish(&mut self) -> String {
        let text = self.characters.finish();
        self.stops.push(&text) + &self.stops.finish()
    }

    /// Whether a stop string came; nothing is given out any more.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stops.stopped()
    }
}
