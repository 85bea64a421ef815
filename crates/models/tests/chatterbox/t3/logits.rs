//! Rows of voices and logits of every step, with and without the text, under teacher forcing.

use crate::fixtures::{CASES, LLAMAS, Reference, file, model, model_of, relative, voice};
use mynah_device::Policy;
use mynah_models::chatterbox::t3::{T3, T3Voice};

/// Logits of every step, `[steps, rows, V]`, of a text followed by these tokens.
pub(crate) fn forced(model: &mut T3, case: &str, tokens: &[i32], guided: bool) -> Vec<f32> {
    let conditioning = model.condition(&voice(case)).unwrap();
    let (mut sequence, mut all) =
        model.start(&conditioning, &Reference::of(case).text, guided, false).unwrap();
    for &token in tokens {
        all.extend_from_slice(model.advance(&mut [(&mut sequence, token)]).unwrap());
    }
    model.finish(sequence);
    all
}

/// The tokens that a run put in: all but the last.
fn put_in(reference: &Reference) -> Vec<i32> {
    let mut tokens = reference.tokens("greedy");
    tokens.pop();
    tokens
}

#[test]
fn rows_of_a_voice_agree_with_python() {
    for case in CASES {
        let (mut model, reference) = (model(case), Reference::of(case));
        let conditioning = model.condition(&voice(case)).unwrap();
        let rows = conditioning.rows();
        assert_eq!(rows.len(), conditioning.count() * model.config().hidden);
        let error = relative(rows, &reference.array("prefix")[..rows.len()]);
        assert!(error <= 1e-5, "{case}: {error:e}");
    }
}

#[test]
fn logits_of_both_rows_agree_with_python() {
    for case in CASES {
        let (mut model, reference) = (model(case), Reference::of(case));
        let vocabulary = model.config().speech_vocabulary;
        let found = forced(&mut model, case, &put_in(&reference), true);
        let wanted = reference.array("logits");
        // Python goes on to feed the last token of the loop, whose logits nobody uses.
        assert!(wanted.len() - found.len() <= 2 * vocabulary, "{case}");
        let error = relative(&found, &wanted[..found.len()]);
        assert!(error <= 1e-5, "{case}: {error:e}");
    }
}

#[test]
fn the_row_with_the_text_is_the_same_without_the_other() {
    for case in LLAMAS {
        let (mut model, reference) = (model(case), Reference::of(case));
        let (tokens, vocabulary) = (put_in(&reference), model.config().speech_vocabulary);
        let both = forced(&mut model, case, &tokens, true);
        let alone = forced(&mut model, case, &tokens, false);
        let with: Vec<f32> =
            both.chunks(2 * vocabulary).flat_map(|rows| &rows[..vocabulary]).copied().collect();
        assert!(alone == with, "{case}");
        assert!(relative(&both[vocabulary..2 * vocabulary], &both[..vocabulary]) > 1e-2, "{case}");
    }
}

#[test]
fn thread_counts_change_no_byte() {
    for case in CASES {
        let tokens = put_in(&Reference::of(case));
        for policy in [Policy::exact(), Policy::default()] {
            let of =
                |threads| forced(&mut model_of(file(case), policy.clone(), threads), case, &tokens, true);
            let alone = of(1);
            assert!(of(2) == alone && of(3) == alone, "{case}, {:?}", policy.precision);
        }
    }
}

#[test]
fn fast_routes_stay_near() {
    for case in CASES {
        let reference = Reference::of(case);
        let mut model = model_of(file(case), Policy::default(), 2);
        let found = forced(&mut model, case, &put_in(&reference), true);
        let error = relative(&found, &reference.array("logits")[..found.len()]);
        // The narrowest of them, 14 layers 32 wide, is the farthest.
        assert!(error <= 0.1, "{case}: {error:e}");
    }
}

#[test]
fn a_sequence_leaves_nothing_to_the_next() {
    for case in ["mtl", "turbo"] {
        let (mut model, tokens) = (model(case), put_in(&Reference::of(case)));
        let first = forced(&mut model, case, &tokens, true);
        let other = T3Voice { prompt_tokens: vec![3; 4], ..voice(case) };
        let conditioning = model.condition(&other).unwrap();
        let (sequence, _) = model.start(&conditioning, &[5, 6, 7], false, false).unwrap();
        let again = forced(&mut model, case, &tokens, true);
        model.finish(sequence);
        assert!(again == first, "{case}");
        let mut fork = model.fork().unwrap();
        assert!(forced(&mut fork, case, &tokens, true) == first, "{case}, another on the same weights");
    }
}

#[test]
fn a_voice_may_have_no_prompt() {
    for case in ["mtl", "turbo"] {
        let mut model = model(case);
        let conditioning = model.condition(&T3Voice { prompt_tokens: Vec::new(), ..voice(case) }).unwrap();
        assert_eq!(conditioning.count(), 1);
        let (sequence, logits) = model.start(&conditioning, &[5, 6, 7], true, false).unwrap();
        assert!(logits.iter().all(|x| x.is_finite()));
        model.finish(sequence);
    }
}
