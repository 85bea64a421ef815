//! The verbs around transcription: what is in a file, making one, measuring.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod support;

use serde_json::Value;
use std::fs;
use support::{clips, exact, fixture, model, mynah, run, stdout, whole};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn inspect_shows_the_family_and_its_memory() {
    let dir = clips();
    let text = stdout(dir.path(), &["inspect", &model("tdt_ctc_local")]);
    let head: String =
        text.lines().take_while(|l| !l.starts_with("keys")).map(|l| format!("{l}\n")).collect();
    insta::assert_snapshot!(head);
    let value = json(&stdout(dir.path(), &["inspect", "--json", &model("tdt_ctc_local")]));
    assert_eq!(value["architecture"], "parakeet");
    assert_eq!(value["model"]["heads"], serde_json::json!(["tdt", "ctc"]));
    let memory = value["model"]["memory"].as_array().unwrap();
    let totals: Vec<u64> = memory.iter().map(|m| m["total"].as_u64().unwrap()).collect();
    assert!(totals.is_sorted() && totals[0] > 0, "{totals:?}");
}

#[test]
fn inspect_shows_language_models_and_their_memory() {
    let dir = clips();
    for (model, kind) in [("dense", "feed-forward"), ("experts", "experts of")] {
        let file = fixture(&format!("qwen35/{model}/model.gguf"));
        let text = stdout(dir.path(), &["inspect", &file]);
        assert!(text.starts_with("family        Qwen3.5, text to text\n") && text.contains(kind), "{text}");
        let value = json(&stdout(dir.path(), &["inspect", "--json", &file]));
        assert_eq!(value["model"]["task"], "generate");
        let memory = &value["model"]["memory"][0];
        assert!(
            memory["weights"].as_u64() > Some(0) && memory["total"].as_u64() > memory["weights"].as_u64()
        );
    }
}

#[test]
fn inspect_shows_sound_files_of_other_families_and_refuses_broken_ones() {
    let dir = clips();
    let other = stdout(dir.path(), &["inspect", &fixture("gguf/types.gguf")]);
    assert!(other.starts_with("family        none that runs here: "), "{other}");
    fs::write(dir.path().join("broken.gguf"), b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff").unwrap();
    insta::assert_snapshot!(whole(&run(dir.path(), &["inspect", "broken.gguf"])));
}

#[test]
fn a_random_model_is_made_quantized_and_run() {
    let dir = clips();
    let made = stdout(dir.path(), &["convert", "--random", "tiny", "tiny.gguf", "--seed", "3"]);
    assert!(made.starts_with("random weights: Parakeet hybrid_tdt_ctc") && made.contains("F32"), "{made}");
    let again = run(dir.path(), &["convert", "--random", "tiny", "again.gguf", "--seed", "3", "-t", "1"]);
    assert!(again.status.success());
    let bytes = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert!(bytes("tiny.gguf") == bytes("again.gguf"), "the same seed gives the same file");
    stdout(dir.path(), &["quantize", "tiny.gguf", "small.gguf", "q8_0", "--keep", "encoder.layers.0.*"]);
    assert!(bytes("small.gguf").len() < bytes("tiny.gguf").len());
    let types = json(&stdout(dir.path(), &["inspect", "--json", "small.gguf"]));
    let q8 = |t: &&Value| t["type"] == "Q8_0";
    let names: Vec<&str> =
        types["tensors"].as_array().unwrap().iter().filter(q8).map(|t| t["name"].as_str().unwrap()).collect();
    assert!(!names.is_empty() && !names.iter().any(|n| n.starts_with("encoder.layers.0.")), "{names:?}");
    assert!(run(dir.path(), &exact("small.gguf", &["mod0.wav"])).status.success());
}

#[test]
fn a_nemo_archive_becomes_the_model_it_is() {
    let dir = clips();
    let archive = fixture("parakeet/ctc/model.nemo");
    stdout(dir.path(), &["convert", &archive, "ctc.gguf", "-q"]);
    let ours = stdout(dir.path(), &exact("ctc.gguf", &["mod0.wav", "-f", "json", "-q"]));
    assert_eq!(ours, stdout(dir.path(), &exact(&model("ctc"), &["mod0.wav", "-f", "json", "-q"])));
}

#[cfg(unix)]
#[test]
fn ctrl_c_takes_the_half_written_model_along() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["convert", "--random", "parakeet-ctc-0.6b", "big.gguf", "--type", "q8_0", "-t", "1"];
    let mut child = mynah(dir.path()).args(args).spawn().unwrap();
    while support::listing(dir.path()).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it wrote");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(support::listing(dir.path()), [""; 0]);
}

#[test]
fn conversions_that_make_no_sense() {
    let dir = clips();
    let cases: [&[&str]; 6] = [
        &["convert", "only-one.nemo"],
        &["convert", "--random", "parakeet-9000", "out.gguf"],
        &["convert", "mod0.wav", "out.gguf"],
        &["convert", "missing.nemo", "out.gguf"],
        &["quantize", "missing.gguf", "out.gguf", "q8_0"],
        &["quantize", "mod0.wav", "out.gguf", "q9"],
    ];
    let all: Vec<String> = cases.iter().map(|args| whole(&run(dir.path(), args))).collect();
    insta::assert_snapshot!(all.join("\n"));
    assert!(!dir.path().join("out.gguf").exists());
}

#[test]
fn word_errors_are_counted_per_voice() {
    let dir = clips();
    let ctc = model("ctc");
    let heard = |clip| stdout(dir.path(), &exact(&ctc, &[clip, "-q"]));
    let (first, second) = (heard("mod0.wav"), heard("mod1.wav"));
    let manifest = format!("mod0.wav\tann\t{first}mod1.wav\tbob\textra {second}gone.wav\tbob\twords\n");
    fs::write(dir.path().join("m.tsv"), manifest).unwrap();
    let output = run(dir.path(), &["wer", "m.tsv", "-m", &ctc, "--precision", "exact", "--json", "-q"]);
    assert_eq!(output.status.code(), Some(3), "one recording is missing");
    let value = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(value["voices"]["ann"]["wer"], 0.0);
    assert_eq!((&value["voices"]["bob"]["deletions"], &value["failed"]), (&1.into(), &1.into()));
    assert_eq!(value["all"]["clips"], 2);
}

#[test]
fn drift_is_measured_against_the_exact_policy() {
    let dir = clips();
    let args = ["drift", "-m", &model("hybrid_tdt_ctc"), "mod7.wav", "--json", "-q"];
    let value = json(&stdout(dir.path(), &args));
    let fast = &value["columns"][0];
    assert_eq!(fast["name"], "fast");
    let errors = fast["nmse"].as_object().unwrap();
    assert!(
        errors.contains_key("block 0") && errors.contains_key("encoded") && errors.contains_key("projected")
    );
    assert!(errors.contains_key("subsampled") && errors.contains_key("logits"));
    assert!(errors.values().all(|e| e.as_f64().unwrap() < 1e-2), "{errors:?}");
    assert!(fast["tokens"].as_u64().unwrap() > 0);
}

#[test]
fn the_op_suite_passes() {
    let dir = clips();
    let report = stdout(dir.path(), &["ops", "--op", "layer_norm", "--generated", "20"]);
    assert!(report.contains("layer_norm") && !report.contains("FAILED"), "{report}");
    let value = json(&stdout(
        dir.path(),
        &["ops", "--op", "relu", "--precision", "exact", "--generated", "0", "--json"],
    ));
    let cases = value[0]["cases"].as_array().unwrap();
    assert!(!cases.is_empty() && cases.iter().all(|c| c["status"] == "passed"), "{value}");
    let wrong = run(dir.path(), &["ops", "--op", "teleport"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn speed_is_measured_in_times_realtime() {
    let dir = clips();
    let args = ["bench", "asr", "-m", &model("tdt"), "--seconds", "3", "--reps", "2", "--json", "-q"];
    let value = json(&stdout(dir.path(), &args));
    let found = &value["results"][0];
    assert_eq!((&found["audio_seconds"], &found["type"]), (&3.0.into(), &"F32".into()));
    assert!(found["rtfx"].as_f64().unwrap() > 0.0 && found["tokens"].as_u64().unwrap() > 0, "{found}");
    assert_eq!(found["seconds"]["each"].as_array().unwrap().len(), 2);
    for stage in ["features", "subsample", "encoder", "decoder"] {
        assert!(found["stages"][stage].as_f64().unwrap() > 0.0, "{stage}");
    }
    let encoding = &found["encoding"];
    assert_eq!(encoding["ceiling"], "f32");
    // The portable kernels are no faster than what the compiler makes of multiply and add.
    let reached = encoding["of_ceiling"].as_f64().unwrap();
    assert!(reached > 0.0 && reached < 1.5 && encoding["operations"].as_f64().unwrap() > 1e6, "{encoding}");
    let machine = &value["machine"];
    assert_eq!(machine["version"], env!("CARGO_PKG_VERSION"));
    assert!(machine["peaks"][0]["read_bytes"].as_f64().unwrap() > 0.0, "{machine}");
    assert_eq!(machine["date"].as_str().unwrap().len(), 10);
}

#[test]
fn several_models_and_numbers_of_threads_make_one_table() {
    let dir = clips();
    let (tdt, ctc) = (model("tdt"), model("ctc"));
    let args = ["bench", "asr", &tdt, &ctc, "--threads-list", "1,2", "--seconds", "2", "--reps", "1", "-q"];
    let text = stdout(dir.path(), &args);
    let peaks: Vec<&str> = text.lines().filter(|l| l.starts_with("at most ")).collect();
    assert!(peaks[0].ends_with("with 1 thread") && peaks[1].ends_with("with 2 threads"), "{text}");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|l| !l.starts_with("model "))
        .map(|l| l.split_whitespace().collect())
        .collect();
    let threads: Vec<&str> = rows[1..].iter().map(|row| row[2]).collect();
    assert_eq!(threads, ["1", "2", "1", "2"], "{text}");
    let bare = ["bench", "asr", &tdt, "--no-peaks", "--seconds", "2", "--reps", "1", "--json", "-q"];
    let value = json(&stdout(dir.path(), &bare));
    assert!(value["machine"].is_null() && value["results"][0]["encoding"]["of_ceiling"].is_null(), "{value}");
}

#[test]
fn products_are_measured_by_type_rows_and_shape() {
    let dir = clips();
    let mut args =
        vec!["bench", "ops", "--shape", "256x64,64x256", "--rows", "1,16", "--budget", "0.01", "-t", "1"];
    args.extend(["--type", "q8_0,q4_k,f16"]);
    let text = stdout(dir.path(), &args);
    assert!(text.contains("terms×columns") && text.contains("256×64") && text.contains("at most"), "{text}");
    args.push("--json");
    let value = json(&stdout(dir.path(), &args));
    let lines = value["results"].as_array().unwrap();
    // A row of 64 terms is no whole block of Q4_K.
    assert_eq!(lines.len(), 10);
    for line in lines {
        assert!(line["rate"].as_f64().unwrap() > 0.0 && line["of_reads"].as_f64().unwrap() > 0.0, "{line}");
        let many = line["rows"] == 16;
        assert_eq!(line["rate_cached"].is_f64(), many, "{line}");
        assert!(line["kernel"].as_str().unwrap().contains("portable"), "{line}");
    }
    let wrong = run(dir.path(), &["bench", "ops", "--shape", "12"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn doctor_names_what_it_found() {
    let dir = clips();
    let text = stdout(dir.path(), &["doctor"]);
    for part in
        ["mynah", "processor", "instructions  portable", "threads", "built-in model", "MYNAH_CPU=portable"]
    {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(text.contains("quick op tests pass") && !text.contains("FAIL"), "{text}");
    let value = json(&stdout(dir.path(), &["doctor", "--json"]));
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(value["environment"]["MYNAH_CPU"], "portable");
    let cpu = &value["devices"][0];
    assert_eq!((&cpu["device"], &cpu["tests"]["passed"]), (&"cpu".into(), &cpu["tests"]["run"]));
    assert!(cpu["tests"]["run"].as_u64().unwrap() > 100, "{cpu}");
    let open = value["adapters"].as_array().unwrap().iter().filter(|a| a["error"].is_null()).count();
    assert_eq!(value["devices"].as_array().unwrap().len(), 1 + open);
    let untested = json(&stdout(dir.path(), &["doctor", "--json", "--no-tests"]));
    assert!(untested["devices"][0]["tests"].is_null());
}

#[cfg(feature = "builtin-model")]
#[test]
fn doctor_brings_the_model_to_every_device() {
    let dir = clips();
    let text = stdout(dir.path(), &["doctor", "--no-tests"]);
    let adapters = support::adapters();
    for name in adapters.iter().map(String::as_str).chain(["cpu"]) {
        let block =
            text.split("\ndevice ").find(|block| block.trim_start().starts_with(&format!("{name}\n")));
        let block = block.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        assert!(block.contains(&format!("\n  model       the whole model runs on {name}\n")), "{block}");
        assert!(block.contains("\n  memory      ") && block.contains("\n  route       "), "{block}");
    }
    assert_eq!(text.matches("\n  limits      ").count(), adapters.len(), "{text}");
    assert_eq!(text.matches("\n  features    ").count(), adapters.len(), "{text}");
    let value = json(&stdout(dir.path(), &["doctor", "--no-tests", "--json"]));
    for device in value["devices"].as_array().unwrap() {
        let model = &device["builtin_model"];
        assert!(model["bytes"].as_u64().unwrap() > 1 << 20, "{device}");
        let steps = model["steps"].as_u64().unwrap();
        for route in device["routes"].as_array().unwrap() {
            assert!(route["steps"].as_u64().unwrap() < steps, "{route}");
        }
    }
    // The portable kernels have one way to multiply and two for attention, which every block of the encoder has.
    let steps = |route: &str| {
        let routes = value["devices"][0]["routes"].as_array().unwrap();
        routes.iter().find(|r| r["name"] == route).unwrap()["steps"].as_u64()
    };
    assert_eq!((steps("int8-dot"), steps("online-softmax")), (Some(0), Some(8)));
}

#[cfg(target_os = "linux")]
#[test]
fn doctor_on_a_machine_without_an_adapter() {
    let output = support::without_drivers(&["doctor", "--no-tests"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\nadapter       none found\n") && text.contains("\nauto          cpu\n"),
        "{text}"
    );
    assert_eq!(text.matches("\ndevice ").count(), 1, "{text}");
}

#[test]
fn help_version_and_completions() {
    let dir = clips();
    assert_eq!(stdout(dir.path(), &["--version"]), format!("mynah {}\n", env!("CARGO_PKG_VERSION")));
    let help = |args: &[&str]| {
        let output = mynah(dir.path()).env("COLUMNS", "100").args(args).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    insta::assert_snapshot!(format!("{}\n{}", help(&["--help"]), help(&["transcribe", "--help"])));
    assert!(help(&["completions", "bash"]).contains("_mynah"));
}
