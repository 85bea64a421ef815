//! Sequences led along tokens: freely they are what is generated, and along others each step is what it would be there.

use crate::fixtures::{CASES, Reference, model, voice};
use crate::logits::forced;
use mynah_models::chatterbox::t3::{Followed, Path, Sampling, T3, T3Error, T3Options};
use std::ops::ControlFlow;

const MOST: usize = 25;

/// Random numbers that no two steps share.
fn draws() -> impl FnMut() -> f64 {
    let mut step = 0u32;
    move || {
        step += 1;
        f64::from(step.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX)
    }
}

fn sampling(model: &T3) -> Sampling {
    Sampling { cfg_weight: 0.3, ..Sampling::of(model.config()) }
}

fn follow(model: &mut T3, case: &str, sampling: Sampling, path: Path<'_>) -> Result<Followed, T3Error> {
    let conditioning = model.condition(&voice(case))?;
    model.follow(&conditioning, &Reference::of(case).text, sampling, &mut draws(), path)
}

#[test]
fn a_free_path_is_what_is_generated() {
    for case in CASES {
        let mut model = model(case);
        let sampling = sampling(&model);
        let free = follow(&mut model, case, sampling, Path::Free(MOST)).unwrap();
        assert_eq!(free.drawn, free.path);
        let options = T3Options { sampling, max_tokens: MOST, ..T3Options::of(model.config()) };
        let conditioning = model.condition(&voice(case)).unwrap();
        let text = Reference::of(case).text;
        let go_on = &mut |_| ControlFlow::Continue(());
        let speech = model.generate(&conditioning, &text, options, &mut draws(), go_on).unwrap();
        assert_eq!(free.path, speech.drawn, "{case}");
        assert_eq!(model.config().speech(&free.path), speech.tokens, "{case}");
    }
}

#[test]
fn along_others_tokens_each_step_is_what_it_would_be_there() {
    for case in CASES {
        let mut model = model(case);
        let sampling = sampling(&model);
        let free = follow(&mut model, case, sampling, Path::Free(MOST)).unwrap();
        let again = follow(&mut model, case, sampling, Path::Along(&free.path)).unwrap();
        assert_eq!(again, free, "{case}");

        // From where the path was changed the logits are others, and the draw before it still is the own one.
        let mut path = free.path.clone();
        let at = path.len() / 2;
        path[at] = (path[at] + 1) % 20;
        let changed = follow(&mut model, case, sampling, Path::Along(&path)).unwrap();
        let vocabulary = model.config().speech_vocabulary;
        assert_eq!(changed.drawn[..=at], free.drawn[..=at]);
        assert_eq!(changed.path, path);
        let (same, other) = changed.logits.split_at((at + 1) * vocabulary);
        assert_eq!(same, &free.logits[..same.len()]);
        assert_ne!(other, &free.logits[same.len()..]);

        // Without guidance they are the logits of the row with the text.
        let plain = Sampling { cfg_weight: 0.0, ..sampling };
        let followed = follow(&mut model, case, plain, Path::Along(&path)).unwrap();
        let wanted = forced(&mut model, case, &path[..path.len() - 1], false);
        assert_eq!(followed.logits, wanted, "{case}");
    }
}

#[test]
fn a_path_ends_with_speech_or_with_an_error() {
    for case in CASES {
        let mut model = model(case);
        let (sampling, stop) = (sampling(&model), model.config().stop_speech);
        let path = [1, 2, stop, 3];
        let followed = follow(&mut model, case, sampling, Path::Along(&path)).unwrap();
        assert_eq!(followed.path, path[..3]);
        assert_eq!(follow(&mut model, case, sampling, Path::Along(&[])).unwrap(), Followed::default());
        for wrong in [-1, model.config().speech_vocabulary as i32] {
            let error = follow(&mut model, case, sampling, Path::Along(&[wrong, 1])).unwrap_err();
            assert!(matches!(error, T3Error::Token { token, .. } if token == i64::from(wrong)), "{error}");
        }
        let free = follow(&mut model, case, Sampling { temperature: -1.0, ..sampling }, Path::Free(1));
        assert!(matches!(free, Err(T3Error::Option { .. })));
    }
}
