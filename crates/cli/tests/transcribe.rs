//! Words out of recordings: every format, one or many, from files and pipes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use support::{clips, exact, fixture, model, mynah, run, stdout, whole};

const CLIPS: [&str; 5] = ["hop.wav", "tenth.wav", "mod0.wav", "mod1.wav", "mod7.wav"];

#[test]
fn every_format_on_standard_output() {
    let dir = clips();
    let ctc = model("ctc");
    let mut all = String::new();
    for format in ["txt", "srt", "vtt", "json", "verbose_json", "tsv", "csv", "lrc"] {
        let output = run(dir.path(), &exact(&ctc, &["mod0.wav", "-f", format]));
        all.push_str(&format!("=== {format}\n{}\n", whole(&output)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn several_recordings_are_named() {
    let dir = clips();
    let ctc = model("ctc");
    let text = whole(&run(dir.path(), &exact(&ctc, &["mod0.wav", "tenth.wav"])));
    let subtitles = whole(&run(dir.path(), &exact(&ctc, &["mod0.wav", "mod1.wav", "-f", "srt", "-q"])));
    insta::assert_snapshot!(format!("{text}\n{subtitles}"));
    let lines = stdout(dir.path(), &exact(&ctc, &["mod0.wav", "mod1.wav", "-f", "json"]));
    let files: Vec<String> = lines.lines().map(|l| file_of(&serde_json::from_str(l).unwrap())).collect();
    assert_eq!(files, ["mod0.wav", "mod1.wav"]);
}

fn file_of(line: &serde_json::Value) -> String {
    assert!(line["text"].is_string());
    line["file"].as_str().unwrap().to_owned()
}

#[test]
fn a_folder_gives_names_even_with_one_recording() {
    let dir = clips();
    std::fs::create_dir(dir.path().join("talks")).unwrap();
    std::fs::rename(dir.path().join("mod0.wav"), dir.path().join("talks/mod0.wav")).unwrap();
    let out = stdout(dir.path(), &exact(&model("ctc"), &["talks", "-q"]));
    assert!(out.starts_with(&format!("{}: ", Path::new("talks").join("mod0.wav").display())), "{out}");
    let all = stdout(dir.path(), &exact(&model("ctc"), &[".", "--recursive", "-q"]));
    assert_eq!(all.lines().count(), 5);
}

#[test]
fn a_pipe_gives_what_the_file_gives() {
    let dir = clips();
    let ctc = model("ctc");
    let file = stdout(dir.path(), &exact(&ctc, &["mod7.wav", "-f", "json"]));
    let mut child = mynah(dir.path())
        .args(exact(&ctc, &["-", "-f", "json"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = std::fs::read(dir.path().join("mod7.wav")).unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let piped = child.wait_with_output().unwrap();
    assert!(piped.status.success());
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), file);
}

#[test]
fn a_batch_equals_its_single_recordings() {
    let dir = clips();
    for kind in ["ctc", "rnnt", "tdt"] {
        let model = model(kind);
        let args = |more: &[&'static str]| [&["-f", "json", "-q"], more, &CLIPS[..]].concat();
        let one = stdout(dir.path(), &exact(&model, &args(&["--batch", "1"])));
        let many = stdout(dir.path(), &exact(&model, &args(&["--batch", "4"])));
        assert_eq!(one, many, "{kind}");
        let singles: String = CLIPS
            .iter()
            .map(|clip| {
                let body = stdout(dir.path(), &exact(&model, &[clip, "-f", "json", "-q"]));
                body.replacen('{', &format!("{{\"file\":\"{clip}\","), 1)
            })
            .collect();
        assert_eq!(one, singles, "{kind}");
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let dir = clips();
    let clip = fixture("parakeet/clips/long15.wav");
    for kind in ["hybrid_tdt_ctc", "rnnt", "ctc_layer_norm"] {
        let model = model(kind);
        let with = |threads: &str| {
            // The best kernels of this machine, the fast routes included.
            let mut command = mynah(dir.path());
            command.env_remove("MYNAH_CPU").args([
                "transcribe",
                "-m",
                &model,
                &clip,
                "-f",
                "json",
                "-q",
                "-t",
                threads,
            ]);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let one = with("1");
        assert_eq!(one, with("2"), "{kind}");
        assert_eq!(one, with("3"), "{kind}");
    }
}

#[test]
fn the_decoder_can_be_chosen() {
    let dir = clips();
    let hybrid = model("hybrid_tdt_ctc");
    let text =
        |decoder: &'static str| stdout(dir.path(), &exact(&hybrid, &["mod0.wav", "--decoder", decoder]));
    assert_ne!(text("tdt"), text("ctc"));
    assert_eq!(text("tdt"), stdout(dir.path(), &exact(&hybrid, &["mod0.wav"])));
    insta::assert_snapshot!(whole(&run(dir.path(), &exact(&hybrid, &["mod0.wav", "--decoder", "rnnt"]))));
}

#[test]
fn attention_can_be_overruled() {
    let dir = clips();
    let tdt = model("tdt");
    let text = |attention: &'static str| {
        stdout(dir.path(), &exact(&tdt, &["mod7.wav", "-f", "json", "--attention", attention]))
    };
    // A window wider than the clip sees all of it.
    assert_eq!(text("full"), text("local:100,100"));
    assert_ne!(text("full"), text("local:1,1"));
}

#[test]
fn pieces_cover_the_whole_recording() {
    let dir = clips();
    let clip = fixture("parakeet/clips/long15.wav");
    let args = ["transcribe", "-m", &model("ctc"), "-f", "verbose_json", "--chunk", "5", &clip];
    let body: serde_json::Value = serde_json::from_str(&stdout(dir.path(), &args)).unwrap();
    assert_eq!(body["duration"], 15.0);
    let last = body["words"].as_array().unwrap().last().unwrap()["end"].as_f64().unwrap();
    assert!(last > 10.0, "the last word ends at {last}");
}

#[test]
fn words_may_be_cues() {
    let dir = clips();
    let out = stdout(
        dir.path(),
        &exact(&model("ctc"), &["mod0.wav", "-f", "srt", "--max-line", "1", "--max-lines", "1"]),
    );
    let words = stdout(dir.path(), &exact(&model("ctc"), &["mod0.wav"])).split_whitespace().count();
    assert_eq!(out.matches(" --> ").count(), words);
}

#[test]
fn progress_for_programs_is_json() {
    let dir = clips();
    let ctc = model("ctc");
    let output = run(dir.path(), &exact(&ctc, &["--progress", "json", "mod0.wav", "no.wav"]));
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let events: Vec<serde_json::Value> =
        stderr.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let of = |name: &str| events.iter().filter(|e| e["event"] == name).collect::<Vec<_>>();
    assert!(!of("progress").is_empty());
    assert_eq!(
        of("file").iter().map(|e| e["status"].as_str().unwrap()).collect::<Vec<_>>(),
        ["done", "failed"]
    );
    let end = of("end")[0];
    assert_eq!((&end["files"], &end["failed"], &end["skipped"]), (&2.into(), &1.into(), &0.into()));
    assert_eq!(end["seconds"], 2.4);
}

#[test]
fn graphs_can_be_printed_at_every_stage() {
    let dir = clips();
    let tdt = model("tdt");
    let dump = |kind: &'static str, more: &[&'static str]| {
        stdout(dir.path(), &exact(&tdt, &[&["--dump", kind], more].concat()))
    };
    let heads = |text: &str, word: &str| -> Vec<String> {
        let lines = text.lines().filter(|l| l.starts_with(word));
        lines.map(|l| l.split([' ', ':']).nth(1).unwrap().to_owned()).collect()
    };
    let names = ["subsample", "pre_encode", "encoder", "predictor", "joint"];
    assert_eq!(heads(&dump("graph", &["mod0.wav"]), "graph"), names);
    assert_eq!(heads(&dump("plan", &["mod0.wav"]), "plan"), names);
    assert_eq!(heads(&dump("steps", &["mod0.wav"]), "steps"), names);
    // Without a recording, the shape of 11 s: 138 frames, in a bucket of 144.
    assert!(dump("graph", &[]).contains("[1, 144, "));
    let count = |text: &str| text.lines().count();
    assert!(count(&dump("steps", &[])) < count(&dump("graph", &[])), "rewrites fuse");
}

#[test]
fn the_debug_ladder_explains_and_changes_nothing() {
    let dir = clips();
    let ctc = model("ctc");
    let at = |level: &str| {
        let output = mynah(dir.path())
            .env("MYNAH_DEBUG", level)
            .args(exact(&ctc, &["mod0.wav", "-q"]))
            .output()
            .unwrap();
        assert!(output.status.success());
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (plain, nothing) = at("0");
    assert_eq!(nothing, "");
    let marks = ["matmul", "planned", "rewrite=", "kernel", "mynah::checksum"];
    for (level, marks) in ["1", "2", "3", "4", "5"].into_iter().zip((1..=5).map(|n| &marks[..n])) {
        let (text, explained) = at(level);
        assert_eq!(text, plain);
        for mark in marks {
            assert!(explained.contains(mark), "{level}: no {mark} in\n{explained}");
        }
    }
    let wrong = mynah(dir.path()).env("MYNAH_DEBUG", "6").args(exact(&ctc, &["mod0.wav"])).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let dir = clips();
    let mut child = mynah(dir.path())
        .args(exact(&model("ctc"), &CLIPS))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("error") && !stderr.contains("panicked"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130() {
    let dir = clips();
    let mut child = mynah(dir.path())
        .args(exact(&model("ctc"), &["-", "-o", "out.txt", "-v"]))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // `wait` would close it, and a recording without a byte is a failure that may come before the signal's thread runs.
    let open = child.stdin.take();
    // The first note is written after the handler was installed.
    let mut first = [0];
    std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut first).unwrap();
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(open);
    assert!(!support::listing(dir.path()).iter().any(|name| name.contains("out")));
}
