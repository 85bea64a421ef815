//! `mynah watermark`, `speak --watermark` and what the tools make of a watermark's file, with the oracle's small network.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

#[path = "support/speaker.rs"]
mod speaker;
mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::{fixture, listing, mynah, run, stdout};

/// A folder with the network and two clips, one of them stereo.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    stdout(dir.path(), &["convert", &fixture("perth"), "perth.gguf"]);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples/so-kind.wav");
    fs::copy(from, dir.path().join("a.wav")).unwrap();
    fs::write(dir.path().join("silent.wav"), wav(1, &[0; 9600])).unwrap();
    fs::write(dir.path().join("empty.wav"), wav(1, &[])).unwrap();
    fs::write(dir.path().join("short.wav"), wav(1, &[900; 120])).unwrap();
    dir
}

/// A WAV file of 24 kHz.
fn wav(channels: u16, samples: &[i16]) -> Vec<u8> {
    let mut bytes = mynah_audio::wav_header(24_000, 2 * samples.len() as u32).to_vec();
    bytes[22..24].copy_from_slice(&channels.to_le_bytes());
    bytes[28..32].copy_from_slice(&(48_000 * u32::from(channels)).to_le_bytes());
    bytes[32..34].copy_from_slice(&(2 * channels).to_le_bytes());
    bytes.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    bytes
}

fn samples(path: &Path) -> Vec<f32> {
    mynah_audio::AudioStream::open(path).unwrap().at_rate(24_000).unwrap().read_all().unwrap()
}

#[test]
fn apply_writes_what_the_library_gives_and_detect_says_what_it_says() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name);
    let output = run(dir.path(), &["watermark", "apply", "-t", "1", "a.wav", "b.wav", "-m", "perth.gguf"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty());
    assert_ne!(fs::read(path("a.wav")).unwrap(), fs::read(path("b.wav")).unwrap());
    let options =
        mynah::Options { threads: Some(1), precision: mynah::Precision::Exact, ..mynah::Options::default() };
    let mut perth = mynah::Watermark::open(path("perth.gguf"), &options).unwrap();
    let scores = ["a.wav", "b.wav"].map(|name| {
        let stream = mynah::AudioStream::open(path(name)).unwrap();
        let (samples, rate) = perth.read(stream).unwrap();
        assert_eq!(rate, 16_000);
        perth.detect(&samples, rate).unwrap().score
    });
    let text = stdout(
        dir.path(),
        &["watermark", "detect", "a.wav", "b.wav", "-m", "perth.gguf", "--precision", "exact"],
    );
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    for ((line, score), name) in lines.iter().zip(scores).zip(["a.wav", "b.wav"]) {
        let [file, said, printed] = line[..] else { panic!("{text}") };
        assert_eq!((file, said), (name, if score > 0.5 { "watermark" } else { "none" }));
        assert!((printed.parse::<f32>().unwrap() - score).abs() < 6e-4, "{printed} {score}");
    }
    let json = stdout(
        dir.path(),
        &["watermark", "detect", "--json", "b.wav", "-m", "perth.gguf", "--precision", "exact"],
    );
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["file"], &json[0]["watermark"]), (&"b.wav".into(), &(scores[1] > 0.5).into()));
    assert!((json[0]["score"].as_f64().unwrap() - f64::from(scores[1])).abs() < 1e-5);
    assert!((json[0]["seconds"].as_f64().unwrap() - 4.77).abs() < 0.1, "{json}");
}

#[test]
fn in_place_through_a_pipe_and_of_two_channels() {
    let dir = folder();
    let mono = fs::read(dir.path().join("a.wav")).unwrap();
    run(dir.path(), &["watermark", "apply", "a.wav", "b.wav", "-m", "perth.gguf"]);
    let marked = fs::read(dir.path().join("b.wav")).unwrap();
    fs::write(dir.path().join("c.wav"), &mono).unwrap();
    run(dir.path(), &["watermark", "apply", "c.wav", "c.wav", "-m", "perth.gguf"]);
    assert_eq!(fs::read(dir.path().join("c.wav")).unwrap(), marked);
    let names = ["a.wav", "b.wav", "c.wav", "empty.wav", "perth.gguf", "short.wav", "silent.wav"];
    assert_eq!(listing(dir.path()), names, "nothing else stays");
    let mut piped = mynah(dir.path());
    piped.args(["watermark", "apply", "-", "d.wav", "-m", "perth.gguf"]);
    piped.stdin(fs::File::open(dir.path().join("a.wav")).unwrap());
    assert!(piped.status().unwrap().success());
    assert_eq!(fs::read(dir.path().join("d.wav")).unwrap(), marked);
    // Both channels alike are what one is.
    let noise: Vec<i16> =
        (0..24_000u64).map(|i| ((i * i * 2_654_435_761) % 20_000) as i16 - 10_000).collect();
    let both: Vec<i16> = noise.iter().flat_map(|&s| [s, s]).collect();
    fs::write(dir.path().join("one.wav"), wav(1, &noise)).unwrap();
    fs::write(dir.path().join("two.wav"), wav(2, &both)).unwrap();
    for name in ["one", "two"] {
        let (from, to) = (format!("{name}.wav"), format!("{name}-marked.wav"));
        let output = run(dir.path(), &["watermark", "apply", &from, &to, "-m", "perth.gguf"]);
        assert!(output.status.success(), "{output:?}");
    }
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert_eq!(read("one-marked.wav"), read("two-marked.wav"));
}

#[test]
fn inputs_and_files_that_cannot_be_used() {
    let dir = folder();
    let detect =
        |files: &[&str]| run(dir.path(), &[&["watermark", "detect", "-m", "perth.gguf"], files].concat());
    let told = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    for (file, word) in [
        ("silent.wav", "silent"),
        ("empty.wav", "0.000 s long"),
        ("short.wav", "0.005 s long"),
        ("none.wav", "none.wav"),
        ("perth.gguf", "is not audio"),
    ] {
        let output = detect(&[file]);
        assert_eq!(output.status.code(), Some(1), "{file}");
        assert!(told(&output).contains(word), "{file}: {}", told(&output));
        assert_eq!(detect(&[file, "a.wav"]).status.code(), Some(3), "{file}");
    }
    let json: Value = serde_json::from_slice(&detect(&["--json", "silent.wav", "a.wav"]).stdout).unwrap();
    assert!(json[0]["error"].as_str().unwrap().contains("silent") && json[1]["score"].is_number(), "{json}");
    for (args, code, word) in [
        (&["watermark", "detect", "a.wav"][..], 2, "-m"),
        (&["watermark", "detect", "-m", "perth.gguf"], 2, "FILE"),
        (&["watermark", "detect", "a.wav", "-m", "a.wav"], 1, "a.wav"),
        (&["watermark", "apply", "short.wav", "x.wav", "-m", "perth.gguf"], 1, "0.005 s"),
        (&["watermark", "apply", "a.wav", "no/x.wav", "-m", "perth.gguf"], 1, "no/x.wav"),
        (&["watermark", "apply", "a.wav", "-m", "perth.gguf"], 2, "OUT"),
    ] {
        let output = run(dir.path(), args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", told(&output));
        assert!(told(&output).contains(word), "{args:?}: {}", told(&output));
    }
    let other = run(dir.path(), &["watermark", "detect", "a.wav", "-m", &support::model("ctc")]);
    assert!(told(&other).contains("'parakeet' model, not one of: perth"), "{}", told(&other));
    let silent = run(dir.path(), &["watermark", "apply", "silent.wav", "x.wav", "-m", "perth.gguf"]);
    assert_eq!(silent.status.code(), Some(0));
    assert!(told(&silent).contains("warning: the detector doesn't find"), "{}", told(&silent));
    assert_eq!(fs::read(dir.path().join("x.wav")).unwrap(), fs::read(dir.path().join("silent.wav")).unwrap());
}

#[test]
fn speech_is_marked_as_a_whole_and_only_when_asked() {
    let dir = folder();
    let say = |args: &[&str]| {
        let common = ["-n", "12", "--no-retry", "-q", "--precision", "exact", "It is said and marked."];
        speaker::speak(dir.path(), "turbo", &[&common, args].concat())
    };
    assert!(say(&["-o", "plain.wav"]).status.success());
    let output = say(&["-o", "marked.wav", "--watermark", "perth.gguf"]);
    assert!(output.status.success(), "{output:?}");
    let [plain, marked] = ["plain.wav", "marked.wav"].map(|name| samples(&dir.path().join(name)));
    let options =
        mynah::Options { threads: Some(1), precision: mynah::Precision::Exact, ..mynah::Options::default() };
    let mut perth = mynah::Watermark::open(dir.path().join("perth.gguf"), &options).unwrap();
    let wanted = perth.apply(&plain, 24_000).unwrap();
    let largest =
        |pairs: &mut dyn Iterator<Item = (&f32, &f32)>| pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // What was said was rounded to 16 bits before it was marked here, and after that there.
    assert_eq!(marked.len(), plain.len());
    assert!(largest(&mut marked.iter().zip(&wanted)) < 4e-4);
    assert!(largest(&mut marked.iter().zip(&plain)) > 2e-3);
    let piped = say(&["-o", "-", "-f", "pcm", "--watermark", "perth.gguf"]);
    assert_eq!(piped.stdout, fs::read(dir.path().join("marked.wav")).unwrap()[44..]);

    let refused = say(&["-o", "x.wav", "--stream", "--watermark", "perth.gguf"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    assert!(told.contains("--stream") && told.contains("hint: leave out --stream"), "{told}");
    let wrong = say(&["-o", "x.wav", "--watermark", &support::model("ctc")]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(!dir.path().join("x.wav").exists());
}

#[test]
fn the_tools_know_the_file() {
    let dir = folder();
    let text = stdout(dir.path(), &["inspect", "perth.gguf"]);
    assert!(text.starts_with("family        PerTh, a watermark"), "{text}");
    assert!(text.contains("the lowest 24 of 257 bins") && text.contains("for 600 s of audio"), "{text}");
    let json: Value =
        serde_json::from_str(&stdout(dir.path(), &["inspect", "--json", "perth.gguf"])).unwrap();
    assert_eq!((&json["model"]["family"], &json["model"]["subband"]), (&"perth".into(), &24.into()));
    stdout(dir.path(), &["quantize", "perth.gguf", "half.gguf", "f16"]);
    assert!(stdout(dir.path(), &["watermark", "detect", "a.wav", "-m", "half.gguf"]).starts_with("a.wav\t"));
    let list = stdout(dir.path(), &["convert", "--random", "list"]);
    assert!(list.lines().any(|l| l == "perth") && list.lines().any(|l| l == "perth-tiny"), "{list}");
    stdout(dir.path(), &["convert", "--random", "perth-tiny", "tiny.gguf"]);
    assert!(stdout(dir.path(), &["inspect", "tiny.gguf"]).contains("the lowest 32 of 257 bins"));

    // Folders that are nearly one.
    let tar = fixture("perth/implicit/perth_net_000007.pth.tar");
    fs::create_dir(dir.path().join("bare")).unwrap();
    fs::copy(&tar, dir.path().join("bare/perth_net_000007.pth.tar")).unwrap();
    let told = |args: &[&str]| {
        let output = run(dir.path(), args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = told(&["convert", "bare/perth_net_000007.pth.tar", "x.gguf"]);
    assert!(error.contains("no hparams.yaml"), "{error}");
    let yaml = fs::read_to_string(fixture("perth/implicit/hparams.yaml")).unwrap();
    for (from, to, word) in [
        ("hidden_size: 12", "hidden_size: 13", "should have the shape"),
        ("window_fn: hann", "window_fn: kaiser", "window_fn"),
        ("n_fft: 512", "n_fft: many", "n_fft"),
        ("max_wmark_freq: 1500", "max_wmark_freq: 90000", "max_wmark_freq"),
    ] {
        assert!(yaml.contains(from), "{yaml}");
        fs::write(dir.path().join("bare/hparams.yaml"), yaml.replace(from, to)).unwrap();
        let error = told(&["convert", "bare", "x.gguf"]);
        assert!(error.contains(word), "{to}: {error}");
    }
    fs::write(dir.path().join("bare/hparams.yaml"), &yaml).unwrap();
    let bytes = fs::read(&tar).unwrap();
    fs::write(dir.path().join("bare/perth_net_000007.pth.tar"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(told(&["convert", "bare", "x.gguf"]).contains("perth_net_000007.pth.tar"));
    assert!(!dir.path().join("x.gguf").exists());
}
