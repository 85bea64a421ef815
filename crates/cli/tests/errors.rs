//! What goes wrong, in the user's words: an error, its causes, a hint, and the exit code.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod support;

use std::fs;
use support::{clips, exact, fixture, model, mynah, run, whole};

#[test]
fn inputs_that_fail() {
    let dir = clips();
    let ctc = model("ctc");
    for (name, from) in
        [("garbage.mp3", "garbage.bin"), ("phone.ogg", "opus48.ogg"), ("cut.mp3", "truncated.mp3")]
    {
        fs::copy(fixture(&format!("audio/{from}")), dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("notes.wav"), "these are words, not sound\n").unwrap();
    fs::write(dir.path().join("empty.wav"), "").unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    let cases: [&[&str]; 8] = [
        &["missing.wav"],
        &["mod00.wav"],
        &["missing.wav", "mod0.wav"],
        &["missing.wav", "gone.wav"],
        &["notes.wav", "phone.ogg", "hop.wav"],
        &["empty.wav"],
        &["folder", "hop.wav"],
        &["folder"],
    ];
    let all: Vec<String> = cases
        .iter()
        .map(|args| {
            format!("$ mynah transcribe {}\n{}", args.join(" "), whole(&run(dir.path(), &exact(&ctc, args))))
        })
        .collect();
    insta::assert_snapshot!(all.join("\n"));
    let garbage = run(dir.path(), &exact(&ctc, &["garbage.mp3"]));
    assert_eq!(garbage.status.code(), Some(1));
    assert!(
        String::from_utf8(garbage.stderr)
            .unwrap()
            .starts_with("error: can't transcribe garbage.mp3\ncause: ")
    );
}

#[test]
fn a_recording_that_ends_early_is_heard_and_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let clip = fs::read(fixture("parakeet/clips/mod0.wav")).unwrap();
    fs::write(dir.path().join("cut.wav"), &clip[..clip.len() / 2]).unwrap();
    let output = run(dir.path(), &exact(&model("ctc"), &["cut.wav", "-q"]));
    assert_eq!(output.status.code(), Some(0));
    assert!(!output.stdout.is_empty());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "warning: cut.wav: the recording ends earlier than it says\n"
    );
}

#[test]
fn models_that_can_not_be_used() {
    let dir = clips();
    fs::write(dir.path().join("text.gguf"), "not a model").unwrap();
    let whole_file = fs::read(model("ctc")).unwrap();
    fs::write(dir.path().join("cut.gguf"), &whole_file[..whole_file.len() - 1000]).unwrap();
    fs::copy(fixture("gguf/types.gguf"), dir.path().join("other.gguf")).unwrap();
    let all: Vec<String> = ["none.gguf", "text.gguf", "cut.gguf", "other.gguf"]
        .iter()
        .map(|model| whole(&run(dir.path(), &exact(model, &["mod0.wav"]))))
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn usage_errors_are_2() {
    let dir = clips();
    let ctc = model("ctc");
    let cases: [&[&str]; 9] = [
        &["--nonsense", "mod0.wav"],
        &[],
        &["mod0.wav", "-f", "docx"],
        &["mod0.wav", "--chunk", "1"],
        &["mod0.wav", "--attention", "local:3"],
        &["mod0.wav", "-t", "0"],
        &["mod0.wav", "--device", "abacus"],
        &["mod0.wav", "--precision", "best"],
        &["mod0.wav", "--decoder", "aed"],
    ];
    for args in cases {
        let output = run(dir.path(), &[&["transcribe", "-m", &ctc], args].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: "), "{args:?}");
    }
}

#[test]
fn unknown_routes_are_refused_with_the_known_ones() {
    let dir = clips();
    let output = run(dir.path(), &exact(&model("ctc"), &["mod0.wav", "--route", "warp-drive=on"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no route 'warp-drive'"));
}

#[test]
fn the_environment_gives_way_to_flags_and_the_file_to_both() {
    let dir = clips();
    let config = dir.path().join("config.toml");
    fs::write(&config, format!("[transcribe]\nmodel = '{}'\nformat = 'srt'\nquiet = true\n", model("ctc")))
        .unwrap();
    let run = |environment: &[(&str, &str)], args: &[&str]| {
        let mut command = mynah(dir.path());
        command.env("MYNAH_CONFIG", &config).envs(environment.iter().copied());
        let output = command.args(["transcribe", "mod0.wav"]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "quiet");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&[], &[]).contains(" --> "), "srt by the file");
    assert!(run(&[("MYNAH_FORMAT", "vtt")], &[]).starts_with("WEBVTT"), "vtt by the environment");
    assert!(run(&[("MYNAH_RECURSIVE", "1")], &[]).contains(" --> "), "a switch by the environment");
    assert!(run(&[("MYNAH_FORMAT", "vtt")], &["-f", "json"]).starts_with('{'), "json by the flag");
}

#[test]
fn a_wrong_config_file_is_named() {
    let dir = clips();
    let config = dir.path().join("config.toml");
    let with = |text: &str| {
        fs::write(&config, text).unwrap();
        let output =
            mynah(dir.path()).env("MYNAH_CONFIG", "config.toml").args(["transcribe", "mod0.wav"]).output();
        whole(&output.unwrap())
    };
    let all = [
        with("[transcribe]\nformats = 'srt'\n"),
        with("[transcribe]\nformat = 'docx'\n"),
        with("threads = ["),
    ];
    insta::assert_snapshot!(all.join("\n"));
}
