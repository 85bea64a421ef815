//! Drafted tokens change how many are found in a step, and nothing else.

use crate::fixtures::{Dice, Told, alone, engine, file, load, load_drafting, prompt, request, stored_as};
use mynah_device::Policy;
use mynah_runtime::sample::{Chooser, Sampler, SamplerOptions};
use mynah_runtime::{
    Choice, Choose, ChooseError, Engine, EngineError, EngineOptions, Event, Finish, Greedy, Request,
    SavedSequence, SequenceId,
};
use mynah_tensor::DType;

/// Files with a layer that drafts.
const CASES: [&str; 2] = ["drafting", "experts"];

fn drafting(case: &str, drafts: usize, options: EngineOptions) -> Engine {
    let model = load_drafting(file(case), Policy::default(), drafts);
    Engine::new(model, EngineOptions { drafts, ..options }).unwrap()
}

/// Guesses what is known to come six times of seven, since weights that nobody trained hardly draft right, and else what is not.
struct Knows {
    chooser: Box<dyn Choose>,
    tokens: Vec<u32>,
    said: usize,
}

impl Choose for Knows {
    fn begin(&mut self, prompt: &[u32]) {
        self.chooser.begin(prompt);
    }

    fn observe(&mut self, token: u32) -> Result<(), ChooseError> {
        self.said += 1;
        self.chooser.observe(token)
    }

    fn choose(&mut self, logits: &mut [f32]) -> Result<Choice, ChooseError> {
        self.said += 1;
        self.chooser.choose(logits)
    }

    fn guess(&mut self, drafted: &[u32], _: &mut [f32]) -> Option<u32> {
        let at = self.said + drafted.len();
        self.tokens.get(at).map(|token| token ^ u32::from(at % 7 == 5))
    }
}

fn sampler(seed: u64) -> Box<dyn Choose> {
    let options = SamplerOptions {
        temperature: 0.9,
        top_p: 0.97,
        presence_penalty: 0.3,
        logprobs: Some(3),
        seed,
        ..SamplerOptions::default()
    };
    Box::new(Chooser::new(Sampler::new(options).unwrap(), None))
}

fn chooser(n: u64) -> Box<dyn Choose> {
    match n % 3 {
        0 => Box::new(Greedy),
        1 => Box::new(Dice(n)),
        _ => sampler(n),
    }
}

/// Prompts from one token to several chunks.
const LENGTHS: [usize; 10] = [1, 33, 16, 90, 5, 64, 17, 40, 120, 2];

fn number(n: u64) -> Request {
    Request { chooser: chooser(n), ..request(prompt(n as u32, LENGTHS[n as usize]), 30 + n as usize, None) }
}

fn knowing(n: u64, tokens: &[u32]) -> Request {
    let request = number(n);
    let chooser = Box::new(Knows { chooser: request.chooser, tokens: tokens.to_vec(), said: 0 });
    Request { chooser, ..request }
}

fn plainly(case: &str) -> Vec<Vec<u32>> {
    let mut plain = engine(case, EngineOptions { chunk: 32, ..EngineOptions::default() });
    (0..10).map(|n| alone(&mut plain, number(n))).collect()
}

#[test]
fn tokens_are_the_same_with_any_number_of_drafts_alone_and_together() {
    let options = EngineOptions { sequences: 10, chunk: 32, ..EngineOptions::default() };
    for case in CASES {
        let wanted = plainly(case);
        for drafts in 1..=4 {
            let mut engine = drafting(case, drafts, options);
            for n in 0..10 {
                assert_eq!(alone(&mut engine, number(n)), wanted[n as usize], "{case}, {drafts} drafts, {n}");
            }
            assert!(engine.usage().drafted > 200 && engine.usage().accepted < engine.usage().drafted);
            // Beside each other, with right and wrong drafts, each in its own order.
            let mut told = Told::default();
            let mut ids: Vec<SequenceId> = Vec::new();
            for n in 0..10 {
                ids.push(engine.submit(knowing(n, &wanted[n as usize])).unwrap());
                (0..n % 3).for_each(|_| told.hear(engine.step()));
            }
            told.drain(&mut engine);
            let mut wrong = 0;
            for (id, wanted) in ids.iter().zip(&wanted) {
                assert_eq!(&told.tokens[id], wanted, "{case}, {drafts} drafts together");
                let [drafted, accepted] = told.drafts[id];
                assert!(accepted > wanted.len() / 4, "{accepted} of {drafted}");
                wrong += drafted - accepted;
            }
            assert!(wrong > 20, "{case}, {drafts} drafts: {wrong} wrong");
        }
    }
}

#[test]
fn quantised_weights_and_exact_ones_too() {
    let options = EngineOptions { sequences: 4, chunk: 32, ..EngineOptions::default() };
    let all = [DType::F32, DType::BF16, DType::Q8_0, DType::Q4_0].map(|dtype| (dtype, Policy::default()));
    for (dtype, policy) in all.into_iter().chain([(DType::F32, Policy::exact())]) {
        let mut plain = Engine::new(load(stored_as("drafting", dtype), policy.clone()), options).unwrap();
        let model = load_drafting(stored_as("drafting", dtype), policy, 3);
        let mut engine = Engine::new(model, EngineOptions { drafts: 3, ..options }).unwrap();
        for n in [3, 4, 5] {
            let wanted = alone(&mut plain, number(n));
            assert_eq!(alone(&mut engine, knowing(n, &wanted)), wanted, "{dtype}");
        }
        assert!(engine.usage().accepted > 20);
    }
}

#[test]
fn right_drafts_save_steps() {
    let wanted = plainly("drafting");
    let mut engine = drafting("drafting", 4, EngineOptions::default());
    let always = Knows { chooser: Box::new(Greedy), tokens: wanted[3].clone(), said: 0 };
    struct All(Knows);
    impl Choose for All {
        fn choose(&mut self, logits: &mut [f32]) -> Result<Choice, ChooseError> {
            self.0.choose(logits)
        }

        fn guess(&mut self, drafted: &[u32], _: &mut [f32]) -> Option<u32> {
            self.0.tokens.get(self.0.said + drafted.len()).copied()
        }
    }
    let id = engine.submit(Request { chooser: Box::new(All(always)), ..number(3) }).unwrap();
    let mut told = Told::default();
    let mut steps = 0;
    while !engine.is_idle() {
        told.hear(engine.step());
        steps += 1;
    }
    assert_eq!(told.tokens[&id], wanted[3]);
    // The prompt's two steps say one token, six others five each; of 33 two are left, with room for one draft.
    assert_eq!((steps, told.drafts[&id]), (2 + 7, [25, 25]));
}

#[test]
fn few_places_and_few_pages_change_nothing() {
    let wanted = plainly("drafting");
    let mut preempted = 0;
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
        let mut engine = drafting("drafting", 3, options);
        let mut told = Told::default();
        let ids: Vec<SequenceId> =
            (0..10).map(|n| engine.submit(knowing(n, &wanted[n as usize])).unwrap()).collect();
        told.drain(&mut engine);
        ids.iter().zip(&wanted).for_each(|(id, wanted)| assert_eq!(&told.tokens[id], wanted, "{options:?}"));
        preempted += engine.usage().preemptions;
        engine.clear_checkpoints();
        assert_eq!((engine.usage().pages, engine.usage().rows), (0, 0), "{options:?}");
    }
    assert!(preempted > 0, "nobody had to give way");
}

#[test]
fn log_probabilities_are_those_of_plain_decoding() {
    let choices = |mut engine: Engine| {
        engine.submit(Request { chooser: sampler(8), ..number(3) }).unwrap();
        let mut all = Vec::new();
        while !engine.is_idle() {
            let tokens = engine.step().into_iter().filter_map(|event| match event {
                Event::Token { choice, .. } => Some(choice),
                _ => None,
            });
            all.extend(tokens);
        }
        all
    };
    let found = choices(drafting("drafting", 2, EngineOptions::default()));
    assert_eq!(found, choices(engine("drafting", EngineOptions::default())));
    assert!(found.iter().all(|choice| choice.logprob.is_some() && choice.top.len() == 3));
}

#[test]
fn drafts_end_where_the_sequence_does() {
    let wanted = plainly("drafting");
    let said = &wanted[1];
    let run = |engine: &mut Engine, request: Request| {
        let mut told = Told::default();
        let id = engine.submit(request).unwrap();
        told.drain(engine);
        (told.tokens.remove(&id).unwrap_or_default(), told.finished.remove(&id).unwrap())
    };
    let mut engine = drafting("drafting", 4, EngineOptions::default());
    for end in [0, 1, 2, 5, 6, 7, 8] {
        let before = said.iter().position(|&t| t == said[end]).unwrap();
        let (tokens, finish) = run(&mut engine, Request { ends: vec![said[end]], ..knowing(1, said) });
        assert!(tokens == said[..before] && matches!(finish, Finish::End), "{end}: {finish:?}");
        let (tokens, finish) = run(&mut engine, Request { max_tokens: Some(end), ..knowing(1, said) });
        assert!(tokens == said[..end] && matches!(finish, Finish::Length), "{end}: {finish:?}");
    }
    for more in 1..9 {
        let options = EngineOptions { context: Some(33 + more), ..EngineOptions::default() };
        let mut engine = drafting("drafting", 4, options);
        let (tokens, finish) = run(&mut engine, Request { max_tokens: None, ..knowing(1, said) });
        assert!(tokens == said[..more] && matches!(finish, Finish::Context), "{more}: {finish:?}");
    }
}

#[test]
fn a_cancelled_sequence_leaves_the_others_alone_and_a_beginning_to_go_on_from() {
    let wanted = plainly("drafting");
    let mut engine = drafting("drafting", 3, EngineOptions::default());
    let mut told = Told::default();
    let ids: Vec<SequenceId> =
        (0..4).map(|n| engine.submit(knowing(n, &wanted[n as usize])).unwrap()).collect();
    (0..6).for_each(|_| told.hear(engine.step()));
    assert!(engine.cancel(ids[3]));
    told.drain(&mut engine);
    for n in 0..3 {
        assert_eq!(told.tokens[&ids[n]], wanted[n]);
    }
    let said = told.tokens[&ids[3]].clone();
    assert!(wanted[3].starts_with(&said) && said.len() < wanted[3].len());
    assert!(matches!(told.finished[&ids[3]], Finish::Cancelled));
    // The same prompt with what was said goes on from the states that were left, with whatever snapshot they are in.
    let prompt = [prompt(3, LENGTHS[3]), said.clone()].concat();
    let next = engine.submit(Request { prompt, ..number(3) }).unwrap();
    told.drain(&mut engine);
    assert!(told.reused[&next] >= LENGTHS[3], "{} of {} reused", told.reused[&next], LENGTHS[3] + said.len());
    assert!(told.tokens[&next].starts_with(&wanted[3][said.len()..]));
}

/// A sequence after some steps, with what it has said.
fn begun(drafts: usize, steps: usize, wanted: &[u32]) -> (Engine, SequenceId, Vec<u32>) {
    let mut engine = drafting("drafting", drafts, EngineOptions::default());
    let id = engine.submit(knowing(3, wanted)).unwrap();
    let mut told = Told::default();
    (0..steps).for_each(|_| told.hear(engine.step()));
    (engine, id, told.tokens.remove(&id).unwrap_or_default())
}

#[test]
fn saved_sequences_go_on_with_and_without_drafts() {
    let wanted = &plainly("drafting")[3];
    for steps in 0..9 {
        for (from, to) in [(3, 3), (0, 3), (3, 0), (2, 4)] {
            let (mut engine, id, said) = begun(from, steps, wanted);
            let mut bytes = Vec::new();
            engine.save(id).unwrap().write_to(&mut bytes).unwrap();
            let mut other = drafting("drafting", to, EngineOptions::default());
            let saved = SavedSequence::from_bytes(&bytes).unwrap();
            let id = other.restore(saved, knowing(3, wanted).chooser).unwrap();
            let mut told = Told::default();
            told.drain(&mut other);
            assert_eq!([said, told.tokens[&id].clone()].concat(), *wanted, "{steps} steps, {from} to {to}");
            // Without the hidden states it is served without drafts.
            let drafts = to > 0 && (from > 0 || steps == 0);
            assert_eq!(told.drafts.contains_key(&id), drafts, "{steps} steps, {from} to {to}");
        }
    }
}

#[test]
fn forks_go_on_from_any_snapshot() {
    let wanted = &plainly("drafting")[3];
    for steps in 1..9 {
        let (mut engine, first, said) = begun(3, steps, wanted);
        let second = engine.fork(first, knowing(3, wanted).chooser).unwrap();
        let mut told = Told::default();
        told.drain(&mut engine);
        for id in [first, second] {
            assert_eq!([said.clone(), told.tokens[&id].clone()].concat(), *wanted, "{steps} steps");
        }
    }
}

#[test]
fn what_can_not_be_drafted_is_an_error() {
    let none = Engine::new(
        load(file("dense"), Policy::default()),
        EngineOptions { drafts: 1, ..EngineOptions::default() },
    );
    let error = none.err().unwrap();
    assert!(matches!(error, EngineError::Option { option: "drafts", .. }), "{error}");
    let model = load_drafting(file("drafting"), Policy::default(), 2);
    let more = Engine::new(model, EngineOptions { drafts: 3, ..EngineOptions::default() });
    assert!(matches!(more.err().unwrap(), EngineError::Option { option: "drafts", found: 3, .. }));
    // A model that could draft more needn't, nor at all.
    for drafts in [0, 1] {
        let model = load_drafting(file("drafting"), Policy::default(), 2);
        let mut engine = Engine::new(model, EngineOptions { drafts, ..EngineOptions::default() }).unwrap();
        assert_eq!(alone(&mut engine, number(3)), plainly("drafting")[3]);
        assert_eq!(engine.usage().drafted > 0, drafts > 0);
        assert_eq!(engine.into_model().drafts(), 2);
    }
}
