//! The alignment analyser beside Python's, over attention that is made up.

use crate::fixtures::root;
use mynah_models::chatterbox::t3::{Alignment, Verdict};
use serde_json::Value;

#[test]
fn verdicts_are_those_of_python() {
    let text = std::fs::read_to_string(root().join("analyser.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut counts = [0; 3];
    for (n, case) in cases.iter().enumerate() {
        let text = case["text"].as_u64().unwrap() as usize;
        let rows: Vec<f32> =
            case["rows"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
        let mut analyser = Alignment::new(text);
        let mut rest = rows.as_slice();
        let steps = case["steps"].as_array().unwrap();
        for (step, (wanted, token)) in steps.iter().zip(case["tokens"].as_array().unwrap()).enumerate() {
            // The first step brings the rows of both starts of speech.
            let (own, others) = rest.split_at(if step == 0 { 2 * text } else { text });
            rest = others;
            let found = analyser.step(own, token.as_i64().unwrap() as i32);
            let (at, word) = match found {
                Verdict::Keep => (0, "keep"),
                Verdict::Hold => (1, "hold"),
                Verdict::Force => (2, "force"),
            };
            assert_eq!(word, wanted.as_str().unwrap(), "case {n}, step {step}");
            counts[at] += 1;
        }
        assert!(rest.is_empty());
    }
    assert!(counts.iter().all(|&n| n > 20), "{counts:?}");
}

#[test]
fn short_texts_are_followed_too() {
    // Python stops with an error where a text of five tokens and less is over.
    for text in 1..6 {
        let mut analyser = Alignment::new(text);
        let row: Vec<f32> = (0..text).map(|i| if i + 1 == text { 0.9 } else { 0.01 }).collect();
        let verdicts: Vec<Verdict> = (0..12).map(|token| analyser.step(&row, token)).collect();
        assert_eq!(verdicts[0], Verdict::Keep);
        assert_eq!(verdicts[11], Verdict::Force, "{text}: the last token lasts too long");
    }
}
