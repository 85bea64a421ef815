//! Logits of every position, however the prompt is cut.

use crate::fixtures::{CASES, TOKENS, model, model_with, nmse, reference, run};
use mynah_device::{F16_CACHE, Policy};

/// The ways a prompt is cut.
fn cuts() -> [Vec<usize>; 4] {
    [vec![TOKENS], vec![1, 7, 64, 78], vec![64, 64, 22], vec![1; TOKENS]]
}

/// The largest of a row and how far the next is.
fn best(row: &[f32]) -> (usize, f32) {
    let largest = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let others = row.iter().enumerate().filter(|(i, _)| *i != largest);
    (largest, row[largest] - others.fold(f32::NEG_INFINITY, |m, (_, &x)| m.max(x)))
}

#[test]
fn every_position_agrees_with_transformers() {
    for case in CASES {
        let (tokens, wanted) = reference(case);
        let mut model = model(case);
        let vocabulary = model.config().vocabulary;
        for n in [1, 7, 64, TOKENS] {
            let found = run(&mut model, 1, &tokens, &[n]).unwrap();
            let error = nmse(&found, &wanted[..n * vocabulary]);
            assert!(error <= 1e-9, "{case}, {n} tokens: {error:e}");
        }
        let found = run(&mut model, 1, &tokens, &[TOKENS]).unwrap();
        let scale = (wanted.iter().map(|x| x * x).sum::<f32>() / wanted.len() as f32).sqrt();
        let mut clear = 0;
        for (found, wanted) in found.chunks(vocabulary).zip(wanted.chunks(vocabulary)) {
            let (token, margin) = best(wanted);
            if margin > 1e-3 * scale {
                assert_eq!(best(found).0, token, "{case}");
                clear += 1;
            }
        }
        assert!(clear > TOKENS * 9 / 10, "{case}: hardly any margin is clear");
    }
}

#[test]
fn a_cut_changes_no_bit() {
    for (case, policy) in
        CASES.iter().flat_map(|case| [Policy::exact(), Policy::default()].map(|policy| (case, policy)))
    {
        let (tokens, _) = reference(case);
        let mut model = model_with(case, policy.clone(), 2, 1);
        let [whole, cuts @ ..] = cuts();
        let wanted = run(&mut model, 0, &tokens, &whole).unwrap();
        for cut in cuts {
            let found = run(&mut model, 0, &tokens, &cut).unwrap();
            assert!(found == wanted, "{case}, {:?}: {cut:?}", policy.precision);
        }
    }
}

#[test]
fn thread_counts_change_no_byte() {
    for case in ["dense", "experts", "next"] {
        for policy in [Policy::exact(), Policy::default()] {
            let (tokens, _) = reference(case);
            let of = |threads: usize| {
                let mut model = model_with(case, policy.clone(), threads, 1);
                run(&mut model, 2, &tokens, &[64, 1, 85]).unwrap()
            };
            let alone = of(1);
            assert!(of(2) == alone && of(3) == alone, "{case}");
        }
    }
}

#[test]
fn a_cache_of_halves_stays_nearer() {
    let mut policy = Policy::exact();
    policy.switch("f16-cache=on", &[F16_CACHE]).unwrap();
    for case in CASES {
        let (tokens, wanted) = reference(case);
        let mut model = model_with(case, policy.clone(), 2, 1);
        let floats = run(&mut model_with(case, Policy::exact(), 2, 1), 0, &tokens, &[TOKENS]).unwrap();
        let whole = run(&mut model, 0, &tokens, &[TOKENS]).unwrap();
        let error = nmse(&whole, &wanted);
        assert!(error <= 1e-5 && whole != floats, "{case}: {error:e}");
        for cut in cuts() {
            assert!(run(&mut model, 0, &tokens, &cut).unwrap() == whole, "{case}, {cut:?}");
        }
    }
}

#[test]
fn fast_routes_stay_near() {
    for case in CASES {
        let (tokens, wanted) = reference(case);
        let mut model = model_with(case, Policy::default(), 2, 1);
        for cut in cuts() {
            let error = nmse(&run(&mut model, 0, &tokens, &cut).unwrap(), &wanted);
            assert!(error <= 3e-3, "{case}, {cut:?}: {error:e}");
        }
    }
}
