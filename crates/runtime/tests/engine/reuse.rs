//! Beginnings that are shared, forks, and that neither changes a token.

use crate::fixtures::{Dice, PAGE, Told, alone, cases, engine, prompt, request};
use mynah_runtime::{EngineError, EngineOptions, Finish, Greedy, SequenceId};

const NONE: EngineOptions =
    EngineOptions { sequences: 4, chunk: 32, context: None, cache: None, checkpoints: 0, drafts: 0 };

#[test]
fn what_is_reused_changes_no_token() {
    for case in &cases() {
        let options = EngineOptions { checkpoints: 4, ..NONE };
        let (mut plain, mut keeping) = (engine(case, NONE), engine(case, options));
        let mut told = Told::default();
        let mut chat = prompt(0, 70);
        let mut turns = Vec::new();
        for turn in 0..4 {
            let wanted = alone(&mut plain, request(chat.clone(), 12, Some(turn)));
            let id = keeping.submit(request(chat.clone(), 12, Some(turn))).unwrap();
            told.drain(&mut keeping);
            assert_eq!(told.tokens[&id], wanted, "{case}, turn {turn}");
            turns.push((id, chat.len()));
            chat.extend(wanted);
            chat.extend(prompt(9, 20 + turn as usize));
        }
        for pair in turns.windows(2) {
            // All but the last token of the turn before, which was said and never run.
            assert_eq!(told.reused[&pair[1].0], pair[0].1 + 11, "{case}");
        }
        assert_eq!(told.reused[&turns[0].0], 0);
    }
}

#[test]
fn the_beginning_of_a_prompt_is_reused_where_it_was_kept() {
    let options = EngineOptions { checkpoints: 8, ..NONE };
    let mut plain = engine("dense", NONE);
    let reused = |first: &[u32], second: &[u32]| {
        let mut keeping = engine("dense", options);
        alone(&mut keeping, request(first.to_vec(), 5, None));
        let mut told = Told::default();
        let id = keeping.submit(request(second.to_vec(), 5, None)).unwrap();
        told.drain(&mut keeping);
        (told.tokens[&id].clone(), told.reused[&id])
    };
    let first = prompt(1, 150);
    // How many tokens are common, and how many of them were kept: chunks of 32, doubled, and the last whole page.
    for (common, kept) in [(10, 0), (33, 32), (100, 64), (149, 144), (150, 144)] {
        let mut second = first[..common].to_vec();
        second.extend(prompt(7, 12));
        let (said, found) = reused(&first, &second);
        assert_eq!(found, kept, "{common} in common");
        assert_eq!(said, alone(&mut plain, request(second, 5, None)));
    }
    assert_eq!(reused(&first, &first).1, 144);
    assert_eq!(reused(&first, &first[..144]).1, 128);
}

#[test]
fn checkpoints_are_few_and_share_their_pages() {
    let options = EngineOptions { checkpoints: 3, ..NONE };
    let mut engine = engine("dense", options);
    for n in 0..6 {
        alone(&mut engine, request(prompt(2 * n + 1, 100), 8, None));
        assert!(engine.usage().checkpoints <= 3);
    }
    let usage = engine.usage();
    // Of one sequence: after 64 and 96 tokens, and its end, on the pages of 107 tokens.
    assert_eq!((usage.checkpoints, usage.rows, usage.pages), (3, 3, 107usize.div_ceil(PAGE)));
    engine.clear_checkpoints();
    assert_eq!((engine.usage().checkpoints, engine.usage().rows, engine.usage().pages), (0, 0, 0));
}

#[test]
fn forks_go_on_as_a_sequence_of_their_own_would() {
    for checkpoints in [0, 2] {
        for case in &cases() {
            let mut plain = engine(case, NONE);
            let wanted = alone(&mut plain, request(prompt(3, 40), 30, None));
            let mut engine = engine(case, EngineOptions { checkpoints, ..NONE });
            let mut told = Told::default();
            let first = engine.submit(request(prompt(3, 40), 30, None)).unwrap();
            while told.tokens.get(&first).is_none_or(|tokens| tokens.len() < 13) {
                told.hear(engine.step());
            }
            let said = engine.tokens(first).unwrap()[40..].to_vec();
            let same = engine.fork(first, Box::new(Greedy)).unwrap();
            let others: Vec<SequenceId> =
                (0..3).map(|seed| engine.fork(first, Box::new(Dice(seed))).unwrap()).collect();
            told.drain(&mut engine);
            assert_eq!(told.tokens[&first], wanted, "{case}");
            assert_eq!([&said, told.tokens[&same].as_slice()].concat(), wanted, "{case}");
            for (seed, id) in (0..).zip(others) {
                let mut tokens = prompt(3, 40);
                tokens.extend(&said);
                // The chooser of a fork has seen what was said.
                let mut dice = Dice(seed);
                mynah_runtime::Choose::begin(&mut dice, &prompt(3, 40));
                said.iter().for_each(|&t| mynah_runtime::Choose::observe(&mut dice, t).unwrap());
                dice.0 ^= tokens.len() as u64;
                let left = 30 - said.len();
                let request =
                    mynah_runtime::Request { chooser: Box::new(dice), ..request(tokens, left, None) };
                assert_eq!(told.tokens[&id], alone(&mut plain, request), "{case}, fork {seed}");
            }
        }
    }
    let mut engine = engine("dense", NONE);
    let gone = SequenceId(7);
    assert!(matches!(engine.fork(gone, Box::new(Greedy)), Err(EngineError::NoSequence(id)) if id == gone));
}

#[test]
fn a_fork_with_a_checkpoint_computes_nothing_again() {
    let options = EngineOptions { checkpoints: 2, chunk: 512, ..NONE };
    let mut engine = engine("dense", options);
    let mut told = Told::default();
    let first = engine.submit(request(prompt(3, 120), 30, None)).unwrap();
    (0..9).for_each(|_| told.hear(engine.step()));
    let forks: Vec<SequenceId> = (0..3).map(|_| engine.fork(first, Box::new(Greedy)).unwrap()).collect();
    // Had they to run their tokens again, the first step would give out none.
    told.hear(engine.step());
    assert!(forks.iter().all(|id| told.tokens[id].len() == 1));
    told.drain(&mut engine);
    assert!(forks.iter().all(|id| matches!(told.finished[id], Finish::Length)));
}
