//! What goes wrong with `mynah speak`: words, a hint, the exit code, and nothing half-written.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

#[path = "support/speaker.rs"]
mod speaker;
mod support;

use speaker::{file, models, speak};
use std::fs;
use std::path::Path;
use std::process::Output;
use support::{fixture, listing, mynah};

/// Checks an end: its code, these words on stderr, a hint unless `hint` is empty, and the folder as it was.
fn ends(dir: &Path, output: &Output, code: i32, words: &[&str], hint: &str) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stdout.is_empty() && text.starts_with("error: ") && !text.contains("panicked"), "{text}");
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    let hints = text.lines().filter(|line| line.starts_with("hint: ")).collect::<Vec<_>>().join("\n");
    assert!(if hint.is_empty() { hints.is_empty() } else { hints.contains(hint) }, "{hint}: {text}");
    for name in listing(dir) {
        assert!(!name.ends_with(".wav") || name.starts_with("in-"), "{name} was written");
        assert!(!name.starts_with('.') && !name.ends_with(".part"), "{name} stays");
    }
}

/// Runs `mynah speak`, writing to `out.wav`, and checks how it ends.
fn fails(dir: &Path, kind: &str, args: &[&str], code: i32, words: &[&str], hint: &str) {
    let output = speak(dir, kind, &[&["-o", "out.wav"], args].concat());
    ends(dir, &output, code, words, hint);
}

#[test]
fn texts_with_nothing_in_them() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("empty.txt"), "").unwrap();
    fs::write(dir.path().join("latin1.txt"), b"caf\xe9").unwrap();
    for text in [&[""][..], &["  \n\t "], &["--file", "empty.txt"], &[]] {
        fails(dir.path(), "turbo", text, 2, &["there is nothing to say"], "give a text");
    }
    fails(dir.path(), "turbo", &["--file", "latin1.txt"], 1, &["can't read latin1.txt", "UTF-8"], "");
    fails(dir.path(), "turbo", &["--file", "missing.txt"], 1, &["can't read missing.txt"], "");
}

#[test]
fn a_text_too_long_for_one_breath() {
    let dir = tempfile::tempdir().unwrap();
    let text = "All work and no play makes Jack a dull boy. ".repeat(24_000);
    assert!(text.len() > 1_000_000);
    fs::write(dir.path().join("long.txt"), text).unwrap();
    for (kind, split) in [("turbo", "0"), ("mtl", "2000000")] {
        let args = ["--file", "long.txt", "-n", "1", "-l", "en", "--split", split];
        let words = ["the text has", "tokens, and the model has room for"];
        fails(dir.path(), kind, &args, 1, &words, "--split 180");
    }
    fails(dir.path(), "mtl", &["Hi.", "-l", "en", "-n", "1000000"], 1, &["1000000 tokens"], "-n");
}

#[test]
fn languages_that_are_missing_or_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let all = "ar (Arabic), da (Danish), de (German)";
    fails(dir.path(), "mtl", &["Hello."], 2, &["needs to be told which", all], "-l");
    fails(dir.path(), "mtl", &["Hello.", "-l", "tlh"], 2, &["does not speak \"tlh\"", all], "-l");
    fails(dir.path(), "turbo", &["Hallo.", "-l", "de"], 2, &["does not speak \"de\"; it speaks en"], "-l");
    fails(dir.path(), "mtl", &["漢字", "-l", "ja"], 1, &["漢 字", "kana"], "");
}

#[test]
fn files_that_are_no_such_model() {
    let dir = tempfile::tempdir().unwrap();
    let mut tries = 0;
    let mut model = |args: &[&str], code, words: &[&str], hint| {
        tries += 1;
        let output = mynah(dir.path()).args(["speak", "Hi.", "-o", "out.wav"]).args(args).output().unwrap();
        ends(dir.path(), &output, code, words, hint);
    };
    let parakeet = fixture("parakeet/ctc/model.gguf");
    let qwen = fixture("qwen35/dense/model.gguf");
    model(&["-m", &parakeet], 1, &["can't use the model", "'parakeet'", "chatterbox"], "mynah inspect");
    model(&["-m", &qwen], 1, &["'qwen35'"], "mynah inspect");
    let s3gen = file("turbo", "s3gen");
    model(&["-m", &s3gen], 1, &["'chatterbox-s3gen'"], "mynah inspect");
    let t3 = file("turbo", "t3");
    model(&["-m", &t3, "--s3gen", &parakeet], 1, &["'parakeet'", "chatterbox-s3gen"], "mynah inspect");
    model(&["-m", &t3, "--s3gen", "gone.gguf"], 1, &["can't use the model gone.gguf"], "");
    model(&["-m", "gone-t3.gguf"], 1, &["can't use the model gone-t3.gguf"], "");
    model(&[], 2, &["no model was given"], "-m");
    // T3 without the other file.
    fs::copy(&t3, dir.path().join("alone-t3.gguf")).unwrap();
    model(&["-m", "alone-t3.gguf"], 2, &["no file of S3Gen beside alone-t3.gguf"], "--s3gen");
    // Files that end too early, or hold something else.
    let bytes = fs::read(&t3).unwrap();
    fs::write(dir.path().join("cut-t3.gguf"), &bytes[..bytes.len() / 2]).unwrap();
    model(&["-m", "cut-t3.gguf"], 1, &["can't use the model cut-t3.gguf"], "cut off");
    fs::write(dir.path().join("words-t3.gguf"), "these are words").unwrap();
    model(&["-m", "words-t3.gguf"], 1, &["can't use the model words-t3.gguf"], "mynah convert");
    // The halves of two models, which comes before a missing language.
    let mtl = models().join("mtl-t3.gguf").display().to_string();
    model(&["-m", &mtl, "--s3gen", &s3gen], 1, &["don't go together"], "--s3gen");
    assert_eq!(tries, 11);
}

#[test]
fn places_that_can_not_be_written() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in-folder.wav")).unwrap();
    let to = |output: &str, code, words: &[&str], hint| {
        let run = speak(dir.path(), "turbo", &["Hi.", "-n", "3", "--no-retry", "-o", output]);
        ends(dir.path(), &run, code, words, hint);
    };
    to("no/such/folder/out.wav", 1, &["no/such/folder/out.wav"], "");
    to("in-folder.wav", 1, &["in-folder.wav", "it is a folder"], "");
    to("out.mp3", 2, &["sound can't be written as .mp3"], ".wav");
    let save = |path: &str, code, words: &[&str], hint| {
        let run =
            mynah(dir.path()).args(["speak", "-m", &file("turbo", "t3"), "--save-voice", path]).output();
        ends(dir.path(), &run.unwrap(), code, words, hint);
    };
    save("voice.wav", 2, &["a voice can't be saved as .wav"], ".gguf");
    save("no/such/voice.gguf", 1, &["can't save the voice to no/such/voice.gguf"], "no folder no/such");
    fs::write(dir.path().join("taken"), "a file").unwrap();
    save("taken", 1, &["can't save the voice to taken"], "");
    let run = mynah(dir.path()).args(["speak", "-m", &file("turbo", "t3"), "Hi."]).output().unwrap();
    assert_eq!(run.status.code(), Some(2), "-o is missing");
}

#[test]
fn recordings_and_voices_that_can_not_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let rate = 24_000;
    let tone = |n: usize| (0..n).map(|i| 0.3 * (i as f32 / 20.0).sin()).collect::<Vec<f32>>();
    mynah_audio::write_wav_i16(path("in-silent.wav"), rate, &vec![0.0; 10 * rate as usize]).unwrap();
    mynah_audio::write_wav_i16(path("in-short.wav"), rate, &tone(2400)).unwrap();
    mynah_audio::write_wav_i16(path("in-empty.wav"), rate, &[]).unwrap();
    fs::write(path("notes.txt"), "no sound").unwrap();
    fs::create_dir(path("bare")).unwrap();
    fs::create_dir(path("broken")).unwrap();
    fs::write(path("broken/embedding.npy"), b"\x93NUMPY\x01\x00junk").unwrap();
    let voice = |voice: &str, words: &[&str], hint| {
        let wrong = format!("can't use the voice {voice}");
        let args = ["Hi.", "--voice", voice, "--save-voice", "kept.gguf", "-n", "3"];
        fails(dir.path(), "turbo", &args, 1, &[&[wrong.as_str()], words].concat(), hint);
        assert!(!path("kept.gguf").exists());
    };
    voice("in-silent.wav", &["nobody speaks in the recording"], "one person");
    voice("in-short.wav", &["0.1 s long"], "one person");
    voice("in-empty.wav", &[], "one person");
    voice("notes.txt", &[], "");
    voice("gone.wav", &["cannot read gone.wav"], "");
    voice("bare", &["holds no voice"], "--save-voice");
    voice("broken", &["embedding.npy"], "");

    let saved = mynah(dir.path())
        .args(["speak", "-m", &file("turbo", "t3"), "--save-voice", "good.gguf"])
        .output()
        .unwrap();
    assert!(saved.status.success());
    let bytes = fs::read(path("good.gguf")).unwrap();
    fs::write(path("cut.gguf"), &bytes[..bytes.len() - 100]).unwrap();
    voice("cut.gguf", &["holds no voice"], "--save-voice");
    fs::write(path("head.gguf"), &bytes[..20]).unwrap();
    voice("head.gguf", &["holds no voice"], "--save-voice");
    let mut nan = bytes.clone();
    let at = nan.len() - 64;
    nan[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(path("nan.gguf"), nan).unwrap();
    voice("nan.gguf", &["the voice's ", "NaN"], "");
    fs::copy(file("turbo", "s3gen"), path("model.gguf")).unwrap();
    voice("model.gguf", &["chatterbox-voice"], "--save-voice");
}

#[test]
fn flags_outside_their_ranges() {
    let dir = tempfile::tempdir().unwrap();
    for (flag, values, wanted) in [
        ("--cfm-steps", &["0", "100000", "-1", "x"][..], "from 1 to 1000"),
        ("--temp", &["nan", "-1", "inf", "x"], "0 or more"),
        ("--top-p", &["2", "-0.1", "nan"], "from 0 to 1"),
        ("--min-p", &["1.5", "nan"], "from 0 to 1"),
        ("--repeat-penalty", &["0", "-2", "nan"], "above 0"),
        ("--cfg-weight", &["-1", "nan"], "0 or more"),
        ("--exaggeration", &["-1", "nan", "inf"], "0 or more"),
        ("-n", &["0", "x", "99999999999999999999999"], "1 or more"),
        ("--speed", &["0", "0.49", "2.01", "-1", "nan", "inf", "x"], "from 0.5 to 2"),
    ] {
        for value in values {
            let args = ["Hi.".to_owned(), format!("{flag}={value}")];
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            fails(dir.path(), "turbo", &args, 2, &[wanted, "invalid value"], "");
        }
    }
    // As people type it, without the sign between.
    fails(dir.path(), "turbo", &["Hi.", "--temp", "-1"], 2, &["0 or more"], "");
    fails(dir.path(), "turbo", &["Hi.", "--stream", "--chunk", "0"], 2, &["1 or more"], "");
    fails(dir.path(), "turbo", &["Hi.", "--crossfade-ms", "5000"], 2, &["1000"], "");
    fails(dir.path(), "turbo", &["Hi.", "--first-chunk", "5"], 2, &["--stream"], "");
}

#[test]
fn halves_of_two_models_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, other) in [("turbo", "mtl"), ("mtl", "turbo")] {
        let args = ["Hi.", "-l", "en", "--s3gen", &file(other, "s3gen")];
        fails(dir.path(), kind, &args, 1, &["don't go together", "Turbo", "Multilingual"], "--s3gen");
    }
}

#[test]
fn a_voice_made_for_another_kind_of_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, other) in [("turbo", "mtl"), ("mtl", "turbo")] {
        let saved = speak(dir.path(), other, &["--save-voice", "other.gguf"]);
        assert!(saved.status.success(), "{saved:?}");
        let args = ["Hi.", "-l", "en", "--voice", "other.gguf"];
        fails(dir.path(), kind, &args, 1, &["the voice was made for", "the model is"], "--save-voice");
    }
}

#[cfg(not(feature = "playback"))]
#[test]
fn a_build_without_speakers_says_how_to_get_one_that_has_them() {
    let dir = tempfile::tempdir().unwrap();
    // Before a model is looked for.
    let output = mynah(dir.path()).args(["speak", "Hi.", "--play", "-m", "none.gguf"]).output().unwrap();
    ends(dir.path(), &output, 1, &["this build of mynah can't play sound"], "--features playback");
    fails(dir.path(), "turbo", &["Hi.", "--play"], 1, &["can't play sound"], "libasound2-dev");
}
