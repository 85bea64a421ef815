//! What the ops of decoder language models carry: rotary positions, convolutions and attention that go on from step to step.
//!
//! A step is a rectangle of tokens, `[batch, time]`: pieces of prompts and single new tokens of several sequences. What is left of
//! the rectangle beside a sequence's own tokens changes nothing and gives zeros.

use crate::ir::StateId;
use crate::op::Activation;
use std::f64::consts::TAU;

/// Rotary position embedding (Su et al. 2021) of the first channels of each head, in the pairing of GPT-NeoX: channel `i` turns with
/// channel `i + dims/2` by the angle `position · frequency(i)`, where a plain embedding has the frequencies `theta^(−2i/dims)`;
/// channels from `dims` on stay as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Channels of a head that turn, an even number.
    pub dims: usize,
    /// Base of the frequencies.
    pub theta: f32,
    /// How the frequencies were changed for contexts longer than those first trained on.
    pub scaling: Option<RopeScaling>,
}

/// The frequency scaling of Llama 3.1, `rope_type` "llama3" in transformers: wavelengths above `original / low` positions become
/// `factor` times as long, those below `original / high` stay, and frequencies between the two are mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeScaling {
    /// What the long wavelengths are multiplied by.
    pub factor: f32,
    /// Turns within the original context up to which a wavelength is long.
    pub low: f32,
    /// Turns within the original context from which on a wavelength is short; above `low`.
    pub high: f32,
    /// Positions of the original context.
    pub original: f32,
}

impl Rope {
    /// An embedding without scaling.
    pub fn new(dims: usize, theta: f32) -> Self {
        Self { dims, theta, scaling: None }
    }

    /// Radians that a pair of channels turns from one position to the next.
    pub fn frequency(&self, pair: usize) -> f64 {
        let plain = f64::from(self.theta).powf(-2.0 * pair as f64 / self.dims as f64);
        self.scaling.map_or(plain, |scaling| scaling.apply(plain))
    }

    /// Whether every frequency is a number.
    pub fn is_sound(&self) -> bool {
        let above_zero = |x: f32| x > 0.0 && x.is_finite();
        let sound = |s: RopeScaling| {
            [s.factor, s.low, s.high, s.original].into_iter().all(above_zero) && s.high > s.low
        };
        above_zero(self.theta) && self.scaling.is_none_or(sound)
    }
}

impl RopeScaling {
    fn apply(self, frequency: f64) -> f64 {
        let [factor, low, high, original] = [self.factor, self.low, self.high, self.original].map(f64::from);
        let turns = original * frequency / TAU;
        // 0 where the wavelength is long, 1 where it is short.
        let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        frequency * (kept + (1.0 - kept) / factor)
    }
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
