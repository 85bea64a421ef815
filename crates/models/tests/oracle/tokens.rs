//! Greedy tokens, their frames, durations and confidences.

use crate::fixtures::{CLIPS, clip, comparable, model, reference};
use mynah_models::parakeet::{Decoded, Head, Keep};

/// Decisions with a smaller margin than this may fall either way.
const CLEAR: f32 = 1e-3;

#[test]
fn tokens_frames_and_durations_are_nemos() {
    let mut compared = 0;
    for case in comparable() {
        let mut model = model(case);
        for name in CLIPS {
            let Some(reference) = reference(case, name) else { continue };
            let samples = clip(name);
            for head in model.config().heads_available() {
                let encoded = model.encode(&[&samples], &[head], Keep::Encoded).unwrap();
                let found = model.decode(&encoded, head).unwrap().remove(0);
                let h = head.name();
                let margins = reference.floats(&format!("{h}.steps.margin"));
                let durations = reference.floats(&format!("{h}.steps.duration_margin"));
                if margins.iter().chain(&durations).any(|m| *m < CLEAR) {
                    // Only silence, whose frames are all alike, has such margins.
                    assert_eq!(name, "zeros", "{case}/{name}");
                    continue;
                }
                let take = |f: fn(&Decoded) -> u32| found.iter().map(|t| f(t) as i32).collect::<Vec<i32>>();
                assert_eq!(take(|t| t.id), reference.integers(&format!("{h}.tokens")), "{case}/{name} {h}");
                assert_eq!(
                    take(|t| t.frame),
                    reference.integers(&format!("{h}.frames")),
                    "{case}/{name} {h}"
                );
                if head == Head::Tdt {
                    assert_eq!(
                        take(|t| t.duration_frames),
                        reference.integers("tdt.durations"),
                        "{case}/{name}"
                    );
                }
                for (t, wanted) in found.iter().zip(reference.floats(&format!("{h}.confidence"))) {
                    assert!(
                        (t.confidence - wanted).abs() <= 1e-3,
                        "{case}/{name} {h}: {} is not {wanted}",
                        t.confidence
                    );
                }
                compared += found.len();
            }
        }
    }
    assert!(compared > 3000, "only {compared} tokens were compared");
}

#[test]
fn a_head_the_model_lacks_is_refused_by_name() {
    let model = model("ctc");
    let error = model.head(Some(Head::Tdt)).unwrap_err();
    assert_eq!(error.to_string(), "this model has no tdt head; it has: ctc");
}
