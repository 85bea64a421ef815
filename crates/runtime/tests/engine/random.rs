//! Any order of submissions, cancellations, forks and returns, on any size of engine: every sequence says what follows from its own
//! tokens, everybody gets to an end, and nothing is lost.

use crate::fixtures::{Told, request};
use crate::ledger::{CONTEXT, Ledger, PAGE, next};
use mynah_runtime::{Engine, EngineOptions, Finish, Greedy, Request, SequenceId};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Act {
    Submit { from: usize, length: usize, own: u32, max: Option<usize>, end: Option<u32> },
    Step(usize),
    Cancel(usize),
    Fork(usize),
    Return(usize),
    Evaluate(usize),
    Clear,
}

fn act() -> impl Strategy<Value = Act> {
    let submit = (0usize..3, 1usize..40, 0u32..4, prop::option::of(0usize..30), prop::option::of(0u32..97));
    prop_oneof![
        6 => submit.prop_map(|(from, length, own, max, end)| Act::Submit { from, length, own, max, end }),
        8 => (1usize..8).prop_map(Act::Step),
        2 => (0usize..9).prop_map(Act::Cancel),
        2 => (0usize..9).prop_map(Act::Fork),
        2 => (0usize..9).prop_map(Act::Return),
        1 => (1usize..40).prop_map(Act::Evaluate),
        1 => Just(Act::Clear),
    ]
}

/// What is known of a sequence besides the engine: its tokens at the beginning, and what it may still say.
#[derive(Clone, Debug)]
struct Wanted {
    tokens: Vec<u32>,
    prompt: usize,
    max: Option<usize>,
    ends: Vec<u32>,
}

impl Wanted {
    /// The tokens that must be given out, and how it must end.
    fn end(&self, context: usize) -> (Vec<u32>, &'static str) {
        let (mut tokens, begun) = (self.tokens.clone(), self.tokens.len());
        let reason = loop {
            if tokens.len() - self.prompt >= self.max.unwrap_or(usize::MAX) {
                break "length";
            }
            if tokens.len() >= context {
                break "context";
            }
            let token = next(&tokens);
            if self.ends.contains(&token) {
                break "end";
            }
            tokens.push(token);
        };
        (tokens.split_off(begun), reason)
    }
}

/// Prompts that begin in one of three ways, and go on in their own after a while.
fn prompt(from: usize, length: usize, own: u32) -> Vec<u32> {
    (0..length)
        .map(|i| if i < 13 { (i * (from + 2)) as u32 % 97 } else { (i as u32 * 5 + own) % 97 })
        .collect()
}

fn run(options: EngineOptions, memory: [usize; 2], acts: &[Act]) -> Result<(), TestCaseError> {
    let [rows, pages] = memory;
    let mut engine = Engine::new(Box::new(Ledger::new(rows, pages, options.drafts)), options).unwrap();
    let context = engine.context();
    let mut told = Told::default();
    let mut wanted: BTreeMap<SequenceId, Wanted> = BTreeMap::new();
    for act in acts {
        let alive: Vec<SequenceId> =
            wanted.keys().copied().filter(|id| engine.tokens(*id).is_some()).collect();
        let pick = |n: usize| alive.get(n % alive.len().max(1)).copied();
        let now = |engine: &Engine, id: SequenceId| Wanted {
            tokens: engine.tokens(id).unwrap().to_vec(),
            ..wanted[&id].clone()
        };
        match *act {
            Act::Submit { from, length, own, max, end } => {
                let tokens = prompt(from, length, own);
                let ends: Vec<u32> = end.into_iter().collect();
                let submitted = engine.submit(Request {
                    max_tokens: max,
                    ends: ends.clone(),
                    ..request(tokens.clone(), 0, None)
                });
                prop_assert_eq!(submitted.is_ok(), length + usize::from(max != Some(0)) <= context);
                if let Ok(id) = submitted {
                    wanted.insert(id, Wanted { prompt: length, tokens, max, ends });
                }
            }
            Act::Step(n) => (0..n).for_each(|_| told.hear(engine.step())),
            Act::Cancel(n) => {
                if let Some(id) = pick(n) {
                    prop_assert!(engine.cancel(id));
                }
            }
            Act::Fork(n) => {
                if let Some(id) = pick(n) {
                    let fork = now(&engine, id);
                    wanted.insert(engine.fork(id, Box::new(Greedy)).unwrap(), fork);
                }
            }
            Act::Return(n) => {
                if let Some(id) = pick(n) {
                    let back = now(&engine, id);
                    let saved = engine.save(id).unwrap();
                    prop_assert!(engine.cancel(id));
                    wanted.insert(engine.restore(saved, Box::new(Greedy)).unwrap(), back);
                }
            }
            Act::Evaluate(length) => {
                let tokens = prompt(1, length, 3);
                let mut given = Vec::new();
                let done = engine.evaluate(&tokens, length / 2, &mut |i, logits| {
                    given.push((i, logits.iter().position(|&x| x == 1.0).unwrap() as u32));
                });
                prop_assert_eq!(done.is_ok(), length <= context);
                let all: Vec<(usize, u32)> = (length / 2..length).map(|i| (i, next(&tokens[..=i]))).collect();
                prop_assert!(done.is_err() || given == all);
            }
            Act::Clear => engine.clear_checkpoints(),
        }
        let usage = engine.usage();
        prop_assert!(usage.running <= options.sequences && usage.checkpoints <= options.checkpoints);
        prop_assert!(usage.pages <= usage.pages_limit && usage.rows == usage.running + usage.checkpoints);
    }
    told.drain(&mut engine);
    for (id, wanted) in &wanted {
        let (tokens, reason) = wanted.end(context);
        let found = told.tokens.get(id).cloned().unwrap_or_default();
        let cancelled = matches!(told.finished[id], Finish::Cancelled);
        let same = match (&told.finished[id], reason) {
            (Finish::Length, "length") | (Finish::Context, "context") | (Finish::End, "end") => true,
            (finish, _) => matches!(finish, Finish::Cancelled),
        };
        prop_assert!(same, "{:?} instead of {}", told.finished[id], reason);
        prop_assert!(
            if cancelled { tokens.starts_with(&found) } else { found == tokens },
            "{:?} says {:?}, not {:?}",
            id,
            found,
            tokens
        );
    }
    engine.clear_checkpoints();
    let usage = engine.usage();
    prop_assert_eq!((usage.pages, usage.rows, usage.checkpoints), (0, 0, 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sequences_do_what_they_would_alone(
        sequences in 1usize..5,
        chunk in 1usize..20,
        checkpoints in 0usize..4,
        pages in 2usize..30,
        context in 4usize..CONTEXT,
        drafts in 0usize..6,
        spare in prop::option::of([0usize..6, 0usize..4]),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let options =
            EngineOptions { sequences, chunk, context: Some(context), cache: Some(pages * PAGE), checkpoints, drafts };
        // A device that runs out of memory before the options do, but not for one sequence alone.
        let most = context.min(pages * PAGE).div_ceil(PAGE);
        let memory = spare.map_or([usize::MAX; 2], |[pages, rows]| [1 + rows, most + pages]);
        run(options, memory, &acts)?;
    }
}
