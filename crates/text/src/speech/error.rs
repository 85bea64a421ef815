//! What keeps a text from being read aloud, and what can be wrong with a speech model's tokenizer.

use mynah_gguf::GgufError;

use crate::bpe::BpeError;

/// A tokenizer that cannot be used, or a text that cannot be spelt out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpeechError {
    /// A key is absent.
    #[error("the file has no {key}")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key has another type than it should.
    #[error(transparent)]
    Metadata(#[from] GgufError),
    /// The file's tokenizer is of no kind that speech models have.
    #[error("tokenizer.ggml.model is {found:?}; speech models have \"mtl_grapheme\" or \"gpt2\"")]
    UnknownModel {
        /// The name in the file.
        found: String,
    },
    /// The byte-level BPE of Turbo is broken.
    #[error(transparent)]
    Bpe(#[from] BpeError),
    /// The tokenizer's JSON is broken.
    #[error("the tokenizer is no valid JSON of the tokenizers library: {what}")]
    Json {
        /// What the parser said.
        what: String,
    },
    /// A part of the tokenizer that is done differently here.
    #[error("the tokenizer's {part} is {found}; {known} is known")]
    Unsupported {
        /// Which part.
        part: &'static str,
        /// What the file says.
        found: String,
        /// What would do.
        known: &'static str,
    },
    /// A token without which nothing can be encoded.
    #[error("the tokenizer has no token {token:?}")]
    MissingToken {
        /// The token.
        token: String,
    },
    /// A merge that is no pair of tokens, makes no token, or is there twice.
    #[error("merge {rank}, {merge:?}, is no pair of tokens that make a token, or is a repetition")]
    BadMerge {
        /// Its place in the list.
        rank: usize,
        /// The merge.
        merge: String,
    },
    /// The added tokens make no search table.
    #[error("the added tokens make no search table: {reason}")]
    AddedTokens {
        /// What the search library says.
        reason: String,
    },
    /// A language that the model does not speak.
    #[error("the model does not speak {found:?}; it speaks {known}")]
    UnknownLanguage {
        /// As it was asked for.
        found: String,
        /// Those there are.
        known: String,
    },
    /// No language was named, and the model has several.
    #[error("the model speaks several languages and needs to be told which; there are {known}")]
    MissingLanguage {
        /// Those there are.
        known: String,
    },
    /// Japanese text with characters whose reading only a dictionary has.
    #[error(
        "no reading is known for {characters}: Japanese has to be written in kana here, since kanji take a \
         dictionary that this program does not have"
    )]
    Kanji {
        /// The characters, each once.
        characters: String,
    },
    /// Chinese text without the table of codes that the model reads.
    #[error(
        "Chinese is spelt in Cangjie codes, and the model file has no table of them; convert the model again with \
         Cangjie5_TC.json in its folder, or give that file"
    )]
    NoCangjie,
    /// The table of codes is broken.
    #[error("the Cangjie table is broken: {what}")]
    Cangjie {
        /// What is wrong.
        what: String,
    },
    /// There is nothing to say.
    #[error("the text is empty")]
    Blank,
}
