//! The best few of many, without sorting the many.

use std::cmp::Ordering;

use super::error::SampleError;

/// The largest logit.
///
/// # Errors
/// [`SampleError::BadLogit`] for NaN or plus infinity anywhere, [`SampleError::NothingLeft`] if nothing is above minus infinity.
pub(super) fn largest(logits: &[f32]) -> Result<f32, SampleError> {
    // Lanes, so that the compiler makes vector code of it. A comparison with NaN is false.
    const LANES: usize = 16;
    let (mut best, mut good) = ([f32::NEG_INFINITY; LANES], true);
    let (whole, rest) = logits.as_chunks::<LANES>();
    for chunk in whole {
        for (best, &logit) in best.iter_mut().zip(chunk) {
            *best = if logit > *best { logit } else { *best };
            good &= logit < f32::INFINITY;
        }
    }
    for &logit in rest {
        best[0] = best[0].max(logit);
        good &= logit < f32::INFINITY;
    }
    if !good && let Some(at) = logits.iter().position(|logit| logit.is_nan() || *logit == f32::INFINITY) {
        return Err(SampleError::BadLogit { token: at as u32, value: logits[at] });
    }
    match best.into_iter().fold(f32::NEG_INFINITY, f32::max) {
        f32::NEG_INFINITY => Err(SampleError::NothingLeft),
        best => Ok(best),
    }
}

/// By logit, the larger first, then by id.
fn better(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The `k` best tokens with their logits, best first; fewer if fewer are above minus infinity. Linear in the number of logits.
pub(super) fn top_k(logits: &[f32], k: usize) -> Vec<(u32, f32)> {
    const CHUNK: usize = 32;
    let k = k.min(logits.len());
    if k == 0 {
        return Vec::new();
    }
    // Whatever is no better than the k-th of a selection made before has no chance. Most logits are dismissed by that comparison,
    // many at a time.
    let limit = 2 * k.max(CHUNK);
    let mut kept: Vec<(u32, f32)> = Vec::with_capacity(limit);
    let mut floor = f32::NEG_INFINITY;
    for (chunk, first) in logits.chunks(CHUNK).zip((0u32..).step_by(CHUNK)) {
        if !chunk.iter().fold(false, |any, &logit| any | (logit > floor)) {
            continue;
        }
        for (&logit, token) in chunk.iter().zip(first..) {
            // An equal logit has a higher id than those kept, so it is worse.
            if logit > floor {
                kept.push((token, logit));
            }
        }
        if kept.len() + CHUNK > limit {
            kept.select_nth_unstable_by(k - 1, better);
            kept.truncate(k);
            floor = kept[k - 1].1;
        }
    }
    if kept.len() > k {
        kept.select_nth_unstable_by(k - 1, better);
        kept.truncate(k);
    }
    kept.sort_unstable_by(better);
    kept
}

/// A candidate in an order of preference: the smaller key first, then the lower place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked {
    pub(super) key: f64,
    pub(super) place: u32,
    pub(super) weight: f32,
}

/// Moves the fewest candidates whose weights reach `goal` to the front, and says how many they are: all, if they don't reach it.
/// Selects ever larger blocks, halves the one in which the goal is, and sorts only what is left of it: linear in what is kept.
pub(super) fn reach(ranked: &mut [Ranked], goal: f64) -> usize {
    const FEW: usize = 64;
    let order = |a: &Ranked, b: &Ranked| a.key.total_cmp(&b.key).then(a.place.cmp(&b.place));
    let weight = |some: &[Ranked]| some.iter().map(|candidate| f64::from(candidate.weight)).sum::<f64>();
    // The goal is not before `done`, whose weight is `mass`; with `end` it is known to be before that.
    let (mut done, mut mass, mut block, mut end) = (0, 0.0, FEW, None);
    loop {
        let until = end.unwrap_or(ranked.len());
        let rest = &mut ranked[done..until];
        if rest.len() <= FEW {
            rest.sort_unstable_by(order);
            for (at, candidate) in rest.iter().enumerate() {
                mass += f64::from(candidate.weight);
                if mass >= goal {
                    return done + at + 1;
                }
            }
            return done + rest.len();
        }
        let size = if end.is_some() { rest.len() / 2 } else { block.min(rest.len()) };
        if size < rest.len() {
            rest.select_nth_unstable_by(size - 1, order);
        }
        let more = weight(&rest[..size]);
        if mass + more >= goal {
            end = Some(done + size);
        } else {
            mass += more;
            done += size;
            block *= 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn largest_refuses() {
        for n in [1, 15, 16, 17, 40] {
            for at in 0..n {
                let mut logits = vec![-1.0; n];
                logits[at] = 2.0;
                assert_eq!(largest(&logits), Ok(2.0));
                logits[at] = f32::INFINITY;
                assert_eq!(
                    largest(&logits),
                    Err(SampleError::BadLogit { token: at as u32, value: f32::INFINITY })
                );
                logits[at] = f32::NAN;
                assert!(
                    matches!(largest(&logits), Err(SampleError::BadLogit { token, value }) if value.is_nan() && token as usize == at)
                );
            }
            assert_eq!(largest(&vec![f32::NEG_INFINITY; n]), Err(SampleError::NothingLeft));
        }
        assert_eq!(largest(&[]), Err(SampleError::NothingLeft));
    }

    /// Few values, so that there are ties.
    fn logits() -> impl Strategy<Value = Vec<f32>> {
        let logit =
            prop_oneof![9 => (-20i16..20).prop_map(|n| f32::from(n) / 4.0), 1 => Just(f32::NEG_INFINITY)];
        prop::collection::vec(logit, 0..400)
    }

    proptest! {
        #[test]
        fn top_k_is_a_sort_cut_off(logits in logits(), k in 0usize..450) {
            let mut sorted: Vec<(u32, f32)> =
                (0..).zip(logits.iter().copied()).filter(|(_, logit)| *logit > f32::NEG_INFINITY).collect();
            // A stable sort keeps equal logits by id.
            sorted.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal));
            sorted.truncate(k);
            prop_assert_eq!(top_k(&logits, k), sorted);
        }

        #[test]
        fn reach_is_a_sort_summed_up(
            items in prop::collection::vec((0u8..50, 0u16..100), 0..2000),
            share in 0.0f64..1.2,
        ) {
            let mut ranked: Vec<Ranked> = (0..)
                .zip(&items)
                .map(|(place, &(key, weight))| Ranked { key: f64::from(key), place, weight: f32::from(weight) })
                .collect();
            let goal = share * items.iter().map(|item| f64::from(item.1)).sum::<f64>();
            let mut sorted = ranked.clone();
            sorted.sort_by(|a, b| a.key.total_cmp(&b.key));
            // Whole numbers, so sums are exact in any order.
            let mut mass = 0.0;
            let count = sorted.iter().position(|item| { mass += f64::from(item.weight); mass >= goal }).map_or(items.len(), |at| at + 1);
            prop_assert_eq!(reach(&mut ranked, goal), count);
            let mut kept: Vec<u32> = ranked[..count].iter().map(|item| item.place).collect();
            let mut expected: Vec<u32> = sorted[..count].iter().map(|item| item.place).collect();
            kept.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(kept, expected);
        }
    }
}
