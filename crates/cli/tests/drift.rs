//! Two settings side by side: figures of every stage, agreement of the logits, who is to blame, and the dump.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod support;

use serde_json::Value;
use support::{adapters, clips, model, run, stdout, whole};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_setting_against_itself_is_no_distance_at_all() {
    let dir = clips();
    let same = "precision=exact";
    let path = model("tdt");
    let args = ["drift", "mod7.wav", "-m", &path, "--a", same, "--b", same, "--bisect"];
    insta::assert_snapshot!(stdout(dir.path(), &args));
}

#[test]
fn a_smaller_type_is_blamed_and_ranks_are_compared() {
    let dir = clips();
    for kind in ["hybrid_tdt_ctc", "ctc"] {
        let path = model(kind);
        let args =
            ["drift", "mod7.wav", "-m", &path, "--b", "precision=exact,type=q4_0", "--bisect", "--json"];
        let value = json(&stdout(dir.path(), &args));
        assert_eq!(
            (&value["a"], &value["b"]),
            (&"device=cpu,precision=exact".into(), &"device=cpu,type=Q4_0,precision=exact".into())
        );
        let stages = value["stages"].as_array().unwrap();
        let last = stages.last().unwrap();
        assert_eq!((&stages[0]["name"], &last["name"]), (&"subsampled".into(), &"logits".into()));
        let figure = |name: &str| last[name].as_f64().unwrap();
        assert!(figure("nmse") > 0.0 && figure("rms") > 0.0 && figure("max_abs") >= figure("rms"), "{last}");
        assert!(figure("cosine") > 0.9 && figure("cosine") < 1.0, "{last}");
        let logits = &value["logits"];
        for share in ["top1", "top5", "top20", "ranks_moved"] {
            assert!((0.0..=1.0).contains(&logits[share].as_f64().unwrap()), "{logits}");
        }
        assert!(logits["rows"].as_u64().unwrap() > 0, "{logits}");
        assert_eq!(value["bisect"]["logits"]["responsible"], serde_json::json!(["type=Q4_0"]));
        assert_eq!(value["bisect"]["logits"]["total"], last["nmse"]);
    }
}

#[test]
fn stages_of_both_sides_are_dumped() {
    let dir = clips();
    let args = [
        "drift",
        "mod7.wav",
        "-m",
        &model("tdt"),
        "--b",
        "precision=exact,type=f16",
        "--dump",
        "d.safetensors",
        "--json",
    ];
    let value = json(&stdout(dir.path(), &args));
    let bytes = std::fs::read(dir.path().join("d.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f64> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
    };
    let (a, b) = (floats("a/logits"), floats("b/logits"));
    assert_eq!(file.len(), 2 * value["stages"].as_array().unwrap().len());
    let largest = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert_eq!(value["stages"].as_array().unwrap().last().unwrap()["max_abs"].as_f64(), Some(largest));
}

#[test]
fn every_adapter_is_near_the_cpu_and_is_the_switch_to_blame() {
    let dir = clips();
    for name in adapters() {
        let b = format!("device={name},precision=exact");
        let args = ["drift", "mod7.wav", "-m", &model("tdt"), "--b", &b, "--bisect", "--json"];
        let value = json(&stdout(dir.path(), &args));
        let last = value["stages"].as_array().unwrap().last().unwrap().clone();
        assert!(last["nmse"].as_f64().unwrap() < 1e-8, "{last}");
        assert_eq!(value["logits"]["top1"], 1.0);
        assert_eq!(value["bisect"]["logits"]["switches"][0]["name"], format!("device={name}"));
    }
}

#[test]
fn sides_that_make_no_sense() {
    let dir = clips();
    let path = model("ctc");
    let cases: [&[&str]; 4] =
        [&["--b", "speed=high"], &["--b", "teleport=on"], &["--a", "type=q9"], &["--precision", "exact"]];
    let all: Vec<String> = cases
        .iter()
        .map(|args| whole(&run(dir.path(), &[&["drift", "mod0.wav", "-m", path.as_str()], *args].concat())))
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}
