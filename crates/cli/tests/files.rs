//! Transcripts as files: where they go, what a second run does.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod support;

use std::fs;
use std::time::{Duration, SystemTime};
use support::{clips, exact, listing, model, run, stdout, whole};

#[test]
fn a_template_names_every_file() {
    let dir = clips();
    let ctc = model("ctc");
    let args = ["mod0.wav", "mod1.wav", "-f", "srt,json", "-o", "out/{stem}.{ext}"];
    let output = run(dir.path(), &exact(&ctc, &args));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(listing(&dir.path().join("out")), ["mod0.json", "mod0.srt", "mod1.json", "mod1.srt"]);
    let shown = stdout(dir.path(), &exact(&ctc, &["mod0.wav", "-f", "srt"]));
    assert_eq!(fs::read_to_string(dir.path().join("out/mod0.srt")).unwrap(), shown);
}

#[test]
fn a_file_name_tells_the_format_and_a_folder_keeps_the_names() {
    let dir = clips();
    let ctc = model("ctc");
    stdout(dir.path(), &exact(&ctc, &["mod0.wav", "-o", "words.vtt"]));
    assert!(fs::read_to_string(dir.path().join("words.vtt")).unwrap().starts_with("WEBVTT"));
    stdout(dir.path(), &exact(&ctc, &["mod0.wav", "mod1.wav", "-o", "all/"]));
    assert_eq!(listing(&dir.path().join("all")), ["mod0.txt", "mod1.txt"]);
}

#[test]
fn a_second_run_does_only_what_is_left() {
    let dir = clips();
    let ctc = model("ctc");
    let args = ["mod0.wav", "mod1.wav", "-o", "{stem}.{ext}", "-f", "txt,srt"];
    let file = |name: &str| dir.path().join(name);
    run(dir.path(), &exact(&ctc, &args));
    let mark = |name: &str| fs::write(file(name), "mine").unwrap();
    let marked = |name: &str| fs::read_to_string(file(name)).unwrap() == "mine";

    mark("mod0.txt");
    mark("mod1.txt");
    fs::remove_file(file("mod1.srt")).unwrap();
    let second = run(dir.path(), &exact(&ctc, &args));
    assert!(marked("mod0.txt") && !marked("mod1.txt"), "one is done, the other lacks a file");
    insta::assert_snapshot!(whole(&second));

    mark("mod1.txt");
    let third = whole(&run(dir.path(), &exact(&ctc, &[&args[..], &["--skip-done"]].concat())));
    assert!(marked("mod0.txt") && marked("mod1.txt"));
    insta::assert_snapshot!(third);

    run(dir.path(), &exact(&ctc, &[&args[..], &["--overwrite"]].concat()));
    assert!(!marked("mod0.txt") && !marked("mod1.txt"));

    mark("mod0.txt");
    let later = SystemTime::now() + Duration::from_secs(5);
    fs::File::options().append(true).open(file("mod0.wav")).unwrap().set_modified(later).unwrap();
    run(dir.path(), &exact(&ctc, &args));
    assert!(!marked("mod0.txt"), "the recording changed since");
}

#[test]
fn flags_that_do_not_fit_are_found_before_any_work() {
    let dir = clips();
    let ctc = model("ctc");
    let cases: [&[&str]; 5] = [
        &["mod0.wav", "-f", "srt,vtt"],
        &["mod0.wav", "mod1.wav", "-o", "one.txt"],
        &["mod0.wav", "-o", "{stam}.txt"],
        &["mod0.wav", "-o", "mod0.wav"],
        &["-", "-"],
    ];
    let all: Vec<String> = cases.iter().map(|args| whole(&run(dir.path(), &exact(&ctc, args)))).collect();
    insta::assert_snapshot!(all.join("\n"));
    assert_eq!(listing(dir.path()).len(), 5, "nothing was written");
}

#[test]
fn a_folder_that_cannot_be_made_fails_one_recording_alone() {
    let dir = clips();
    fs::write(dir.path().join("mod0"), "a file, not a folder").unwrap();
    let output = run(dir.path(), &exact(&model("ctc"), &["mod0.wav", "mod1.wav", "-o", "{stem}/words.txt"]));
    assert_eq!(output.status.code(), Some(3));
    assert!(dir.path().join("mod1/words.txt").is_file());
    assert!(!listing(dir.path()).iter().any(|name| name.ends_with(".part")));
}
