//! What a product does to the rows of its operand before it multiplies them.
//!
//! Models don't write these: the rewrite `fuse-prologue` puts the norm or the gated unit before some products into each of them, where
//! the device has a kernel for it. With a few rows every workgroup of a GPU can do that work anew in less time than a dispatch costs
//! that all products would have to wait for.

use crate::op::Activation;

/// The op before a product. Its first operand is the product's own; the others follow the weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prologue {
    /// [`crate::Op::RmsNorm`] of x: `gain [K]` follows.
    RmsNorm {
        /// Added to the mean square.
        eps: f32,
    },
    /// [`crate::Op::LayerNorm`] of x: `gain [K]`, `bias [K]` follow.
    LayerNorm {
        /// Added to the variance.
        eps: f32,
    },
    /// [`crate::Op::Gated`], `x · act(b)`: `b`, of the shape of x, follows.
    Gated(Activation),
}

impl Prologue {
    /// How many operands follow the weight.
    pub fn extra_inputs(&self) -> usize {
        match self {
            Self::RmsNorm { .. } | Self::Gated(_) => 1,
            Self::LayerNorm { .. } => 2,
        }
    }
}
