//! `mynah drift` of a text that is said: every stage of both sides behind the same tokens, and the bounds that fast routes and
//! quantised files have to keep to, with tiny random Chatterboxes of both kinds.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod support;

use mynah_convert::{Options, quantize, random_model};
use mynah_tensor::DType;
use serde_json::Value;
use std::path::Path;
use std::sync::OnceLock;
use support::{adapters, mynah, whole};

/// Both models at F32, F16 and Q8_0 of the same weights, made once for all tests: `turbo-f16-t3.gguf` and so on.
fn models() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        for (kind, name) in [("turbo", "chatterbox-tiny"), ("mtl", "chatterbox-mtl-tiny")] {
            let full = |part: &str, dtype: &str| dir.path().join(format!("{kind}-{dtype}{part}"));
            random_model(name, &full("", "f32"), 3, &Options::to(DType::F32), &|_| {}).unwrap();
            for (dtype, label) in [(DType::F16, "f16"), (DType::Q8_0, "q8_0")] {
                for part in ["-t3.gguf", "-s3gen.gguf"] {
                    quantize(&full(part, "f32"), &full(part, label), &Options::to(dtype), &|_| {}).unwrap();
                }
            }
        }
        dir
    });
    made.path()
}

fn file(name: &str) -> String {
    models().join(format!("{name}.gguf")).display().to_string()
}

/// The usual seed.
fn drift(model: &str, args: &[&str]) -> Value {
    drift_of(model, "4", args)
}

/// Two seconds and a half of speech where the model speaks as long, with the best kernels of the machine.
fn drift_of(model: &str, seed: &str, args: &[&str]) -> Value {
    let (dir, path) = (tempfile::tempdir().unwrap(), file(&format!("{model}-t3")));
    let mut command = mynah(dir.path());
    command.env_remove("MYNAH_CPU");
    command.args([
        "drift",
        "It is said to be compared.",
        "-m",
        &path,
        "-n",
        "60",
        "--seed",
        seed,
        "-l",
        "en",
    ]);
    let output = command.arg("--json").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn stages(value: &Value) -> Vec<&str> {
    value["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect()
}

fn figure(value: &Value, stage: &str, figure: &str) -> f64 {
    let found = value["stages"].as_array().unwrap().iter().find(|s| s["name"] == stage);
    found.unwrap()[figure].as_f64().unwrap()
}

#[test]
fn a_setting_against_itself_is_no_distance_at_all() {
    let exact = "precision=exact";
    for (kind, steps) in [("turbo", 2), ("mtl", 10)] {
        let value = drift(&format!("{kind}-f16"), &["--a", exact, "--b", exact, "--bisect"]);
        let steps: Vec<String> = (1..=steps).map(|step| format!("x {step}")).collect();
        let mut wanted = vec!["voice", "logits", "mu"];
        wanted.extend(steps.iter().map(String::as_str));
        wanted.extend(["mel", "f0", "source", "own f0", "own pcm", "pcm", "log-mel"]);
        assert_eq!(stages(&value), wanted);
        for stage in &wanted {
            let both = (figure(&value, stage, "nmse"), figure(&value, stage, "cosine"));
            assert_eq!(both, (0.0, 1.0), "{kind} {stage}");
        }
        assert_eq!((&value["tokens_apart"], &value["first_apart"]), (&0.into(), &Value::Null));
        for (stage, found) in value["bisect"].as_object().unwrap() {
            assert_eq!(found["responsible"], serde_json::json!([]), "{stage}");
        }
    }
}

/// The bounds of the fast policy: it may not change what is heard.
fn assert_alike(value: &Value, what: &str) {
    let cosine = figure(value, "pcm", "cosine");
    assert!(cosine >= 0.9998, "{what}: PCM cosine {cosine}");
    // Whatever the policy, the pitch is computed by the plain formulas.
    assert!(figure(value, "own f0", "rms") < 1e-3, "{what}: {value}");
    assert!(value["logits"]["top1"].as_f64().unwrap() >= 0.95, "{what}: {}", value["logits"]);
}

/// The bound of a file of eight bits: it sounds the same.
fn assert_sounds_alike(value: &Value, what: &str) {
    let cosine = figure(value, "log-mel", "cosine");
    assert!(cosine >= 0.99, "{what}: log-mel cosine {cosine}");
    assert!(value["logits"]["top5"].as_f64().unwrap() >= 0.9, "{what}: {}", value["logits"]);
}

#[test]
fn fast_sounds_as_exact_does() {
    for (kind, seeds) in [("turbo", ["4", "21"]), ("mtl", ["4", "6"])] {
        for seed in seeds {
            let sides = ["--a", "precision=exact", "--b", "precision=fast"];
            let value = drift_of(&format!("{kind}-f16"), seed, &sides);
            assert_alike(&value, &format!("{kind} {seed}"));
        }
    }
}

#[test]
fn eight_bits_sound_as_floats_do() {
    for kind in ["turbo", "mtl"] {
        for precision in ["exact", "fast"] {
            let b = format!("type=q8_0,precision={precision}");
            let value = drift(&format!("{kind}-f32"), &["--b", &b]);
            assert_sounds_alike(&value, &format!("{kind} {precision}"));
            assert!(figure(&value, "log-mel", "nmse") > 0.0 && figure(&value, "mu", "nmse") > 0.0);
        }
    }
}

#[test]
fn a_gpu_sounds_as_the_cpu_does() {
    for name in adapters() {
        for kind in ["turbo", "mtl"] {
            let b = format!("device={name},precision=fast");
            let exact = ["--a", "device=cpu,precision=exact", "--b"];
            let value = drift(&format!("{kind}-f16"), &[&exact[..], &[&b]].concat());
            assert_alike(&value, &format!("{kind} {name}"));
            let value = drift(&format!("{kind}-f32"), &[&exact[..], &[&format!("{b},type=q8_0")]].concat());
            assert_sounds_alike(&value, &format!("{kind} {name}"));
        }
    }
}

#[test]
fn a_file_is_as_good_as_the_type_it_was_made_to() {
    let model = format!("precision=exact,model={}", file("turbo-q8_0-t3"));
    let types = drift("turbo-f32", &["--b", "precision=exact,type=q8_0", "--bisect"]);
    let files = drift("turbo-f32", &["--b", &model, "--bisect"]);
    assert_eq!((&types["stages"], &types["logits"]), (&files["stages"], &files["logits"]));
    for stage in ["logits", "mel", "pcm", "log-mel"] {
        assert_eq!(types["bisect"][stage]["responsible"], serde_json::json!(["type=Q8_0"]), "{stage}");
        let name = files["bisect"][stage]["responsible"][0].as_str().unwrap();
        assert_eq!(name, &model["precision=exact,".len()..], "{stage}");
    }
    // S3Gen's file alone: T3 is as it was.
    let half = format!("precision=exact,s3gen={}", file("turbo-q8_0-s3gen"));
    let value = drift("turbo-f32", &["--b", &half, "--bisect"]);
    assert_eq!(figure(&value, "logits", "nmse"), 0.0);
    assert_eq!(figure(&value, "mel", "nmse"), figure(&types, "mel", "nmse"));
    assert_eq!(value["bisect"]["logits"]["responsible"], serde_json::json!([]));
    assert!(value["bisect"]["pcm"]["responsible"][0].as_str().unwrap().starts_with("s3gen="));
}

/// With four bits some tokens are drawn otherwise, and yet both sides say the same ones.
#[test]
fn both_sides_say_the_tokens_of_the_first() {
    let value = drift("mtl-f32", &["--a", "precision=exact", "--b", "precision=exact,type=q4_0"]);
    let apart = value["tokens_apart"].as_u64().unwrap();
    assert!(apart > 0 && apart < value["tokens"].as_u64().unwrap(), "{apart}");
    assert!(value["first_apart"].as_u64().unwrap() < value["tokens"].as_u64().unwrap());
    let each = value["logits"]["each"].as_array().unwrap();
    assert_eq!(
        (Some(each.len() as u64), value["tokens"].as_u64()),
        (value["logits"]["rows"].as_u64(), Some(60))
    );
    // Behind the same tokens logits stay near to the end; behind others they would have nothing in common.
    assert!(each.iter().all(|row| row["cosine"].as_f64().unwrap() > 0.9), "{each:?}");
    assert!(figure(&value, "pcm", "cosine") < figure(&value, "log-mel", "cosine"));
}

#[test]
fn stages_of_both_sides_are_dumped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.safetensors").display().to_string();
    let value = drift("turbo-f16", &["--b", "precision=exact,type=q8_0", "--dump", &path]);
    let bytes = std::fs::read(&path).unwrap();
    let dumped = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(dumped.len(), 2 * stages(&value).len());
    for name in ["a/pcm", "b/pcm", "a/x.1", "b/own.f0"] {
        assert!(dumped.tensor(name).is_ok_and(|tensor| !tensor.data().is_empty()), "{name}");
    }
}

#[test]
fn every_route_has_a_column() {
    let value = drift("turbo-f16", &[]);
    let columns = value["columns"].as_array().unwrap();
    assert_eq!(columns[0]["name"], "fast");
    let pcm = |column: &Value| column["nmse"]["pcm"].as_f64().unwrap();
    assert!(columns.len() > 1 && columns.iter().all(|column| pcm(column) < 4e-4), "{value}");
}

#[test]
fn what_does_not_fit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("talk.txt"), "words").unwrap();
    let (turbo, half, mtl) = (file("turbo-f16-t3"), file("turbo-f16-s3gen"), file("mtl-f16-t3"));
    let ears = support::model("ctc");
    let other = format!("model={mtl}");
    let hears = format!("model={ears}");
    let cases: [&[&str]; 9] = [
        &["talk.txt", "-m", &turbo],
        &[" ", "-m", &turbo],
        &["Good morning.", "-m", &half],
        &["Good morning.", "-m", &mtl],
        &["Good morning.", "-m", &ears],
        &["Good morning.", "-m", &ears, "--voice", "me.gguf"],
        &["Good morning.", "-m", &turbo, "-n", "4", "--voice", "me.gguf"],
        &["Good morning.", "-m", &turbo, "-n", "4", "-l", "en", "--b", &other],
        &["Good morning.", "-m", &turbo, "-n", "4", "--b", &hears],
    ];
    let folder = models().display().to_string();
    let said = cases.iter().map(|args| {
        let output = mynah(dir.path()).arg("drift").args(*args).output().unwrap();
        whole(&output).replace(&folder, "MODELS").replace("MODELS\\", "MODELS/")
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"));
}
