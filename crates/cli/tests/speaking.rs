//! `mynah speak`, and what the tools make of a speaking model, with tiny random Chatterboxes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

#[path = "support/speaker.rs"]
mod speaker;
mod support;

use mynah::{AudioStream, DeviceChoice, Options, SPEECH_RATE, SpeakOptions, Speaker};
use serde_json::Value;
use speaker::{file, sound, speak};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use support::{listing, mynah, run, stdout};

/// Bytes before the samples of a WAV file.
const HEADER: usize = 44;
const FEW: [&str; 3] = ["-n", "12", "--no-retry"];

fn few<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&FEW, args].concat()
}

/// A clip of the repository under a short name.
fn clip(dir: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples/the-town.wav");
    fs::copy(from, dir.join("clip.wav")).unwrap();
}

#[test]
fn one_process_says_what_fresh_ones_say() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["turbo", "mtl"] {
        let options = Options { device: DeviceChoice::Cpu, threads: Some(1), ..Options::default() };
        let mut speaker = Speaker::open(file(kind, "t3"), file(kind, "s3gen"), &options).unwrap();
        let voice = speaker.built_in_voice().unwrap();
        let voice = speaker.ready(&voice).unwrap();
        for turn in 0..5usize {
            let (text, seed, tokens) = (format!("Text number {turn}, nothing more."), 7 - turn, 4 + 6 * turn);
            let options = SpeakOptions {
                language: Some("en".into()),
                seed: seed as u64,
                max_tokens: Some(tokens),
                ..SpeakOptions::default()
            };
            let mut samples = Vec::new();
            let each = &mut |part: &[f32]| {
                samples.extend_from_slice(part);
                ControlFlow::Continue(())
            };
            speaker.say(&text, &voice, &options, each).unwrap();
            let mut command = speaker::command(dir.path(), kind);
            // The library takes the machine's best kernels, too.
            command.env_remove("MYNAH_CPU").args(["-l", "en", "-o", "-", "-f", "pcm", "-q", &text]);
            let output =
                command.args(["--seed", &seed.to_string(), "-n", &tokens.to_string()]).output().unwrap();
            assert_eq!(output.stdout, mynah_audio::pcm_i16(&samples), "{kind} {turn}");
        }
    }
}

#[test]
fn files_streams_and_threads_agree() {
    let dir = tempfile::tempdir().unwrap();
    let text = "It is said in several ways.";
    let bare = sound(dir.path(), "turbo", &few(&[text]));
    for args in [
        &["-o", "a.wav"][..],
        &["-o", "a.pcm"],
        &["-o", "raw", "-f", "pcm"],
        &["-o", "wave"],
        &["-o", "a.flac"],
    ] {
        let output = speak(dir.path(), "turbo", &few(&[args, &[text, "-q"]].concat()));
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    }
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert_eq!((read("a.pcm"), read("raw")), (bare.clone(), bare.clone()));
    assert_eq!(read("a.wav")[HEADER..], bare);
    assert_eq!(read("wave"), read("a.wav"));
    assert_eq!(listing(dir.path()), ["a.flac", "a.pcm", "a.wav", "raw", "wave"], "nothing else stays");
    let decoded = |bytes: Vec<u8>| {
        let stream = AudioStream::from_bytes(bytes).unwrap().at_rate(SPEECH_RATE);
        mynah_audio::pcm_i16(&stream.unwrap().read_all().unwrap())
    };
    assert_eq!(decoded(read("a.flac")), bare);
    let out = speak(dir.path(), "turbo", &few(&["-o", "-", "-f", "flac", "-q", text]));
    assert!(out.stdout.starts_with(b"fLaC") && decoded(out.stdout) == bare);

    let threads = mynah(dir.path())
        .args(["speak", "-t", "2", "-m", &file("turbo", "t3"), "-o", "-", "-f", "pcm", "-q", text])
        .args(FEW)
        .output();
    assert_eq!(threads.unwrap().stdout, bare);
    let stream = ["--stream", "--first-chunk", "3", "--chunk", "4", text];
    let streamed = sound(dir.path(), "turbo", &few(&stream));
    assert_eq!(streamed, sound(dir.path(), "turbo", &few(&stream)));
    assert!(streamed.len().abs_diff(bare.len()) <= 2 * 960);

    // The name that was converted to, and a text from a file or a pipe.
    let name = speaker::models().join("turbo").display().to_string();
    fs::write(dir.path().join("text.txt"), text).unwrap();
    let args = ["speak", "-t", "1", "-m", &name, "-o", "-", "-f", "pcm", "-q"];
    assert_eq!(
        mynah(dir.path()).args(args).args(few(&["--file", "text.txt"])).output().unwrap().stdout,
        bare
    );
    let piped = mynah(dir.path())
        .args(args)
        .args(FEW)
        .stdin(fs::File::open(dir.path().join("text.txt")).unwrap())
        .output();
    assert_eq!(piped.unwrap().stdout, bare);
}

#[cfg(unix)]
#[test]
fn others_may_read_what_was_written_and_devices_stay_devices() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("plain"), "").unwrap();
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    for name in ["a.wav", "a.pcm", "a.flac"] {
        assert!(speak(dir.path(), "turbo", &few(&["Hi.", "-o", name])).status.success());
        assert_eq!(mode(name), mode("plain"), "{name}");
    }
    assert!(speak(dir.path(), "turbo", &few(&["Hi.", "-o", "/dev/null"])).status.success());
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_voice_is_kept_and_completed() {
    let dir = tempfile::tempdir().unwrap();
    clip(dir.path());
    for kind in ["turbo", "mtl"] {
        let say =
            |args: &[&str]| sound(dir.path(), kind, &few(&[&["-l", "en", "Who speaks?"], args].concat()));
        let own = say(&[]);
        let made = say(&["--voice", "clip.wav", "--save-voice", "one.gguf"]);
        assert_ne!(made, own);
        let kept = speak(dir.path(), kind, &["--voice", "clip.wav", "--save-voice", "many"]);
        assert!(kept.status.success() && kept.stdout.is_empty(), "{kept:?}");
        for voice in ["one.gguf", "many"] {
            assert_eq!(say(&["--voice", voice]), made, "{kind} {voice}");
        }
        fs::remove_file(dir.path().join("many/prompt_feat.npy")).unwrap();
        let mixed = speak(
            dir.path(),
            kind,
            &few(&["-l", "en", "Who speaks?", "--voice", "many", "-o", "-", "-f", "pcm"]),
        );
        assert!(mixed.status.success(), "{mixed:?}");
        let note = String::from_utf8_lossy(&mixed.stderr).into_owned();
        assert!(note.contains("prompt_feat comes from the model's own voice"), "{note}");
        assert!(mixed.stdout != made && mixed.stdout != own);
    }
    let text = stdout(dir.path(), &["inspect", "one.gguf"]);
    assert!(text.contains("a voice of Chatterbox") && text.contains("name          clip"), "{text}");
    assert!(text.contains("made for      "), "{text}");
}

#[test]
fn a_speed_changes_how_long_it_takes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let text = "It is said at several speeds.";
    for kind in ["turbo", "mtl"] {
        let say = |more: &[&str]| sound(dir.path(), kind, &few(&[&["-l", "en", text][..], more].concat()));
        let plain = say(&[]);
        assert_eq!(say(&["--speed", "1"]), plain, "{kind}");
        for speed in ["0.5", "0.75", "1.5", "2"] {
            let timed = say(&["--speed", speed]);
            let exact = plain.len() as f64 / speed.parse::<f64>().unwrap();
            assert!((timed.len() as f64 - exact).abs() <= 960.0, "{kind} {speed}: {}", timed.len());
            // In one chunk a stream is the whole, in several as long.
            let stream = ["--speed", speed, "--stream", "--first-chunk", "100"];
            assert_eq!(say(&stream), timed, "{kind} {speed}");
            let stream = ["--speed", speed, "--stream", "--first-chunk", "3", "--chunk", "4"];
            assert_eq!(say(&stream).len(), timed.len(), "{kind} {speed}");
        }
    }
}

#[test]
fn voices_are_listed_with_what_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    clip(dir.path());
    fs::create_dir(dir.path().join("voices")).unwrap();
    let path = |name: &str| dir.path().join("voices").join(name);
    for (kind, name) in [("turbo", "turbo.gguf"), ("mtl", "mtl.gguf"), ("turbo", "folder")] {
        let save = format!("voices/{name}");
        let output = speak(dir.path(), kind, &["--voice", "clip.wav", "--save-voice", &save, "-q"]);
        assert!(output.status.success(), "{output:?}");
    }
    fs::remove_file(path("folder").join("embedding.npy")).unwrap();
    // Neither models nor what else lies there are voices.
    fs::copy(file("turbo", "t3"), path("model.gguf")).unwrap();
    fs::write(path("notes.txt"), "not a voice").unwrap();
    fs::create_dir(path("empty")).unwrap();
    let model = file("mtl", "t3");
    let text = stdout(dir.path(), &["voices", "-m", &model, "voices"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    for (line, words) in lines[1..].iter().zip([
        &["mtl-t3.gguf", "default", "built-in"][..],
        &["voices/folder", "turbo, mtl", "files", "no embedding"],
        &["voices/mtl.gguf", " clip ", "recording"],
        &["voices/turbo.gguf", " clip ", "recording"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {text}");
    }

    // A voice that is damaged is named, and the others are listed all the same.
    let whole = fs::read(path("mtl.gguf")).unwrap();
    fs::write(path("cut.gguf"), &whole[..whole.len() / 2]).unwrap();
    fs::write(path("none.gguf"), "nothing").unwrap();
    fs::write(path("folder").join("prompt_feat.npy"), b"\x93NUMPY").unwrap();
    let output = run(dir.path(), &["voices", "--json", "voices"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = value["voices"].as_array().unwrap();
    let names = found.iter().map(|voice| voice["path"].as_str().unwrap().rsplit(['/', '\\']).next().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["cut.gguf", "folder", "mtl.gguf", "none.gguf", "turbo.gguf"]);
    for (voice, damaged) in found.iter().zip([true, true, false, true, false]) {
        assert_eq!(voice["error"].is_string(), damaged, "{voice}");
    }
    assert_eq!(found[2]["fits"], serde_json::json!(["mtl"]));
    assert!(found[2]["t3_prompt_seconds"].as_f64().unwrap() > 0.0 && found[4]["kind"] == "turbo");
    let text = run(dir.path(), &["voices", "voices"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("can't be read: "), "{text:?}");

    for (args, code, words) in [
        (&["voices", "nowhere"][..], 1, "can't read nowhere"),
        (&["voices"], 2, "required"),
        (&["voices", "voices/empty"], 2, "no voice in these folders"),
        (&["voices", "voices/cut.gguf"], 1, ""),
    ] {
        let output = run(dir.path(), args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn languages_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let all = stdout(dir.path(), &["speak", "-m", &file("mtl", "t3"), "--languages"]);
    assert!(all.lines().count() == 23 && all.starts_with("ar  Arabic\nda  Danish\n"), "{all}");
    assert_eq!(stdout(dir.path(), &["speak", "-m", &file("turbo", "t3"), "--languages"]), "en  English\n");
}

#[test]
fn any_script_is_said_or_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let texts =
        ["😀", "Hi 👋🏽 there 👨‍👩‍👧!", "Привет, world, नमस्ते, 世界, שלום!", "a\u{0}b\u{7f}c", "…", "\u{202e}abc"];
    for text in texts {
        for kind in ["turbo", "mtl"] {
            // An argument can't have a zero in it, a file can.
            fs::write(dir.path().join("text.txt"), text).unwrap();
            let args = few(&["--file", "text.txt", "-l", "en", "-o", "-", "-f", "pcm"]);
            let output = speak(dir.path(), kind, &args);
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            let said = output.status.success() && !output.stdout.is_empty();
            let refused = output.status.code() == Some(1) && words.starts_with("error: ");
            assert!((said || refused) && !words.contains("panicked"), "{kind} {text:?}: {words}");
        }
    }
    let output = speak(dir.path(), "mtl", &few(&["Hi 😀.", "-l", "en", "-o", "a.wav"]));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && words.contains("warning: the model has no token for \"😀\""),
        "{words}"
    );
}

#[test]
fn both_kinds_are_converted_quantised_and_spoken_with() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, name) in [("turbo", "chatterbox-tiny"), ("mtl", "chatterbox-mtl-tiny")] {
        let report =
            stdout(dir.path(), &["convert", "--random", name, &format!("{kind}.gguf"), "--type", "f16"]);
        assert!(report.is_empty() || report.contains(kind), "{report}");
        for part in ["t3", "s3gen"] {
            let (from, to) = (format!("{kind}-{part}.gguf"), format!("{kind}-{part}-q8_0.gguf"));
            let size = fs::metadata(dir.path().join(&from)).unwrap().len();
            assert!(size < 6 << 20, "{from}: {size} bytes");
            stdout(dir.path(), &["quantize", &from, &to, "q8_0"]);
            assert!(fs::metadata(dir.path().join(&to)).unwrap().len() < size, "{to}");
        }
        let model = format!("{kind}-t3-q8_0.gguf");
        let args = ["speak", "-m", &model, "-l", "en", "Small.", "-o", "-", "-f", "pcm", "-q"];
        let output = mynah(dir.path()).args(args).args(FEW).output().unwrap();
        assert!(output.status.success() && output.stdout.len() > 960, "{output:?}");
    }
}

#[test]
fn a_model_is_timed() {
    let dir = tempfile::tempdir().unwrap();
    let model = file("mtl", "t3");
    let args = ["bench", "tts", "-m", &model, "-p", "5", "-n", "8", "-r", "2", "-t", "1"];
    let with = |more: &[&str]| stdout(dir.path(), &[&args[..], more].concat());
    let table = with(&["--no-peaks"]);
    for stage in ["t3 prefill", "t3 tokens", "flow encoder", "cfm", "pitch", "source", "vocoder", "all"] {
        assert!(table.lines().any(|line| line.trim_start().starts_with(stage)), "{stage}: {table}");
    }
    assert!(table.contains("0.32 s of speech from 8 tokens a text; "), "{table}");
    assert!(with(&["-b", "3", "--no-peaks"]).contains(", 3 texts at a time; "));
    let value: Value = serde_json::from_str(&with(&["--json", "--cfm-steps", "3", "-b", "2"])).unwrap();
    let found =
        ["text_tokens", "speech_tokens", "batch", "cfm_steps"].map(|key| value[key].as_u64().unwrap());
    assert_eq!(found, [5, 8, 2, 3]);
    assert_eq!(value["seconds_of_speech"], 0.64);
    let runs = value["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        let stages = run["stages"].as_object().unwrap();
        let all: f64 = stages.values().map(|time| time.as_f64().unwrap()).sum();
        assert!(stages.len() == 7 && all > 0.0 && (all - run["total"].as_f64().unwrap()).abs() < 1e-6);
        assert!(run["first_sound"].as_f64().unwrap() > 0.0);
    }
    // What the stages ask for, of which as many steps of the flow are the larger part.
    let floors = value["floors"].as_object().unwrap();
    assert_eq!(floors.len(), 6, "{floors:?}");
    for (stage, floor) in floors {
        let (operations, part) =
            (floor["operations"].as_f64().unwrap(), floor["of_ceiling"].as_f64().unwrap());
        assert!(operations > 0.0 && part > 0.0 && part < 1.5, "{stage}: {floor}");
        assert_eq!(floor["bytes"].is_f64(), stage == "t3 tokens", "{stage}: {floor}");
    }
    assert!(value["bytes_per_step"].as_f64().unwrap() > 0.0);
    let steps = |n: &str| -> f64 {
        let value: Value = serde_json::from_str(&with(&["--json", "--no-peaks", "--cfm-steps", n])).unwrap();
        assert!(value["machine"].is_null() && value["floors"]["cfm"]["of_ceiling"].is_null());
        value["floors"]["cfm"]["operations"].as_f64().unwrap()
    };
    assert_eq!(steps("4"), 2.0 * steps("2"));
    let given = with(&["--no-peaks", "--peak-flops", "1e6", "--peak-bytes", "1e6"]);
    assert!(given.contains("of reads") && given.contains("% given"), "{given}");
    for key in ["real_time_factor", "tokens_per_second", "opened"] {
        assert!(value[key].as_f64().unwrap() > 0.0, "{key}");
    }
    let keys = with(&["--bench-keys", "--no-peaks"]);
    let lines: Vec<&str> = keys.lines().collect();
    assert_eq!(lines.len(), 2, "{keys}");
    assert!(lines[0].starts_with("BENCH: T3_INFER_MS=") && lines[0].ends_with(" tokens=8"), "{keys}");
    assert!(lines[1].starts_with("BENCH: S3GEN_INFER_MS=") && lines[1].ends_with(" AUDIO_MS=320"), "{keys}");
    for wrong in [&["--json", "--bench-keys"][..], &["--cfm-steps", "0"], &["-b", "0"]] {
        assert_eq!(run(dir.path(), &[&args[..], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn inspect_shows_both_files_and_their_memory() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, part, lines) in [
        (
            "turbo",
            "t3",
            ["family        Chatterbox T3", "kind          turbo", "layers        2 of 64, 1 heads of 64"],
        ),
        (
            "mtl",
            "t3",
            [
                "languages     ar, da, de",
                "kind          multilingual",
                "voice         built in, a prompt of 1.6 s",
            ],
        ),
        (
            "turbo",
            "s3gen",
            [
                "family        Chatterbox S3Gen",
                "kind          turbo: mean flow in 2 steps",
                "estimator     3 stages of 32",
            ],
        ),
        (
            "mtl",
            "s3gen",
            [
                "vocoder       32 channels, 3 stages",
                "in 10 steps, guidance 0.7",
                "built in, a prompt of 1.2 s",
            ],
        ),
    ] {
        let text = stdout(dir.path(), &["inspect", &file(kind, part)]);
        for line in lines {
            assert!(text.contains(line), "{line}: {text}");
        }
        let value: Value =
            serde_json::from_str(&stdout(dir.path(), &["inspect", "--json", &file(kind, part)])).unwrap();
        let model = &value["model"];
        assert_eq!((&model["family"], &model["part"]), (&"chatterbox".into(), &part.into()));
        let memory = model["memory"].as_array().unwrap();
        assert_eq!(memory.len(), 3);
        let of = |at: usize, key: &str| memory[at][key].as_u64().unwrap();
        let size = fs::metadata(file(kind, part)).unwrap().len();
        for at in 0..3 {
            let parts = of(at, "weights") + of(at, "states") + of(at, "activations");
            assert_eq!(of(at, "total"), parts);
            assert!(of(at, "weights") <= size && of(at, "weights") > 0);
        }
        assert!(of(0, "states") < of(1, "states") && of(1, "states") < of(2, "states"));
        assert!(of(0, "total") < of(2, "total"));
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_was_said() {
    let dir = tempfile::tempdir().unwrap();
    let text = "This goes on and on, and nobody listens to all of it. ".repeat(2000);
    fs::write(dir.path().join("text.txt"), text).unwrap();
    for form in ["wav", "pcm"] {
        let name = format!("out.{form}");
        let mut command = speaker::command(dir.path(), "turbo");
        let mut child = command.args(few(&["--file", "text.txt", "-q", "-o", &name])).spawn().unwrap();
        // The first samples are behind the buffer when the file has grown.
        let part = || {
            let name = listing(dir.path()).into_iter().find(|name| name.ends_with(".part"))?;
            Some(fs::metadata(dir.path().join(name)).ok()?.len())
        };
        while part().is_none_or(|bytes| bytes == 0) {
            assert!(child.try_wait().unwrap().is_none(), "it ended early");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let bytes = fs::read(dir.path().join(&name)).unwrap();
        assert!(bytes.len() > HEADER && bytes.len() < 2000 * 960 * 2 * 12, "{}", bytes.len());
        if form == "wav" {
            let said = u32::from_le_bytes(bytes[40..44].try_into().unwrap());
            assert_eq!(said as usize, bytes.len() - HEADER);
        }
        assert!(part().is_none(), "nothing half-written stays");
    }
}
