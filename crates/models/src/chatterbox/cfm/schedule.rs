//! The times an Euler solver steps through.

use super::config::CfmConfig;

/// The most steps a solver takes.
pub const MAX_STEPS: usize = 1000;

/// `steps + 1` times from 0 to 1, rounded as PyTorch does: on a cosine, whose first steps are short, or evenly for mean flow.
pub fn schedule(config: &CfmConfig, steps: usize) -> Vec<f32> {
    let even = |i: usize| linspace(i, steps);
    let cosine = |t: f32| 1.0 - libm::cosf(t * 0.5 * std::f32::consts::PI);
    (0..=steps).map(|i| if config.meanflow { even(i) } else { cosine(even(i)) }).collect()
}

/// `torch.linspace(0, 1, steps + 1)[i]`, which counts from both ends.
fn linspace(i: usize, steps: usize) -> f32 {
    let step = 1.0 / steps as f32;
    if 2 * i < steps + 1 { step * i as f32 } else { 1.0 - step * (steps - i) as f32 }
}
