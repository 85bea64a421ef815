//! What can be wrong with a grammar, and with tokens that don't follow it.

/// A grammar that can't be used, or an answer that left it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// A schema that is no JSON, or no JSON schema, or asks for what can't be enforced or can't be fulfilled.
    #[error("the JSON schema can't be used: {reason}")]
    Schema {
        /// What llguidance says about it.
        reason: String,
    },
    /// A regular expression that can't be used.
    #[error("the regular expression can't be used: {reason}")]
    Regex {
        /// What llguidance says about it.
        reason: String,
    },
    /// A grammar that can't be used.
    #[error("the grammar can't be used: {reason}")]
    Lark {
        /// What llguidance says about it, with line and column where there are some.
        reason: String,
    },
    /// A tool whose calls no grammar can be made for.
    #[error("calls of the tool '{tool}' can't be described: {reason}")]
    Tool {
        /// Its name.
        tool: String,
        /// Why not.
        reason: String,
    },
    /// The vocabulary has no tokens that spell text, or more than there are logits.
    #[error("no grammar can be followed with this vocabulary: {reason}")]
    Vocabulary {
        /// What is missing.
        reason: String,
    },
    /// A token that the mask forbids.
    #[error("token {token} doesn't follow the grammar")]
    Token {
        /// The token.
        token: u32,
    },
    /// The grammar can't go on: no token of the vocabulary continues it, or it became too large.
    #[error("the grammar can't go on: {reason}")]
    Stuck {
        /// What llguidance says about it.
        reason: String,
    },
}
