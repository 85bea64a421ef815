//! A chooser that is shown what another chose goes on as the other would: what forks and saved sequences rest on.

#![allow(clippy::unwrap_used, reason = "an error is a failed test")]

use std::path::Path;

use mynah_gguf::GgufFile;
use mynah_runtime::grammar::{Grammar, GrammarCompiler, Scope};
use mynah_runtime::sample::{Chooser, Sampler, SamplerOptions};
use mynah_runtime::{Choice, Choose};
use mynah_tensor::Rng;
use mynah_text::bpe::Tokenizer;

const PROMPT: [u32; 4] = [3, 7, 7, 1];

fn tokenizer() -> Tokenizer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/text/qwen2.gguf");
    Tokenizer::from_metadata(GgufFile::open(path).unwrap().metadata()).unwrap()
}

/// The logits of each step.
fn logits(steps: usize, vocabulary: usize) -> Vec<Vec<f32>> {
    let mut rng = Rng::new(4);
    let mut all = vec![vec![0.0; vocabulary]; steps];
    all.iter_mut().for_each(|logits| rng.fill_normal(logits, 2.0));
    all
}

fn options(temperature: f32) -> SamplerOptions {
    SamplerOptions {
        temperature,
        top_p: 0.9,
        repeat_penalty: 1.3,
        frequency_penalty: 0.4,
        seed: 21,
        logprobs: Some(1),
        ..SamplerOptions::default()
    }
}

/// Every choice of a chooser, then those of one that takes over after each step.
fn take_over(make: &dyn Fn() -> Chooser, logits: &[Vec<f32>]) -> Vec<Choice> {
    let mut first = make();
    first.begin(&PROMPT);
    let mut choices: Vec<Choice> = Vec::new();
    for logits in logits {
        choices.push(first.choose(&mut logits.clone()).unwrap());
        if choices.last().unwrap().stop {
            break;
        }
    }
    for shown in 0..choices.len() {
        let mut other = make();
        other.begin(&PROMPT);
        choices[..shown].iter().for_each(|choice| other.observe(choice.token).unwrap());
        for (expected, logits) in choices[shown..].iter().zip(&logits[shown..]) {
            assert_eq!(&other.choose(&mut logits.clone()).unwrap(), expected, "after {shown}");
        }
    }
    choices
}

#[test]
fn a_sampler_goes_on() {
    let logits = logits(12, 500);
    for temperature in [0.0, 0.8] {
        let make = || Chooser::new(Sampler::new(options(temperature)).unwrap(), None);
        let choices = take_over(&make, &logits);
        assert_eq!(choices.len(), 12);
        assert!(
            choices.iter().all(|choice| choice.logprob.is_some() && choice.top.len() == 1 && !choice.stop)
        );
    }
}

#[test]
fn guesses_follow_the_grammar_and_change_nothing() {
    let tokenizer = tokenizer();
    let compiler = GrammarCompiler::new(&tokenizer, tokenizer.len()).unwrap();
    let grammar = Grammar::Regex("[a-f]{6,8}!".into());
    let after = tokenizer.encode("</think>", mynah_text::bpe::Specials::All)[0];
    let all = logits(14, tokenizer.len());
    for after in [None, Some(after)] {
        let scope = Scope { after, unless: None };
        let make = |constrained: bool| {
            let constraint = constrained.then(|| compiler.compile(&grammar, scope).unwrap());
            Chooser::new(Sampler::new(options(1.0)).unwrap(), constraint)
        };
        let (mut plain, mut guessing) = (make(true), make(true));
        [&mut plain, &mut guessing].into_iter().for_each(|chooser| chooser.begin(&PROMPT));
        let mut said = Vec::new();
        for (at, logits) in all.iter().enumerate() {
            // As many guesses as there are to make, by logits that are not those of the choice.
            let mut drafted = Vec::new();
            let after_these = all[at..].iter().rev();
            for other in after_these {
                let Some(token) = guessing.guess(&drafted, &mut other.clone()) else { break };
                drafted.push(token);
            }
            if after.is_none() {
                let text = tokenizer.decode(&[said.as_slice(), drafted.as_slice()].concat()).unwrap();
                let [letters, marks] = [text.trim_end_matches('!'), "!"];
                assert!(letters.len() <= 8 && letters.chars().all(|c| ('a'..='f').contains(&c)), "{text}");
                assert!(text.matches(marks).count() <= 1 && !drafted.is_empty());
            } else {
                // Thoughts are free.
                assert_eq!(drafted.len(), all.len() - at);
            }
            let choice = guessing.choose(&mut logits.clone()).unwrap();
            assert_eq!(choice, plain.choose(&mut logits.clone()).unwrap());
            said.push(choice.token);
            if choice.stop {
                break;
            }
        }
        assert_eq!(make(false).guess(&[], &mut [1.0, f32::NAN, 4.0, 4.0]), Some(2));
        assert_eq!(make(false).guess(&[], &mut [f32::NEG_INFINITY; 4]), None);
    }
}

#[test]
fn a_grammar_goes_on_and_ends_the_sequence() {
    let tokenizer = tokenizer();
    let compiler = GrammarCompiler::new(&tokenizer, tokenizer.len()).unwrap();
    let grammar = Grammar::Regex("[a-f]{6,8}!".into());
    let constraint = || Some(compiler.compile(&grammar, Scope::default()).unwrap());
    let make = || Chooser::new(Sampler::new(options(1.0)).unwrap(), constraint());
    let choices = take_over(&make, &logits(12, tokenizer.len()));
    let tokens: Vec<u32> = choices.iter().map(|choice| choice.token).collect();
    assert!(choices.last().unwrap().stop && choices.iter().filter(|choice| choice.stop).count() == 1);
    let text = tokenizer.decode(&tokens).unwrap();
    assert!(text.ends_with('!') && (7..=9).contains(&text.len()), "{text}");

    // What doesn't follow the grammar is no chooser's past.
    let mut other = make();
    other.begin(&PROMPT);
    let wrong = tokenizer.encode("z", mynah_text::bpe::Specials::None)[0];
    let error = other.observe(wrong).unwrap_err().to_string();
    assert_eq!(error, format!("no token can be chosen: token {wrong} doesn't follow the grammar"));
}
