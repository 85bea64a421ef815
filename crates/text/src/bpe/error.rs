//! What can be wrong with a tokenizer in a file, and with ids given to it.

use mynah_gguf::GgufError;

/// A vocabulary that cannot be used, or an id that it does not have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BpeError {
    /// A key is absent.
    #[error("the file has no {key}")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key has another type than it should.
    #[error(transparent)]
    Metadata(#[from] GgufError),
    /// The file's tokenizer is no byte-level BPE.
    #[error("tokenizer.ggml.model is {found:?}; only \"gpt2\", byte-level BPE, is known")]
    UnknownModel {
        /// The name in the file.
        found: String,
    },
    /// No rule of this name says where words begin.
    #[error("tokenizer.ggml.pre is {found:?}; the known rules are {known}")]
    UnknownPreSplit {
        /// The name in the file.
        found: String,
        /// Every known name, comma separated.
        known: String,
    },
    /// The vocabulary has no tokens, or more than ids can count.
    #[error("a vocabulary of {count} tokens cannot be used")]
    BadSize {
        /// How many tokens the file lists.
        count: usize,
    },
    /// Two ids have the same text.
    #[error("tokens {first} and {second} are both {token:?}")]
    DuplicateToken {
        /// The lower id.
        first: u32,
        /// The higher id.
        second: u32,
        /// Their text.
        token: String,
    },
    /// The list of token types does not fit the list of tokens.
    #[error("{types} token types for {tokens} tokens")]
    TypeCount {
        /// How many types there are.
        types: usize,
        /// How many tokens there are.
        tokens: usize,
    },
    /// A token type that byte-level BPE does not have.
    #[error("token {id} has type {found}; byte-level BPE has 1 to 5")]
    BadType {
        /// The token.
        id: u32,
        /// Its type in the file.
        found: i32,
    },
    /// A byte that texts contain has no token.
    #[error("no token stands for the byte {byte:#04x}")]
    MissingByte {
        /// The byte.
        byte: u8,
    },
    /// A merge is not two pieces with a space between them.
    #[error("merge {rank} is {merge:?}; two tokens with a space between them were expected")]
    BadMerge {
        /// Its place in the list.
        rank: usize,
        /// What the list has there.
        merge: String,
    },
    /// A merge joins or makes something that is no token.
    #[error("merge {rank} needs {piece:?}, which is no token")]
    UnknownMergePiece {
        /// Its place in the list.
        rank: usize,
        /// The part or the result that is missing.
        piece: String,
    },
    /// A pair of tokens has two merges.
    #[error("merge {rank}, {merge:?}, is a repetition")]
    DuplicateMerge {
        /// The place of the second one.
        rank: usize,
        /// The merge.
        merge: String,
    },
    /// A key names an id that the vocabulary does not have.
    #[error("{key} is {id}, outside the vocabulary of {size} tokens")]
    BadSpecialId {
        /// The key.
        key: &'static str,
        /// Its value.
        id: u32,
        /// How many tokens there are.
        size: usize,
    },
    /// The special tokens are too many to search for.
    #[error("the special tokens make no search table: {reason}")]
    SpecialTokens {
        /// What the search library says.
        reason: String,
    },
    /// An id of another vocabulary.
    #[error("token id {id} is outside the vocabulary of {size} tokens")]
    TokenOutOfRange {
        /// The id that was asked for.
        id: u32,
        /// How many tokens there are.
        size: usize,
    },
}
