//! What can go wrong between token ids and text. File output has its own error in [`crate::output`].

/// An id or a name that this crate cannot turn into text or a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A decoder produced an id that the vocabulary does not have: decoder and vocabulary are of two models.
    #[error("token id {id} is outside the vocabulary of {size} pieces")]
    TokenOutOfRange {
        /// The id that was asked for.
        id: u32,
        /// How many pieces the vocabulary has.
        size: usize,
    },
    /// A format name that no writer answers to.
    #[error("unknown output format {name:?}; the formats are {known}")]
    UnknownFormat {
        /// The name as it was given.
        name: String,
        /// Every accepted name, comma separated.
        known: String,
    },
}
