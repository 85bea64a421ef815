//! Where sequences end, and what can't be asked for.

use crate::fixtures::{Told, alone, engine, file, load, prompt, request};
use crate::ledger::Ledger;
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Policy;
use mynah_models::language::{Workload, estimate};
use mynah_runtime::{
    Choice, Choose, ChooseError, Engine, EngineError, EngineOptions, Event, Finish, Greedy, Request,
};

#[test]
fn a_context_that_is_full_ends_a_sequence() {
    let options = EngineOptions { context: Some(40), ..EngineOptions::default() };
    let mut engine = engine("dense", options);
    let endless = |n| Request { max_tokens: None, ..request(prompt(1, n), 0, None) };
    let id = engine.submit(endless(30)).unwrap();
    let mut told = Told::default();
    told.drain(&mut engine);
    assert!(matches!(told.finished[&id], Finish::Context));
    assert_eq!(told.tokens[&id].len(), 10);
    let error = engine.submit(endless(40)).unwrap_err();
    assert_eq!(error.to_string(), "a prompt of 40 tokens doesn't fit a context of 40");
    assert_eq!(alone(&mut engine, endless(39)).len(), 1);
    assert!(engine.submit(Request { max_tokens: Some(0), ..endless(40) }).is_ok());
    // The pages there may be are a bound as well, and so is the model.
    let of = |cache, context| {
        let options = EngineOptions { cache, context, ..EngineOptions::default() };
        Engine::new(load(file("dense"), Policy::default()), options).unwrap().context()
    };
    let model = load(file("dense"), Policy::default()).context();
    assert_eq!([of(Some(50), None), of(None, Some(usize::MAX)), of(None, Some(9))], [48, model, 9]);
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut engine = engine("tied_odd", EngineOptions::default());
    let vocabulary = engine.model().vocabulary();
    assert!(matches!(engine.submit(request(vec![], 1, None)), Err(EngineError::EmptyPrompt)));
    let error = engine.submit(request(vec![1, vocabulary as u32], 1, None)).unwrap_err();
    assert!(matches!(error, EngineError::Token { token, .. } if token as usize == vocabulary), "{error}");
    assert!(engine.is_idle());
    for options in [
        EngineOptions { sequences: 0, ..EngineOptions::default() },
        EngineOptions { chunk: 0, ..EngineOptions::default() },
        EngineOptions { context: Some(0), ..EngineOptions::default() },
        EngineOptions { cache: Some(0), ..EngineOptions::default() },
    ] {
        let made = Engine::new(load(file("dense"), Policy::default()), options);
        assert!(matches!(made.err(), Some(EngineError::Option { .. })), "{options:?}");
    }
}

#[test]
fn tokens_that_end_are_not_given_out() {
    let mut engine = engine("dense", EngineOptions::default());
    let said = alone(&mut engine, request(prompt(3, 20), 30, None));
    let end = said[7];
    let before = said.iter().position(|&t| t == end).unwrap();
    let id = engine.submit(Request { ends: vec![999, end], ..request(prompt(3, 20), 30, None) }).unwrap();
    let mut told = Told::default();
    told.drain(&mut engine);
    assert!(matches!(told.finished[&id], Finish::End));
    assert_eq!(told.tokens.get(&id).map_or(&[][..], Vec::as_slice), &said[..before]);
}

#[test]
fn a_prompt_can_be_run_for_its_own_sake() {
    let mut engine = engine("dense", EngineOptions::default());
    let id = engine.submit(request(prompt(3, 70), 0, None)).unwrap();
    let mut told = Told::default();
    told.drain(&mut engine);
    assert!(matches!(told.finished[&id], Finish::Length) && told.tokens.is_empty());
}

/// Says the second likeliest token, and gives up or stops at some point.
struct Picky {
    left: usize,
    stops: bool,
}

impl Choose for Picky {
    fn choose(&mut self, logits: &mut [f32]) -> Result<Choice, ChooseError> {
        let best = Greedy.choose(logits)?.token;
        logits[best as usize] = f32::NEG_INFINITY;
        let choice = Greedy.choose(logits)?;
        match (self.left.checked_sub(1), self.stops) {
            (None, true) => Ok(Choice { stop: true, ..choice }),
            (None, false) => Err(ChooseError { reason: "nothing pleases".into() }),
            (Some(left), _) => {
                self.left = left;
                Ok(choice)
            }
        }
    }
}

#[test]
fn choosers_end_sequences() {
    let mut engine = engine("dense", EngineOptions::default());
    let picky =
        |stops| Request { chooser: Box::new(Picky { left: 3, stops }), ..request(prompt(3, 9), 30, None) };
    let [stops, fails] = [true, false].map(|stops| engine.submit(picky(stops)).unwrap());
    let other = engine.submit(request(prompt(4, 9), 30, None)).unwrap();
    let mut told = Told::default();
    told.drain(&mut engine);
    assert!(matches!(told.finished[&stops], Finish::Stop) && told.tokens[&stops].len() == 4);
    let Finish::Failed(error) = &told.finished[&fails] else { panic!("{:?}", told.finished[&fails]) };
    assert_eq!(error.to_string(), "no token can be chosen: nothing pleases");
    assert!(told.tokens[&fails].len() == 3 && told.tokens[&other].len() == 30);
}

#[test]
fn a_token_that_is_none_ends_the_sequence_that_chose_it() {
    struct Wild;
    impl Choose for Wild {
        fn choose(&mut self, _: &mut [f32]) -> Result<Choice, ChooseError> {
            Ok(Choice { token: u32::MAX, ..Choice::default() })
        }
    }
    let mut engine = engine("dense", EngineOptions::default());
    let id = engine.submit(Request { chooser: Box::new(Wild), ..request(prompt(3, 9), 3, None) }).unwrap();
    let mut told = Told::default();
    told.drain(&mut engine);
    assert!(matches!(&told.finished[&id], Finish::Failed(e) if matches!(**e, EngineError::Token { .. })));
}

#[test]
fn a_sequence_can_be_cancelled_at_any_time() {
    let wanted = alone(&mut engine("dense", EngineOptions::default()), request(prompt(2, 50), 20, None));
    // While it waits, in its prompt, and while it answers.
    for steps in [0, 1, 2, 9] {
        let options = EngineOptions { chunk: 16, checkpoints: 0, ..EngineOptions::default() };
        let mut engine = engine("dense", options);
        let [first, second] = [1, 2].map(|n| engine.submit(request(prompt(n, 50), 20, None)).unwrap());
        let mut told = Told::default();
        (0..steps).for_each(|_| told.hear(engine.step()));
        assert!(engine.cancel(first) && !engine.cancel(first) && engine.tokens(first).is_none());
        let events = engine.step();
        assert!(
            matches!(events[0], Event::Finished { sequence, reason: Finish::Cancelled } if sequence == first)
        );
        told.hear(events);
        told.drain(&mut engine);
        assert_eq!(told.tokens[&second], wanted);
        assert_eq!((engine.usage().pages, engine.usage().rows), (0, 0));
    }
}

#[test]
fn memory_grows_with_need_and_its_end_is_no_abort() {
    let (row, page) = {
        let bytes = load(file("dense"), Policy::default()).state_bytes();
        (bytes.row, bytes.page)
    };
    let mut engine = engine("dense", EngineOptions { checkpoints: 0, ..EngineOptions::default() });
    let empty = engine.model().memory();
    alone(&mut engine, request(prompt(1, 5), 2, None));
    let grown = engine.model().memory();
    assert!(grown >= empty + row + page, "{empty} {grown}");
    assert!(
        engine.usage().pages_limit * page > 8 * (engine.model().memory() - empty),
        "all was taken at once"
    );

    // A device without memory for a fifth page: two long sequences take turns, one that doesn't fit alone fails with numbers.
    let options = EngineOptions { sequences: 3, checkpoints: 2, chunk: 8, ..EngineOptions::default() };
    let mut engine = Engine::new(Box::new(Ledger::new(9, 8, 0)), options).unwrap();
    let ids: Vec<_> = (0..3).map(|n| engine.submit(request(prompt(n, 10), 15, None)).unwrap()).collect();
    let long = engine.submit(request(prompt(5, 30), 20, None)).unwrap();
    let mut told = Told::default();
    told.drain(&mut engine);
    assert!(ids.iter().all(|id| matches!(told.finished[id], Finish::Length)), "{:?}", told.finished);
    let Finish::Failed(error) = &told.finished[&long] else { panic!("{:?}", told.finished[&long]) };
    assert!(
        error
            .to_string()
            .starts_with("no memory for a sequence of 33 tokens: keys and values of 32 fit (9 pages"),
        "{error}"
    );
}

#[test]
fn memory_is_known_before_anything_is_loaded() {
    let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    let of = |workload| estimate(&file("dense"), &device, &Policy::default(), &workload).unwrap();
    let one = of(Workload { sequences: 1, chunk: 32, context: 128, drafts: 0 });
    let file = file("dense");
    assert_eq!(one.weights, file.tensors().iter().map(|t| t.nbytes as u64).sum::<u64>());
    let bytes = load(file, Policy::default()).state_bytes();
    assert_eq!(one.sequence, bytes.row as u64);
    // The engine's pages are 16 tokens here, the estimate is for those of a default load.
    assert_eq!((one.token, one.page), ((bytes.page / 16) as u64, 64));
    assert_eq!(one.total(2, 65), one.weights + one.activations + 2 * (one.sequence + 128 * one.token));
    let more = of(Workload { sequences: 1, chunk: 64, context: 128, drafts: 0 });
    assert!(more.activations > one.activations && more.weights == one.weights);

    // Nothing that then runs needs a larger arena than was foreseen.
    let mut engine =
        engine("dense", EngineOptions { chunk: 32, context: Some(128), ..EngineOptions::default() });
    alone(&mut engine, request(prompt(1, 100), 20, None));
    let states = engine.usage().rows * bytes.row;
    assert!(engine.model().memory() as u64 > one.sequence && states > 0);
}

#[test]
fn logits_of_given_tokens_are_those_of_a_run() {
    let mut engine = engine("dense", EngineOptions { chunk: 32, ..EngineOptions::default() });
    let mut tokens = prompt(2, 75);
    tokens.extend(alone(&mut engine, request(tokens.clone(), 90, None)));
    for from in [0, 1, 40, 74, 75, 164] {
        let mut next = Vec::new();
        engine
            .evaluate(&tokens, from, &mut |i, logits| {
                assert_eq!(i, from + next.len());
                next.push(Greedy.choose(&mut logits.to_vec()).unwrap().token);
            })
            .unwrap();
        assert_eq!(next.len(), tokens.len() - from);
        for i in from.max(74)..tokens.len() - 1 {
            assert_eq!(next[i - from], tokens[i + 1], "token {i} from {from}");
        }
    }
    assert!(engine.evaluate(&[], 0, &mut |_, _| {}).is_err());
    let long = vec![1; engine.context() + 1];
    assert!(matches!(engine.evaluate(&long, 0, &mut |_, _| {}), Err(EngineError::Context { .. })));
}
