//! Many sequences at a time say what each says alone.

use crate::fixtures::{Told, alone, cases, engine, file, load, prompt, request, stored_as};
use mynah_device::Policy;
use mynah_runtime::{Engine, EngineOptions, Finish, Request, SequenceId};
use mynah_tensor::DType;

/// Prompts from one token to several chunks.
const LENGTHS: [usize; 10] = [1, 33, 16, 90, 5, 64, 17, 40, 120, 2];

fn ten() -> impl Iterator<Item = Request> {
    LENGTHS
        .iter()
        .zip(0..)
        .map(|(&length, n)| request(prompt(n, length), 20 + n as usize, (n % 3 > 0).then_some(u64::from(n))))
}

fn single(engine: &mut Engine) -> Vec<Vec<u32>> {
    ten().map(|request| alone(engine, request)).collect()
}

fn together(engine: &mut Engine) -> Vec<Vec<u32>> {
    let mut told = Told::default();
    let mut ids: Vec<SequenceId> = Vec::new();
    for request in ten() {
        ids.push(engine.submit(request).unwrap());
        // Some come while others answer.
        (0..ids.len() % 3).for_each(|_| told.hear(engine.step()));
    }
    told.drain(engine);
    ids.iter().for_each(|id| assert!(matches!(told.finished[id], Finish::Length)));
    ids.iter().map(|id| told.tokens[id].clone()).collect()
}

#[test]
fn ten_sequences_at_a_time_say_what_each_says_alone() {
    let options = EngineOptions { sequences: 10, chunk: 32, checkpoints: 0, ..EngineOptions::default() };
    for policy in [Policy::exact(), Policy::default()] {
        for case in &cases() {
            let new = || Engine::new(load(file(case), policy.clone()), options).unwrap();
            let wanted = single(&mut new());
            let found = together(&mut new());
            assert_eq!(found, wanted, "{case}, {:?}", policy.precision);
            assert!(wanted.iter().zip(20..).all(|(tokens, n)| tokens.len() == n));
            // A model that always says the same would pass as well.
            assert!(wanted.iter().any(|tokens| tokens[0] != wanted[0][0]), "{case}");
        }
    }
}

#[test]
fn quantised_weights_too() {
    let options = EngineOptions { sequences: 10, chunk: 32, checkpoints: 0, ..EngineOptions::default() };
    for dtype in [DType::BF16, DType::F16, DType::Q8_0, DType::Q4_0] {
        let new = || Engine::new(load(stored_as("dense", dtype), Policy::default()), options).unwrap();
        assert_eq!(together(&mut new()), single(&mut new()), "{dtype}");
    }
}

#[test]
fn few_places_and_few_pages_change_nothing() {
    let wanted = single(&mut engine("dense", EngineOptions { checkpoints: 0, ..EngineOptions::default() }));
    for (sequences, cache, checkpoints) in
        [(10, 176, 0), (10, 208, 3), (3, 176, 2), (1, 176, 4), (10, 320, 8)]
    {
        let options = EngineOptions {
            sequences,
            cache: Some(cache),
            checkpoints,
            chunk: 48,
            ..EngineOptions::default()
        };
        let mut engine = engine("dense", options);
        assert_eq!(together(&mut engine), wanted, "{options:?}");
        let usage = engine.usage();
        assert!(
            cache > 208 || sequences < 10 || usage.preemptions > 0,
            "{options:?}: nobody had to give way"
        );
        engine.clear_checkpoints();
        assert_eq!((engine.usage().pages, engine.usage().rows), (0, 0), "{options:?}");
    }
}

#[test]
fn a_batch_is_one_step_for_all_that_answer() {
    let mut engine = engine("dense", EngineOptions { checkpoints: 0, ..EngineOptions::default() });
    let ids: Vec<SequenceId> =
        (0..4).map(|n| engine.submit(request(prompt(n, 8), 9, None)).unwrap()).collect();
    let mut told = Told::default();
    // Four prompts of a length share their step; each then says a token a step.
    for said in 1..=9 {
        told.hear(engine.step());
        assert!(ids.iter().all(|id| told.tokens[id].len() == said));
    }
    assert!(engine.is_idle());
}

#[test]
fn long_prompts_go_in_pieces_beside_those_who_answer() {
    let options = EngineOptions { chunk: 16, checkpoints: 0, ..EngineOptions::default() };
    let mut engine = engine("dense", options);
    let mut told = Told::default();
    let first = engine.submit(request(prompt(1, 4), 50, None)).unwrap();
    told.hear(engine.step());
    let second = engine.submit(request(prompt(2, 100), 1, None)).unwrap();
    for step in 1..=7 {
        told.hear(engine.step());
        assert_eq!(told.tokens[&first].len(), 1 + step);
        assert_eq!(told.finished.contains_key(&second), step == 7);
    }
}

#[test]
fn an_engine_can_work_on_a_thread_of_its_own() {
    let mut engine = engine("dense", EngineOptions::default());
    let wanted = alone(&mut engine, request(prompt(1, 20), 9, None));
    let there = std::thread::spawn(move || alone(&mut engine, request(prompt(1, 20), 9, None)));
    assert_eq!(there.join().unwrap(), wanted);
}
