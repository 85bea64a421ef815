//! Whole runs: the tokens that Python draws with the same numbers.

use crate::fixtures::{GPTS, LLAMAS, Reference, file, model, model_of, say, say_excited};
use mynah_device::Policy;
use mynah_models::chatterbox::t3::{Finish, Sampling, T3, T3Options};

/// Options of a run as `oracles/chatterbox/t3.py` has them.
fn options(model: &T3, steps: usize, sampling: impl Fn(Sampling) -> Sampling) -> T3Options {
    let mut options = T3Options::of(model.config());
    options.max_tokens = steps;
    options.sampling = sampling(options.sampling);
    options
}

#[track_caller]
fn agrees(model: &mut T3, case: &str, run: &str, steps: usize, sampling: impl Fn(Sampling) -> Sampling) {
    let reference = Reference::of(case);
    let uniforms = if run.starts_with("sampled") { reference.uniforms(run) } else { Vec::new() };
    let exaggeration = if run == "greedy_excited" { 0.9 } else { 0.5 };
    let options = options(model, steps, sampling);
    let speech = say_excited(model, case, options, &uniforms, exaggeration);
    let mut wanted = reference.tokens(run);
    if speech.finish == Finish::Stopped && model.config().llama().is_none() {
        // Python's Turbo takes it off.
        wanted.push(model.config().stop_speech);
    }
    assert_eq!(speech.drawn, wanted, "{case}, {run}");
    let stopped = wanted.last() == Some(&model.config().stop_speech);
    assert_eq!(speech.finish, if stopped { Finish::Stopped } else { Finish::Length });
}

fn all_runs(case: &str, model: &mut T3) {
    let greedy = |s: Sampling| Sampling { temperature: 0.0, ..s };
    if GPTS.contains(&case) {
        agrees(model, case, "greedy", 40, greedy);
        agrees(model, case, "greedy_unpenalised", 40, |s| Sampling { repetition_penalty: 1.0, ..greedy(s) });
        agrees(model, case, "sampled", 40, |s| s);
        agrees(model, case, "sampled_tight", 40, |s| Sampling {
            temperature: 0.6,
            top_k: 9,
            top_p: 0.8,
            ..s
        });
        return;
    }
    let mild = |s: Sampling| Sampling { repetition_penalty: 1.2, ..s };
    agrees(model, case, "greedy", 40, greedy);
    agrees(model, case, "greedy_unguided", 40, |s| Sampling { cfg_weight: 0.0, ..greedy(s) });
    agrees(model, case, "greedy_excited", 40, |s| Sampling { cfg_weight: 0.8, ..mild(greedy(s)) });
    agrees(model, case, "sampled", 40, |s| s);
    agrees(model, case, "sampled_tight", 40, |s| Sampling {
        temperature: 0.5,
        top_p: 0.8,
        min_p: 0.1,
        ..mild(s)
    });
}

#[test]
fn a_llama_says_what_python_says() {
    LLAMAS.iter().for_each(|case| all_runs(case, &mut model(case)));
}

#[test]
fn a_gpt2_says_what_python_says() {
    GPTS.iter().for_each(|case| all_runs(case, &mut model(case)));
}

#[test]
fn the_analyser_ends_what_python_ends() {
    let mut model = model("aligned");
    let reference = Reference::of("aligned");
    for run in ["greedy", "sampled"] {
        let temperature = if run == "greedy" { 0.0 } else { 0.8 };
        let mut options = options(&model, 60, |s| Sampling { temperature, repetition_penalty: 1.2, ..s });
        options.align = true;
        let uniforms = if run == "greedy" { Vec::new() } else { reference.uniforms(run) };
        let found = say(&mut model, "aligned", options, &uniforms);
        assert_eq!(found.drawn, reference.tokens(run), "{run}");
        // It is the analyser that ends it there.
        let numbers = [uniforms, vec![0.5; 60]].concat();
        let without = say(&mut model, "aligned", T3Options { align: false, ..options }, &numbers);
        assert_ne!(without.drawn, found.drawn, "{run}");
    }
}

#[test]
fn runs_follow_each_other_as_they_would_alone() {
    let greedy = |model: &T3| options(model, 30, |s| Sampling { temperature: 0.0, ..s });
    for case in ["mtl", "turbo"] {
        let mut model = model_of(file(case), Policy::default(), 2);
        let options = greedy(&model);
        let first = say(&mut model, case, options, &[]);
        say(&mut model, case, T3Options { max_tokens: 7, ..options }, &[]);
        assert_eq!(say(&mut model, case, options, &[]), first);
    }
}
