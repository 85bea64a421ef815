//! Each chain of logits processors beside transformers' own.

use crate::fixtures::root;
use mynah_models::chatterbox::t3::{Order, Sampling};
use serde_json::Value;

fn floats(value: &Value) -> Vec<f32> {
    let float = |v: &Value| v.as_f64().map_or(f32::NEG_INFINITY, |x| x as f32);
    value.as_array().unwrap().iter().map(float).collect()
}

#[test]
fn chains_leave_what_transformers_leaves() {
    let text = std::fs::read_to_string(root().join("samplers.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 24);
    let mut cut = 0;
    for (n, case) in cases.iter().enumerate() {
        let option = |name: &str, default: f64| case["options"][name].as_f64().unwrap_or(default) as f32;
        let sampling = Sampling {
            temperature: option("temperature", 1.0),
            top_k: option("top_k", 0.0) as usize,
            top_p: option("top_p", 1.0),
            min_p: option("min_p", 0.0),
            repetition_penalty: option("penalty", 1.0),
            cfg_weight: option("weight", 0.0),
        };
        let mut found = floats(&case["cond"]);
        let order = if case["kind"] == "turbo" { Order::Gpt2 } else { Order::Llama };
        if order == Order::Llama {
            sampling.guide(&mut found, &floats(&case["uncond"]));
        }
        let ids: Vec<i32> =
            case["ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap() as i32).collect();
        sampling.cut(order, &mut found, &ids);
        for (found, wanted) in found.iter().zip(floats(&case["left"])) {
            let same = *found == wanted || (found - wanted).abs() <= 1e-5 * (1.0 + wanted.abs());
            assert!(same, "case {n}: {found}, not {wanted}");
            cut += usize::from(wanted == f32::NEG_INFINITY);
        }
    }
    assert!(cut > 200, "only {cut} logits were cut");
}
