//! What the ops of decoder language models carry: rotary positions, convolutions and attention that go on from step to step.
//!
//! A step is a rectangle of tokens, `[batch, time]`: pieces of prompts and single new tokens of several sequences. What is left of
//! the rectangle beside a sequence's own tokens changes nothing and gives zeros.

use crate::ir::StateId;
use crate::op::Activation;

/// Rotary position embedding (Su et al. 2021) of the first channels of each head, in the pairing of GPT-NeoX: channel `i` turns with
/// channel `i + dims/2` by the angle `position · theta^(−2i/dims)`; channels from `dims` on stay as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Channels of a head that turn, an even number.
    pub dims: usize,
    /// Base of the frequencies.
    pub theta: f32,
}

/// A causal depthwise convolution over time whose last inputs outlive the run: a token sees itself and the `K − 1` inputs before it,
/// whichever run they came in.
///
/// A sequence is given by the same three numbers as for [`crate::GatedDeltaNet`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CausalConv1d {
    /// Holds the last inputs, oldest first, in rows of `[K − 2 + snapshots, C]`. Going on from snapshot `n` leaves out the last `n`.
    pub state: StateId,
    /// Snapshots kept, at least one.
    pub snapshots: usize,
    /// Applied to each sum.
    pub activation: Option<Activation>,
}

/// Causal attention in which groups of query heads share a head of keys and values (Ainslie et al. 2023), over a paged cache
/// (Kwon et al. 2023): `softmax(q·kᵀ · scale) · v`, where a token sees itself and all tokens of its sequence before it.
///
/// A sequence is given by two numbers, how many tokens the cache holds already and how many of the `T` tokens are its own, and by
/// its pages: token `i` of the sequence is place `i mod P` of page `pages[i / P]`. Keys and values of the new tokens are written
/// first. A page that is written must be in use once only, so pages of a common beginning can be shared once they are full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CausalAttention {
    /// Keys, rows of `[key heads, P, D]`: a page of `P` tokens.
    pub keys: StateId,
    /// Values, rows of the same shape.
    pub values: StateId,
    /// Multiplies the scores.
    pub scale: f32,
}
