//! Byte-level BPE with the vocabulary of a GGUF file: text to token ids and back.
//!
//! A text is cut at the special tokens the caller wants recognised, brought into Unicode's normal form C (not for
//! GPT-2), split into
//! words ([`PreSplit`]) and merged byte by byte. Ids go to the model; what the model answers comes back through
//! [`Tokenizer::decode`] or, token by token, through [`stream`](crate::stream).
//!
//! ```no_run
//! use mynah_gguf::GgufFile;
//! use mynah_text::bpe::{Specials, Tokenizer};
//!
//! let file = GgufFile::open("qwen3.5-0.8b.gguf")?;
//! let tokenizer = Tokenizer::from_metadata(file.metadata())?;
//! let ids = tokenizer.encode("What <|im_end|> means", Specials::None);
//! assert_eq!(tokenizer.decode(&ids)?, "What <|im_end|> means");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bytes;
pub(crate) mod classes;
mod error;
mod load;
pub(crate) mod merge;
mod presplit;
mod special;

use std::borrow::Cow;

use mynah_gguf::Metadata;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

pub use error::BpeError;
use merge::{Merger, Merges};
pub use presplit::PreSplit;
pub use special::{SpecialTokens, Specials};

use crate::chat::Prompt;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string of bytes that text is made of.
    Normal,
    /// A mark that steers the model and is no text (`<|im_start|>`); unknown-token marks too.
    Control,
    /// A tag that is one token and yet text (`<think>`).
    UserDefined,
    /// A row of the embedding that means nothing.
    Unused,
}

/// A byte-level BPE tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    pre: PreSplit,
    merges: Merges,
    /// The token of each byte.
    byte_ids: Vec<u32>,
    special: SpecialTokens,
    /// What the tokens stand for, one after another; `offsets` has one entry more than there are tokens.
    bytes: Vec<u8>,
    offsets: Vec<usize>,
    kinds: Vec<Kind>,
    bos: Option<u32>,
    eos: Option<u32>,
    padding: Option<u32>,
    unknown: Option<u32>,
    /// Ascending.
    ends: Vec<u32>,
    adds_bos: bool,
}

impl Tokenizer {
    /// Reads and checks the `tokenizer.ggml.*` keys of a file: `model`, `pre`, `tokens`, `merges`, `token_type`, the
    /// ids of special tokens and `add_bos_token`.
    ///
    /// # Errors
    /// [`BpeError`] for a missing or ill-typed key, an unknown model or pre-split rule, a token that is there twice, a
    /// byte without a token, a broken merge, an id outside the vocabulary.
    pub fn from_metadata(metadata: &Metadata) -> Result<Tokenizer, BpeError> {
        load::load(metadata, None)
    }

    /// The same for a file that need not say `tokenizer.ggml.pre`, because its family has one rule.
    ///
    /// # Errors
    /// Those of [`Tokenizer::from_metadata`], but for a missing rule.
    pub fn from_metadata_or(metadata: &Metadata, pre: PreSplit) -> Result<Tokenizer, BpeError> {
        load::load(metadata, Some(pre))
    }

    /// How many tokens there are; ids are smaller.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Never: a vocabulary without tokens is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The ids of `text`. Nothing is added in front; see [`Tokenizer::adds_bos`].
    #[must_use]
    pub fn encode(&self, text: &str, specials: Specials) -> Vec<u32> {
        self.encode_except(text, specials, &[])
    }

    /// The ids of a rendered chat: special tokens that the template wrote are recognised, those that stand in the
    /// messages are text.
    #[must_use]
    pub fn encode_prompt(&self, prompt: &Prompt) -> Vec<u32> {
        self.encode_except(&prompt.text, Specials::All, &prompt.literal)
    }

    /// A special token with one of the ascending byte offsets `literal` strictly inside it is text.
    fn encode_except(&self, text: &str, specials: Specials, literal: &[usize]) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut merger = Merger::default();
        let (mut done, mut from) = (0, 0);
        while let Some((found, id)) = self.special.find(text, from, specials) {
            let inside = literal.partition_point(|&at| at <= found.start);
            if literal.get(inside).is_some_and(|&at| at < found.end) {
                from = found.start + text[found.start..].chars().next().map_or(1, char::len_utf8);
                continue;
            }
            self.encode_text(&text[done..found.start], &mut merger, &mut ids);
            ids.push(id);
            (done, from) = (found.end, found.end);
        }
        self.encode_text(&text[done..], &mut merger, &mut ids);
        ids
    }

    fn encode_text(&self, text: &str, merger: &mut Merger, ids: &mut Vec<u32>) {
        let text = if self.pre.normalizes() { normalized(text) } else { Cow::Borrowed(text) };
        for word in self.pre.words(&text) {
            merger.merge(&self.merges, word.bytes().map(|byte| self.byte_ids[usize::from(byte)]), ids);
        }
    }

    /// The text of `ids`, control tokens left out. Bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`BpeError::TokenOutOfRange`] names the first id that is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String, BpeError> {
        let mut bytes = Vec::new();
        for &id in ids {
            if self.kind(id)? != Kind::Control {
                bytes.extend(self.token_bytes(id)?);
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The bytes that a token stands for, which need not be whole characters; its name if it is special, nothing if it
    /// is unused.
    ///
    /// # Errors
    /// [`BpeError::TokenOutOfRange`].
    pub fn token_bytes(&self, id: u32) -> Result<&[u8], BpeError> {
        self.kind(id)?;
        let at = id as usize;
        Ok(&self.bytes[self.offsets[at]..self.offsets[at + 1]])
    }

    /// What a token is for.
    ///
    /// # Errors
    /// [`BpeError::TokenOutOfRange`].
    pub fn kind(&self, id: u32) -> Result<Kind, BpeError> {
        let out = BpeError::TokenOutOfRange { id, size: self.len() };
        self.kinds.get(id as usize).copied().ok_or(out)
    }

    /// The name of a special token, such as `<|im_end|>` for the id that [`Tokenizer::eos`] gives; `None` for a token
    /// of another kind or an id outside the vocabulary.
    #[must_use]
    pub fn special_name(&self, id: u32) -> Option<&str> {
        let special = matches!(self.kind(id), Ok(Kind::Control | Kind::UserDefined));
        special.then(|| std::str::from_utf8(self.token_bytes(id).ok()?).ok()).flatten()
    }

    /// The special tokens, for those who have to keep them out of a text.
    #[must_use]
    pub fn specials(&self) -> &SpecialTokens {
        &self.special
    }

    /// The rule that splits words.
    #[must_use]
    pub fn pre_split(&self) -> PreSplit {
        self.pre
    }

    /// The token that begins a text, if the file names one.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token that ends an answer, if the file names one.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// The token that fills a batch, if the file names one.
    #[must_use]
    pub fn padding(&self) -> Option<u32> {
        self.padding
    }

    /// The token for what has no token, if the file names one. Byte-level BPE never writes it.
    #[must_use]
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// Whether a text given to the model should begin with [`Tokenizer::bos`].
    #[must_use]
    pub fn adds_bos(&self) -> bool {
        self.adds_bos
    }

    /// The tokens after which a model has nothing more to say, ascending: the file's end of text, of turn and of
    /// message, and tokens known by name for it.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Whether generation stops at this token.
    #[must_use]
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }
}

/// `text` in normal form C, as all the reference tokenizers of this family have it before they split.
fn normalized(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(text.nfc().collect()),
    }
}
