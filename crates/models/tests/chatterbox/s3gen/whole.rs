//! Tokens to samples, again and again.

use crate::fixtures::{CASES, cosine, cpu, file, model, model_on, noise, reference, voice};
use mynah_device::Policy;
use mynah_models::chatterbox::noise::Philox;
use mynah_models::chatterbox::s3gen::{LoadOptions, Request, S3Gen, S3GenError};
use mynah_plan::Options;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tokens of some utterance.
fn tokens(count: usize, seed: u64) -> Vec<u32> {
    (0..count as u64)
        .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 7) as u32 % 120)
        .collect()
}

#[test]
fn samples_agree_with_the_reference() {
    for case in CASES {
        let (mut model, reference) = (model(case), reference(case));
        let voice = voice(&model);
        let speech = model.synthesize(&voice, &reference.tokens(), &noise(), None).unwrap();
        let likeness = cosine(&speech.samples, &reference.array("pcm"));
        assert!(likeness >= 0.99999, "{case}: {likeness}");
        assert!(speech.samples[..480].iter().all(|&x| x == 0.0));
        assert!(speech.samples.iter().all(|x| x.abs() <= 0.99));
    }
}

#[test]
fn a_trace_is_what_is_spoken() {
    for case in CASES {
        for policy in [Policy::exact(), Policy::default()] {
            let mut model = model_on(file(case), cpu(2), policy);
            let voice = voice(&model);
            let (tokens, noise) = (tokens(13, 5), Philox::new(5));
            let request = Request { voice: &voice, tokens: &tokens, noise: &noise };
            let trace = model.trace(&request, Some(3)).unwrap();
            let speech = model.synthesize(&voice, &tokens, &noise, Some(3)).unwrap();
            assert_eq!(trace.samples, speech.samples, "{case}");
            assert_eq!(trace.mel, model.mel(&request, Some(3), false).unwrap());
            assert_eq!((trace.steps.len(), &trace.steps[2]), (3, &trace.mel));
            assert_ne!(trace.steps[1], trace.mel);
            assert_eq!(trace.f0, model.pitch(&trace.mel).unwrap());
            assert_eq!(trace.source, model.source(&trace.f0, &noise).unwrap().0);
            // The means are those of the graph that gives them away, less its rows of padding.
            let means = model.encoder_stages(&request, &["mu"]).unwrap();
            assert_eq!(trace.mu.len(), (voice.prompt_tokens().len() + tokens.len()) * 2 * 80);
            assert!(cosine(&trace.mu, &means[0][..trace.mu.len()]) > 0.99999, "{case}");
        }
    }
}

#[test]
fn fast_routes_stay_near() {
    for case in CASES {
        let reference = reference(case);
        let mut model = model_on(file(case), cpu(2), Policy::default());
        let voice = voice(&model);
        let request = Request { voice: &voice, tokens: &reference.tokens(), noise: &noise() };
        let steps = model.config().cfm.steps;
        let mel = model.mel(&request, None, false).unwrap();
        let likeness = cosine(&mel, &reference.array(&format!("mel.{steps}")));
        assert!(likeness >= 0.999, "{case}: {likeness}");
    }
}

#[test]
fn syntheses_in_one_process_are_those_of_fresh_ones() {
    for case in CASES {
        for policy in [Policy::exact(), Policy::default()] {
            let fresh = |count: usize, seed: u64| {
                let mut model = model_on(file(case), cpu(1), policy.clone());
                let voice = voice(&model);
                let noise = Philox::new(seed);
                model.synthesize(&voice, &tokens(count, seed), &noise, Some(2)).unwrap().samples
            };
            let mut model = model_on(file(case), cpu(3), policy.clone());
            let voice = voice(&model);
            for (count, seed) in [(9, 1), (40, 2), (3, 3), (9, 1), (23, 4)] {
                let noise = Philox::new(seed);
                let found = model.synthesize(&voice, &tokens(count, seed), &noise, Some(2)).unwrap().samples;
                assert_eq!(found.len(), count * 960);
                assert!(found == fresh(count, seed), "{case}: {count} tokens after others");
            }
        }
    }
}

#[test]
fn a_fork_shares_nothing_but_weights() {
    let mut model = model("mtl");
    let mut fork = model.fork().unwrap();
    let voice = voice(&model);
    let noise = Philox::new(5);
    let wanted = model.synthesize(&voice, &tokens(12, 5), &noise, Some(2)).unwrap().samples;
    fork.synthesize(&voice, &tokens(30, 6), &noise, Some(1)).unwrap();
    let found = fork.synthesize(&voice, &tokens(12, 5), &noise, Some(2)).unwrap().samples;
    assert!(found == wanted);
}

#[test]
fn a_cancelled_request_leaves_nothing_behind() {
    let mut model = model("mtl");
    let voice = voice(&model);
    let noise = Philox::new(5);
    let wanted = model.synthesize(&voice, &tokens(12, 5), &noise, Some(2)).unwrap().samples;
    let flag = Arc::new(AtomicBool::new(true));
    model.set_cancel(Arc::clone(&flag));
    let cancelled = model.synthesize(&voice, &tokens(20, 6), &noise, Some(2));
    assert!(matches!(cancelled, Err(S3GenError::Cancelled)));
    flag.store(false, Ordering::Relaxed);
    assert!(model.synthesize(&voice, &tokens(12, 5), &noise, Some(2)).unwrap().samples == wanted);
}

#[test]
fn tiles_of_the_vocoder_meet_without_a_seam() {
    let mut model = model("turbo");
    let voice = voice(&model);
    let noise = Philox::new(8);
    let tokens = tokens(60, 8);
    let whole = model.synthesize(&voice, &tokens, &noise, None).unwrap().samples;
    assert!(model.config().hift.reach() == 17);
    for tile in [35, 50, 119] {
        model.set_vocoder_tile(tile);
        let found = model.synthesize(&voice, &tokens, &noise, None).unwrap().samples;
        let worst = found.iter().zip(&whole).map(|(f, w)| (f - w).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "tiles of {tile}: {worst:e}");
    }
}

#[test]
fn host_threads_change_no_byte() {
    let of = |host_threads: usize| {
        let executor = Options { policy: Policy::exact(), ..Options::default() };
        let mut model =
            S3Gen::load(file("turbo"), cpu(1), None, LoadOptions { executor, host_threads }).unwrap();
        let voice = voice(&model);
        model.synthesize(&voice, &tokens(20, 9), &Philox::new(9), Some(1)).unwrap().samples
    };
    let alone = of(1);
    assert!(of(2) == alone && of(7) == alone);
}
