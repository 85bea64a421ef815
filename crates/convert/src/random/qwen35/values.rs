//! Values of random language models.
//!
//! Every branch adds about a third of a deviation to each channel of the residual stream, so that after the last layer
//! the token that came in is a small part of it: with a tied head that token would else win forever. Logits have a
//! deviation of [`LOGITS`], which makes the best of a quarter of a million about as likely as a trained model's. Decay
//! rates and steps are drawn as they are before training (Dao and Gu 2024): memories of some ten to a thousand tokens.

use super::super::values::{Kind, Random, seed_of};
use crate::qwen35::{Config, Expected, Role};
use crate::source::{Source, Values};
use mynah_tensor::Rng;

/// Deviation of a logit.
const LOGITS: f32 = 3.2;
/// Gain of the projections back into the residual stream. What they are given has a deviation of about 0.6, for a unit
/// normal value times a SiLU or sigmoid of another.
const BRANCH: f32 = 0.5;
/// Gain of the experts' projection back: the chosen ones are averaged.
const EXPERTS: f32 = 1.2;
/// Deviation of the scores of experts.
const ROUTER: f32 = 1.5;

/// The source of a tensor.
pub(super) fn source(config: &Config, expected: &Expected, seed: u64) -> Box<dyn Source> {
    let shape = expected.shape;
    let seed = seed_of(seed, &expected.name);
    let normal = |mean, deviation| Kind::Normal { mean, deviation };
    let fan_in = (shape.last().max(1) as f32).sqrt();
    let kind = match expected.role {
        Role::Embedding | Role::Head => normal(0.0, LOGITS / (config.hidden.max(1) as f32).sqrt()),
        Role::Gain | Role::GatedGain => normal(1.0, 0.05),
        Role::Matrix | Role::MixerIn | Role::MixerGate | Role::Experts | Role::SharedGate => {
            normal(0.0, 1.0 / fan_in)
        }
        Role::Alpha | Role::Beta | Role::BetaAlpha => normal(0.0, 0.5 / fan_in),
        Role::Out | Role::MixerOut => normal(0.0, BRANCH / fan_in),
        Role::ExpertsOut => normal(0.0, EXPERTS / fan_in),
        Role::Router => normal(0.0, ROUTER / fan_in),
        Role::Taps => normal(0.0, 1.0 / fan_in),
        Role::Rate => return Box::new(Values(rates(shape.numel(), seed))),
        Role::StepBias => return Box::new(Values(steps(shape.numel(), seed))),
    };
    // Vectors are one row; rows of stacked matrices have seeds of their own.
    let row = shape.last().max(1);
    Box::new(Random::new(seed, shape.numel() / row, row, kind))
}

/// Decay rates from −1 to −16.
fn rates(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..count).map(|_| -rng.range(1.0, 16.0)).collect()
}

/// Biases whose softplus, there nearly their exponential, is a step from 0.001 to 0.1, evenly spread by magnitude.
fn steps(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..count).map(|_| rng.range(-6.9, -2.25)).collect()
}
