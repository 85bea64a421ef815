//! What the ops of routed experts carry: a router that picks a few experts for each token (Shazeer et al. 2017), and the experts'
//! gated feed-forward modules, whose weights are stacked.
//!
//! The four ops together are one layer of experts, and each can be exchanged: ids may as well come from a table (hash routing, Roller
//! et al. 2021), in which case only the weights are asked of the router.

use crate::op::Activation;

/// What a router makes of its logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouterScore {
    /// The softmax over all experts (Fedus et al. 2021; Qwen).
    Softmax,
    /// The sigmoid of each logit (DeepSeek V3).
    Sigmoid,
    /// `sqrt(softplus(logit))` (DeepSeek V4).
    SqrtSoftplus,
}

impl RouterScore {
    /// The name used in dumps.
    pub fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
            Self::SqrtSoftplus => "sqrt_softplus",
        }
    }
}

/// The experts of a token: those of the highest scores, highest first, of equal ones the lowest id first.
///
/// All scores grow with their logit, so without a bias it is the logits that are compared. What is no number ranks with −∞.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExpertChoice {
    /// Experts of each token.
    pub used: usize,
    /// What the bias is added to.
    pub score: RouterScore,
    /// An input `[E]` is added to the scores before they are compared. It balances the load and has no part in the weights
    /// (Wang et al. 2024).
    pub bias: bool,
}

/// How much of each chosen expert a token gets: its score, which may be divided by the sum of the chosen ones, times a factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpertWeights {
    /// What the logits become.
    pub score: RouterScore,
    /// Divides by the sum of the chosen scores, which counts as this much at least.
    pub normalise: Option<f32>,
    /// Multiplies the weights.
    pub scale: f32,
}

/// The first half of the chosen experts, `clamp(x·upᵀ) · act(min(x·gateᵀ))` (Shazeer 2020).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpertGateUp {
    /// Of the gate.
    pub activation: Activation,
    /// Gates count as this much at most, before their activation; the other factor is kept within plus and minus this much.
    pub limit: Option<f32>,
    /// Gate and up are one stack `[E, 2F, K]`, the rows of the gate first, in place of two `[E, F, K]`.
    pub fused: bool,
}
