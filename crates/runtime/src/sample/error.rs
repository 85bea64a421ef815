//! What can be wrong with sampling options, logits and masks.

/// Options that mean nothing, or logits that leave no token to choose.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// An option is outside its range.
    #[error("{option} is {value}; it must be {range}")]
    BadOption {
        /// The option.
        option: &'static str,
        /// What it was given.
        value: f32,
        /// What it may be.
        range: &'static str,
    },
    /// A logit bias that is no number, or plus infinity.
    #[error(
        "the logit bias of token {token} is {bias}; it must be finite, or minus infinity to forbid the token"
    )]
    BadBias {
        /// The token.
        token: u32,
        /// Its bias.
        bias: f32,
    },
    /// A logit bias for an id outside the vocabulary.
    #[error("the logit bias names token {token}, outside the vocabulary of {size} tokens")]
    TokenOutOfRange {
        /// The id.
        token: u32,
        /// How many logits there are.
        size: usize,
    },
    /// The model gave no number, or penalties made it one: the weights are broken, or the arithmetic overflowed.
    #[error("the logit of token {token} is {value}")]
    BadLogit {
        /// The first such token.
        token: u32,
        /// NaN or plus infinity.
        value: f32,
    },
    /// There are no logits, or every one is minus infinity once bias and mask are applied.
    #[error("no token can be chosen: every logit is minus infinity or masked")]
    NothingLeft,
    /// A mask for another vocabulary.
    #[error("the mask is for {mask} tokens, the model gives {logits} logits")]
    MaskSize {
        /// How many tokens the mask has.
        mask: usize,
        /// How many logits there are.
        logits: usize,
    },
}
