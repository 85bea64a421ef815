//! The sampler against definitions written down in f64, one whole sort at a time; and its draws against their probabilities.

#![allow(clippy::unwrap_used, reason = "an error is a failed test")]

use mynah_runtime::sample::{SampleError, Sampler, SamplerOptions, TokenMask};
use mynah_tensor::Rng;
use proptest::prelude::*;

/// Probabilities after the chain, by the book. `None` where a decision hangs on less than `rounding`.
fn by_the_book(logits: &[f64], options: &SamplerOptions, rounding: f64) -> Option<Vec<(u32, f64)>> {
    let mut left: Vec<(u32, f64)> =
        (0..).zip(logits.iter().copied()).filter(|(_, l)| l.is_finite()).collect();
    let best_first = |left: &mut Vec<(u32, f64)>| left.sort_by(|a, b| b.1.total_cmp(&a.1));
    let softmax = |left: &[(u32, f64)], temperature: f64| -> Vec<f64> {
        let max = left.iter().map(|c| c.1).fold(f64::NEG_INFINITY, f64::max);
        let exps: Vec<f64> = left.iter().map(|c| ((c.1 - max) / temperature).exp()).collect();
        let sum: f64 = exps.iter().sum();
        exps.into_iter().map(|e| e / sum).collect()
    };
    let reaching = |probabilities: &[f64], mass: f32| -> Option<usize> {
        let mut sum = 0.0;
        for (at, p) in probabilities.iter().enumerate() {
            sum += p;
            if (sum - f64::from(mass)).abs() < rounding {
                return None;
            }
            if sum >= f64::from(mass) {
                return Some(at + 1);
            }
        }
        Some(probabilities.len())
    };
    best_first(&mut left);
    if options.top_k > 0 {
        left.truncate(options.top_k);
    }
    if options.typical < 1.0 {
        let entropy: f64 = softmax(&left, 1.0).iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        let surprise: Vec<f64> = softmax(&left, 1.0).iter().map(|p| (-p.ln() - entropy).abs()).collect();
        let mut order: Vec<usize> = (0..left.len()).collect();
        order.sort_by(|&a, &b| surprise[a].total_cmp(&surprise[b]).then(left[a].0.cmp(&left[b].0)));
        let near = |pair: &[usize]| {
            (surprise[pair[0]] - surprise[pair[1]]).abs() < rounding && left[pair[0]].1 != left[pair[1]].1
        };
        if order.windows(2).any(near) {
            return None;
        }
        let p = softmax(&left, 1.0);
        let count = reaching(&order.iter().map(|&at| p[at]).collect::<Vec<_>>(), options.typical)?;
        left = order[..count].iter().map(|&at| left[at]).collect();
        left.sort_by_key(|c| c.0);
        best_first(&mut left);
    }
    if options.top_p < 1.0 {
        let count = reaching(&softmax(&left, 1.0), options.top_p)?;
        left.truncate(count);
    }
    if options.min_p > 0.0 {
        let p = softmax(&left, 1.0);
        let floor = f64::from(options.min_p) * p[0];
        if p.iter().any(|p| (p - floor).abs() < rounding * floor) {
            return None;
        }
        let count = p.iter().filter(|&&p| p >= floor).count();
        left.truncate(count);
    }
    left.sort_by_key(|c| c.0);
    let p = softmax(&left, f64::from(options.temperature));
    Some(left.iter().map(|c| c.0).zip(p).collect())
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    // Quarters give ties, the range gives both flat and steep distributions.
    let steps = (-40i16..40).prop_map(|n| f32::from(n) / 4.0);
    prop_oneof![
        prop::collection::vec(steps, 1..60),
        prop::collection::vec(-12f32..12.0, 1..300),
        prop::collection::vec(-1f32..1.0, 200..3000),
    ]
}

fn options() -> impl Strategy<Value = SamplerOptions> {
    let mass = || prop_oneof![2 => Just(1.0f32), 3 => 0.02f32..0.9999];
    let min_p = prop_oneof![2 => Just(0f32), 3 => 0f32..1.0];
    (0.05f32..3.0, prop_oneof![1 => Just(0usize), 1 => 1usize..80], mass(), min_p, mass()).prop_map(
        |(temperature, top_k, top_p, min_p, typical)| SamplerOptions {
            temperature,
            top_k,
            top_p,
            min_p,
            typical,
            ..SamplerOptions::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_chain_is_its_definition(logits in logits(), options in options()) {
        let wide: Vec<f64> = logits.iter().map(|&l| f64::from(l)).collect();
        let expected = by_the_book(&wide, &options, 1e-5);
        prop_assume!(expected.is_some());
        let expected = expected.unwrap();
        let given = Sampler::new(options).unwrap().distribution(&logits, None).unwrap();
        let tokens: Vec<u32> = given.iter().map(|c| c.token).collect();
        prop_assert_eq!(tokens, expected.iter().map(|c| c.0).collect::<Vec<_>>());
        for (given, expected) in given.iter().zip(&expected) {
            prop_assert!((given.probability - expected.1).abs() < 1e-5 * expected.1 + 1e-9, "{given:?} {expected:?}");
        }
        let sum: f64 = given.iter().map(|c| c.probability).sum();
        prop_assert!((sum - 1.0).abs() < 1e-6, "{}", sum);
    }

    #[test]
    fn greedy_is_the_first_of_the_best(logits in logits(), allowed in prop::collection::vec(any::<u16>(), 1..9)) {
        let mut mask = TokenMask::none(logits.len());
        allowed.iter().for_each(|&at| mask.allow(u32::from(at) % logits.len() as u32));
        let mut sampler = Sampler::new(SamplerOptions { top_k: 3, typical: 0.1, ..SamplerOptions::greedy() }).unwrap();
        let mut best = mask.tokens().next().unwrap();
        for token in mask.tokens() {
            if logits[token as usize] > logits[best as usize] {
                best = token;
            }
        }
        prop_assert_eq!(sampler.sample(&logits, Some(&mask)).unwrap().token, best);
        prop_assert_eq!(sampler.drawn(), 0);
    }

    #[test]
    fn masked_tokens_never_come(logits in logits(), options in options(), allowed in prop::collection::vec(any::<u16>(), 1..9)) {
        let mut mask = TokenMask::none(logits.len());
        allowed.iter().for_each(|&at| mask.allow(u32::from(at) % logits.len() as u32));
        let given = Sampler::new(options.clone()).unwrap().distribution(&logits, Some(&mask)).unwrap();
        prop_assert!(given.iter().all(|c| mask.allows(c.token)));
        // A mask is a bias of minus infinity.
        let forbidden = (0..logits.len() as u32).filter(|&t| !mask.allows(t)).map(|t| (t, f32::NEG_INFINITY)).collect();
        let biased = SamplerOptions { logit_bias: forbidden, ..options };
        prop_assert_eq!(given, Sampler::new(biased).unwrap().distribution(&logits, None).unwrap());
    }
}

/// A vocabulary of Qwen3.5's size, logits normal with deviation 2.5.
fn vocabulary() -> Vec<f32> {
    let mut logits = vec![0.0; 248_320];
    Rng::new(5).fill_normal(&mut logits, 2.5);
    logits
}

#[test]
fn a_whole_vocabulary() {
    let logits = vocabulary();
    let wide: Vec<f64> = logits.iter().map(|&l| f64::from(l)).collect();
    let plain = SamplerOptions::default();
    let cases = [
        SamplerOptions { top_k: 40, top_p: 0.95, min_p: 0.05, temperature: 0.8, ..plain.clone() },
        SamplerOptions { top_p: 0.9, ..plain.clone() },
        SamplerOptions { top_p: 0.9999, ..plain.clone() },
        SamplerOptions { min_p: 0.01, ..plain.clone() },
        SamplerOptions { top_k: 100_000, top_p: 0.5, ..plain.clone() },
        plain,
    ];
    for options in cases {
        let expected = by_the_book(&wide, &options, 0.0).unwrap();
        let given = Sampler::new(options.clone()).unwrap().distribution(&logits, None).unwrap();
        // Sums over so many are good to 1e-6, so the last of thousands may be in or out.
        let differ = given.len().abs_diff(expected.len());
        assert!(differ <= 1 + expected.len() / 1000, "{options:?}: {} {}", given.len(), expected.len());
        let sum: f64 = given.iter().map(|c| c.probability).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        if differ == 0 {
            for (given, expected) in given.iter().zip(&expected) {
                assert_eq!(given.token, expected.0);
                assert!((given.probability - expected.1).abs() < 1e-5 * expected.1 + 1e-12);
            }
        }
    }
}

#[test]
fn draws_follow_the_distribution() {
    let logits: Vec<f32> = (0..12).map(|i| (i % 5) as f32 * 0.7 - 1.0).collect();
    let options = SamplerOptions { temperature: 0.9, top_p: 0.97, seed: 42, ..SamplerOptions::default() };
    let mut sampler = Sampler::new(options).unwrap();
    let expected = sampler.distribution(&logits, None).unwrap();
    assert!(expected.len() > 5 && expected.len() < 12);
    let n = 200_000;
    let mut counts = [0u32; 12];
    for _ in 0..n {
        counts[sampler.sample(&logits, None).unwrap().token as usize] += 1;
    }
    let mut chi_squared = 0.0;
    for candidate in &expected {
        let mean = candidate.probability * f64::from(n);
        chi_squared += (f64::from(counts[candidate.token as usize]) - mean).powi(2) / mean;
        counts[candidate.token as usize] = 0;
    }
    assert_eq!(counts, [0; 12], "tokens came that have no probability");
    // The 99.9th percentile of chi squared with ten degrees of freedom is 29.6.
    assert!(chi_squared < 29.6, "{chi_squared}");
}

#[test]
fn a_seed_gives_the_same_tokens_and_a_place_goes_on() {
    let logits = vocabulary();
    let options = SamplerOptions { top_k: 500, seed: 9, ..SamplerOptions::default() };
    let mut sampler = Sampler::new(options.clone()).unwrap();
    let first: Vec<u32> = (0..20).map(|_| sampler.sample(&logits, None).unwrap().token).collect();
    assert_eq!(sampler.drawn(), 20);
    sampler.reset();
    let again: Vec<u32> = (0..20).map(|_| sampler.sample(&logits, None).unwrap().token).collect();
    assert_eq!(first, again);
    let mut other = Sampler::new(options.clone()).unwrap();
    other.seek(7);
    assert_eq!(other.clone().sample(&logits, None).unwrap().token, first[7]);
    assert_eq!(other.sample(&logits, None).unwrap().token, first[7]);
    let mut seed = Sampler::new(SamplerOptions { seed: 10, ..options }).unwrap();
    assert_ne!((0..20).map(|_| seed.sample(&logits, None).unwrap().token).collect::<Vec<_>>(), first);
    // Known tokens: a change of the generator or of the arithmetic is a change that users notice.
    assert_eq!(first[..6], FIRST);
}

const FIRST: [u32; 6] = [119_344, 171_951, 193_644, 170_407, 154_712, 184_728];

#[test]
fn penalties_move_the_choice() {
    let logits = [2.0, 1.9, -1.0, 0.0];
    let options = SamplerOptions { repeat_penalty: 1.5, ..SamplerOptions::greedy() };
    let mut sampler = Sampler::new(options).unwrap();
    assert_eq!(sampler.sample(&logits, None).unwrap().token, 0);
    sampler.accept(0);
    assert_eq!(sampler.sample(&logits, None).unwrap().token, 1);
    sampler.accept(1);
    // Both are penalised alike: 2 / 1.5 > 1.9 / 1.5.
    assert_eq!(sampler.sample(&logits, None).unwrap().token, 0);
    sampler.reset();
    assert_eq!(sampler.sample(&logits, None).unwrap().token, 0);

    let options = SamplerOptions { presence_penalty: 0.3, penalty_window: 1, ..SamplerOptions::greedy() };
    let mut sampler = Sampler::new(options).unwrap();
    sampler.accept(0);
    assert_eq!(sampler.sample(&logits, None).unwrap().token, 1);
    sampler.accept(3);
    assert_eq!(sampler.sample(&logits, None).unwrap().token, 0, "token 0 left the window");
    // A token of another vocabulary penalises nothing.
    sampler.accept(400);
    assert_eq!(sampler.sample(&logits, None).unwrap().token, 0);
}

#[test]
fn logprobs_are_the_models_own() {
    let logits = [1.0f32, 3.0, 2.0, f32::NEG_INFINITY];
    let options = SamplerOptions {
        temperature: 0.0,
        logit_bias: vec![(1, f32::NEG_INFINITY)],
        logprobs: Some(2),
        ..SamplerOptions::default()
    };
    let choice = Sampler::new(options).unwrap().sample(&logits, None).unwrap();
    assert_eq!(choice.token, 2);
    let logprobs = choice.logprobs.unwrap();
    let total: f64 = [1.0f64, 3.0, 2.0].iter().map(|l| l.exp()).sum();
    assert!((f64::from(logprobs.chosen.logprob) - (2.0 - total.ln())).abs() < 1e-6);
    assert_eq!(logprobs.top.iter().map(|t| t.token).collect::<Vec<_>>(), [1, 2]);
    assert!((f64::from(logprobs.top[0].logprob) - (3.0 - total.ln())).abs() < 1e-6);
}

#[test]
fn logits_and_masks_that_leave_nothing() {
    let mut sampler = Sampler::new(SamplerOptions { top_k: 2, ..SamplerOptions::default() }).unwrap();
    assert_eq!(sampler.sample(&[], None), Err(SampleError::NothingLeft));
    assert_eq!(sampler.sample(&[f32::NEG_INFINITY; 3], None), Err(SampleError::NothingLeft));
    assert_eq!(sampler.sample(&[1.0, 2.0], Some(&TokenMask::none(2))), Err(SampleError::NothingLeft));
    assert_eq!(
        sampler.sample(&[1.0, 2.0], Some(&TokenMask::all(3))),
        Err(SampleError::MaskSize { mask: 3, logits: 2 })
    );
    let mut only_first = TokenMask::none(2);
    only_first.allow(0);
    assert!(matches!(
        sampler.sample(&[1.0, f32::NAN], Some(&only_first)),
        Err(SampleError::BadLogit { token: 1, .. })
    ));
    let options = SamplerOptions { logit_bias: vec![(5, 1.0)], ..SamplerOptions::default() };
    assert_eq!(
        Sampler::new(options).unwrap().sample(&[1.0], None),
        Err(SampleError::TokenOutOfRange { token: 5, size: 1 })
    );
    // Penalties that overflow.
    let options = SamplerOptions { presence_penalty: -3e38, ..SamplerOptions::default() };
    let mut sampler = Sampler::new(options).unwrap();
    sampler.accept(1);
    assert!(matches!(sampler.sample(&[1.0, 3e38], None), Err(SampleError::BadLogit { token: 1, .. })));
    // Logits at the ends of the range are numbers like others.
    let mut sampler =
        Sampler::new(SamplerOptions { temperature: 1e-45, ..SamplerOptions::default() }).unwrap();
    assert_eq!(sampler.sample(&[f32::MIN, f32::MAX, 0.0], None).unwrap().token, 1);
}
