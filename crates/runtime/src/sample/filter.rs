//! The filters after top-k, over weighed candidates.

use super::candidates::Candidates;
use super::select::{Ranked, reach};

/// Keeps the fewest candidates, best first, whose probabilities reach `mass`.
pub(super) fn top_p(candidates: &mut Candidates, mass: f32) {
    if mass < 1.0 {
        keep_nearest(candidates, mass, |logit| -f64::from(logit));
    }
}

/// Keeps the fewest candidates whose probabilities reach `mass`, those first whose surprise is nearest to the entropy.
pub(super) fn typical(candidates: &mut Candidates, mass: f32) {
    if mass >= 1.0 {
        return;
    }
    // With p = exp(l) / Z, surprise -ln p and entropy E[-ln p] differ by E[l] - l: no logarithm is needed.
    let max = f64::from(candidates.max);
    let below = |logit: f32| f64::from(logit) - max;
    let sum: f64 = (candidates.logits.iter().zip(&candidates.weights))
        .filter(|(_, weight)| **weight > 0.0)
        .map(|(&logit, &weight)| f64::from(weight) * below(logit))
        .sum();
    let mean = sum / candidates.total;
    keep_nearest(candidates, mass, |logit| (below(logit) - mean).abs());
}

/// Keeps candidates with at least `share` of the best one's probability.
pub(super) fn min_p(candidates: &mut Candidates, share: f32) {
    if share > 0.0 {
        // The best one's weight is 1.
        let keep: Vec<bool> = candidates.weights.iter().map(|&weight| weight >= share).collect();
        candidates.retain(|at| keep[at]);
    }
}

fn keep_nearest(candidates: &mut Candidates, mass: f32, key: impl Fn(f32) -> f64) {
    let mut ranked = std::mem::take(&mut candidates.ranked);
    ranked.clear();
    let weighed = candidates.logits.iter().zip(&candidates.weights).zip(0..);
    ranked.extend(weighed.map(|((&logit, &weight), place)| Ranked { key: key(logit), place, weight }));
    let count = reach(&mut ranked, f64::from(mass) * candidates.total);
    if count < ranked.len() {
        let mut keep = vec![false; ranked.len()];
        for candidate in &ranked[..count] {
            keep[candidate.place as usize] = true;
        }
        candidates.retain(|at| keep[at]);
    } else {
        // Tokens may have been left out that compete no more.
        candidates.retain(|_| true);
    }
    candidates.ranked = ranked;
}
