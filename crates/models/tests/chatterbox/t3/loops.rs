//! What goes on around the backbone: several requests at once, ends, callbacks, second attempts, and what can't be asked for.

use crate::fixtures::{CASES, Reference, model, say, voice};
use mynah_models::chatterbox::t3::{
    Finish, Request, Retry, Sampling, Speech, T3, T3Error, T3Options, T3Voice,
};
use std::ops::ControlFlow;

/// Random numbers of a seed, and how many were taken.
struct Numbers {
    state: u64,
    taken: usize,
}

impl Numbers {
    fn new(seed: u64) -> Self {
        Self { state: seed, taken: 0 }
    }

    fn next(&mut self) -> f64 {
        self.taken += 1;
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 11) as f64 / (1u64 << 53) as f64
    }

    fn after(seed: u64, taken: usize) -> Self {
        let mut numbers = Self::new(seed);
        (0..taken).for_each(|_| _ = numbers.next());
        numbers
    }
}

fn short(model: &T3) -> T3Options {
    T3Options { max_tokens: 30, ..T3Options::of(model.config()) }
}

/// Says the text of a case with these numbers.
fn speak(model: &mut T3, case: &str, options: T3Options, numbers: &mut Numbers) -> Result<Speech, T3Error> {
    let conditioning = model.condition(&voice(case))?;
    let text = Reference::of(case).text;
    model.generate(&conditioning, &text, options, &mut || numbers.next(), &mut |_| ControlFlow::Continue(()))
}

#[test]
fn requests_in_one_step_are_alone() {
    for case in CASES {
        let mut model = model(case);
        let text = Reference::of(case).text;
        let long: Vec<u32> = (0..30).map(|i| (i * 7 + 3) % 40).collect();
        let texts = [text.as_slice(), &text[..3], &long];
        let other = T3Voice { prompt_tokens: vec![1, 2, 3], exaggeration: 0.9, ..voice(case) };
        let voices = [voice(case), other, voice(case)].map(|voice| model.condition(&voice).unwrap());
        let options = [12, 30, 21].map(|max_tokens| {
            let mut options = T3Options { max_tokens, ..short(&model) };
            // One of them unguided.
            if max_tokens == 21 {
                options.sampling.cfg_weight = 0.0;
            }
            options
        });
        let alone: Vec<Speech> = (0..3)
            .map(|i| {
                let mut numbers = Numbers::new(i as u64);
                let mut draws = || numbers.next();
                let go_on = &mut |_| ControlFlow::Continue(());
                model.generate(&voices[i], texts[i], options[i], &mut draws, go_on).unwrap()
            })
            .collect();
        let mut numbers: Vec<Numbers> = (0..3).map(Numbers::new).collect();
        let mut draws: Vec<_> = numbers.iter_mut().map(|n| move || n.next()).collect();
        let mut heard = [Vec::new(), Vec::new(), Vec::new()];
        let mut ears: Vec<_> = heard
            .iter_mut()
            .map(|heard| {
                move |token| {
                    heard.push(token);
                    ControlFlow::Continue(())
                }
            })
            .collect();
        let mut requests: Vec<Request<'_>> = draws
            .iter_mut()
            .zip(&mut ears)
            .enumerate()
            .map(|(i, (draws, on_token))| Request {
                conditioning: &voices[i],
                text: texts[i],
                options: options[i],
                draws,
                on_token,
            })
            .collect();
        let together = model.generate_together(&mut requests).unwrap();
        assert_eq!(together, alone, "{case}");
        assert_eq!(model.pages_in_use(), 0);
        drop(ears);
        for (heard, speech) in heard.iter().zip(&together) {
            assert!(heard == &speech.tokens || speech.drawn.contains(&model.config().start_speech), "{case}");
        }
    }
}

#[test]
fn one_number_is_drawn_for_each_token() {
    for case in ["english", "nano"] {
        let mut model = model(case);
        let options = short(&model);
        let mut numbers = Numbers::new(1);
        let speech = speak(&mut model, case, options, &mut numbers).unwrap();
        assert_eq!(numbers.taken, speech.drawn.len());
    }
}

#[test]
fn breaking_off_ends_a_request() {
    for case in ["mtl", "turbo"] {
        let mut model = model(case);
        let conditioning = model.condition(&voice(case)).unwrap();
        let (options, mut heard, mut numbers) = (short(&model), Vec::new(), Numbers::new(5));
        let mut on_token = |token| {
            heard.push(token);
            if heard.len() == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let speech =
            model.generate(&conditioning, &[5, 6], options, &mut || numbers.next(), &mut on_token).unwrap();
        assert_eq!((speech.finish, &speech.tokens), (Finish::Cancelled, &heard), "{case}");
        assert_eq!((heard.len(), model.pages_in_use()), (4, 0));
    }
}

#[test]
fn what_is_no_audio_is_left_out() {
    // The sampled run draws start of speech on its way.
    let mut model = model("mtl");
    let reference = Reference::of("mtl");
    let (start, stop) = (model.config().start_speech, model.config().stop_speech);
    let drawn = reference.tokens("sampled_tight");
    let at = drawn.iter().position(|&t| t == start).unwrap();
    let sampling = Sampling {
        temperature: 0.5,
        top_p: 0.8,
        min_p: 0.1,
        repetition_penalty: 1.2,
        ..Sampling::of(model.config())
    };
    let options = T3Options { sampling, max_tokens: 40, ..short(&model) };
    let speech = say(&mut model, "mtl", options, &reference.uniforms("sampled_tight"));
    assert_eq!(speech.drawn, drawn);
    assert_eq!(speech.tokens, &drawn[at + 1..]);
    assert!(!speech.tokens.iter().any(|t| [start, stop].contains(t)));
}

/// The attempts that a seed makes of a text, each where the last one stopped in the stream.
fn attempts(model: &mut T3, case: &str, options: T3Options, seed: u64, count: usize) -> Vec<Speech> {
    let mut taken = 0;
    (0..count)
        .map(|_| {
            let mut numbers = Numbers::after(seed, taken);
            let speech = speak(model, case, T3Options { retry: None, ..options }, &mut numbers).unwrap();
            taken = numbers.taken;
            speech
        })
        .collect()
}

#[test]
fn speech_that_ends_early_is_drawn_again() {
    let case = "english";
    let mut model = model(case);
    let mut options = T3Options { max_tokens: 60, ..T3Options::of(model.config()) };
    let (mut again, mut never) = (0, 0);
    for seed in 0..8 {
        let single = attempts(&mut model, case, options, seed, 3);
        for least in [10, 25, 60] {
            options.retry = Some(Retry { least, attempts: 2 });
            let mut numbers = Numbers::new(seed);
            let found = speak(&mut model, case, options, &mut numbers).unwrap();
            // The token that ends speech doesn't count.
            let enough = |s: &&Speech| s.finish == Finish::Length || s.drawn.len() > least;
            let longest = single.iter().rev().max_by_key(|s| s.drawn.len()).unwrap();
            let first = single.iter().find(enough);
            assert_eq!(&found, first.unwrap_or(longest), "seed {seed}, {least} tokens");
            again += usize::from(first.is_some_and(|s| *s != single[0]));
            never += usize::from(first.is_none());
        }
    }
    assert!(again > 1 && never > 1, "{again} second attempts were enough, {never} times none was");
}

#[test]
fn early_tokens_are_held_back_until_there_are_enough() {
    let case = "english";
    let mut model = model(case);
    let retry = Some(Retry { least: 60, attempts: 2 });
    let options = T3Options { max_tokens: 60, retry, ..T3Options::of(model.config()) };
    let mut numbers = Numbers::new(3);
    let conditioning = model.condition(&voice(case)).unwrap();
    let mut heard = Vec::new();
    let mut on_token = |token| {
        heard.push(token);
        ControlFlow::Continue(())
    };
    let text = Reference::of(case).text;
    let speech =
        model.generate(&conditioning, &text, options, &mut || numbers.next(), &mut on_token).unwrap();
    assert!(numbers.taken > speech.drawn.len(), "this seed's first attempt was enough");
    assert!(heard == speech.tokens || speech.drawn.contains(&model.config().start_speech));
    assert_eq!(Retry::for_text(1), Retry { least: 8, attempts: 3 });
    assert_eq!(Retry::for_text(20), Retry { least: 100, attempts: 3 });
}

#[test]
fn tables_end_with_an_error_and_nothing_before() {
    for case in ["mtl", "turbo"] {
        let mut model = model(case);
        let conditioning = model.condition(&voice(case)).unwrap();
        // 42 rows of text with start and stop; or 160 rows in all, of which 13 are the voice's and one starts speech.
        let limit = if case == "mtl" { 40 } else { 146 };
        let text: Vec<u32> = vec![3; limit + 1];
        let refused = model.start(&conditioning, &text, false, false).err().unwrap();
        assert!(matches!(refused, T3Error::TooLong { .. }), "{refused}");
        let (mut sequence, _) = model.start(&conditioning, &text[..limit], false, false).unwrap();
        // Row 0 of the 104 is the start's.
        let room = if case == "mtl" { 103 } else { 0 };
        for _ in 0..room {
            model.advance(&mut [(&mut sequence, 1)]).unwrap();
        }
        let refused = model.advance(&mut [(&mut sequence, 1)]).err().unwrap();
        assert!(matches!(refused, T3Error::TooLong { unit: "positions", .. }), "{case}: {refused}");
        model.finish(sequence);

        let room = model.room(&conditioning, 3);
        assert_eq!(room, if case == "mtl" { 104 } else { 144 });
        let options = |max_tokens| T3Options { max_tokens, ..short(&model) };
        let [fits, long] = [options(room), options(room + 1)];
        let mut ask =
            |options| {
                model.generate(&conditioning, &[3, 4, 5], options, &mut || 0.3, &mut |_| {
                    ControlFlow::Continue(())
                })
            };
        assert!(ask(fits).is_ok(), "{case}");
        assert!(matches!(ask(long), Err(T3Error::TooLong { .. })), "{case}");
        assert_eq!(model.pages_in_use(), 0);
    }
}

#[test]
fn what_cannot_be_asked_for_is_named() {
    let mut model = model("mtl");
    let good = voice("mtl");
    let speaker = T3Voice { speaker_embedding: vec![0.0; 3], ..good.clone() };
    assert!(matches!(model.condition(&speaker), Err(T3Error::Speaker { found: 3, wanted: 24 })));
    for token in [-1, 90] {
        let prompt = T3Voice { prompt_tokens: vec![1, token], ..good.clone() };
        assert!(matches!(model.condition(&prompt), Err(T3Error::Token { what: "prompt", .. })));
    }
    let long = T3Voice { prompt_tokens: vec![1; 105], ..good.clone() };
    assert!(matches!(model.condition(&long), Err(T3Error::TooLong { limit: 104, .. })));
    let conditioning = model.condition(&good).unwrap();
    let options = short(&model);
    let mut ask = |text: &[u32], options| {
        let go_on = &mut |_| ControlFlow::Continue(());
        model.generate(&conditioning, text, options, &mut || 0.3, go_on).unwrap_err()
    };
    assert!(matches!(ask(&[], options), T3Error::NoText));
    assert!(matches!(ask(&[70], options), T3Error::Token { what: "text", token: 70, vocabulary: 70 }));
    let none = T3Options { max_tokens: 0, ..options };
    assert!(matches!(ask(&[1], none), T3Error::Option { option: "max_tokens", .. }));
    let cold = Sampling { temperature: -1.0, ..options.sampling };
    assert!(matches!(ask(&[1], T3Options { sampling: cold, ..options }), T3Error::Option { .. }));
    // Three layers are too few for the heads that follow the text.
    assert!(matches!(ask(&[1], T3Options { align: true, ..options }), T3Error::Model(_)));
    let mut nan = model.condition(&good).unwrap();
    nan.exaggeration = f32::NAN;
    let found = model.generate(&nan, &[1], options, &mut || 0.3, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(found, Err(T3Error::Option { option: "exaggeration", .. })));
    let (mut sequence, _) = model.start(&conditioning, &[1], true, false).unwrap();
    for token in [-1, 90] {
        let found = model.advance(&mut [(&mut sequence, token)]);
        assert!(matches!(found, Err(T3Error::Token { what: "speech", .. })));
    }
    model.finish(sequence);
    assert_eq!(model.pages_in_use(), 0);
}
