//! The model inside the binary: without `-m` it is used, and a line says so.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod support;

use support::clips;
#[cfg(feature = "builtin-model")]
use support::{adapters, mynah, stdout};
#[cfg(not(feature = "builtin-model"))]
use support::{run, whole};

fn sample(name: &str) -> String {
    let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples");
    assets.join(name).display().to_string()
}

#[cfg(feature = "builtin-model")]
#[test]
fn the_binary_alone_hears_the_samples() {
    let dir = clips();
    // As a user runs it, with the kernels of this machine.
    let output = mynah(dir.path())
        .env_remove("MYNAH_CPU")
        .args(["transcribe", &sample("price.wav")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = std::fs::read_to_string(sample("price.txt")).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), said.trim());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().next(), Some("note: no -m given, using the built-in model mynah-ears-en"));
}

#[cfg(feature = "builtin-model")]
#[test]
fn pieces_of_a_long_recording_say_what_the_whole_says() {
    let dir = clips();
    let words = |chunk: &str| {
        let mut command = mynah(dir.path());
        command.env_remove("MYNAH_CPU").args(["transcribe", "-q", "--precision", "exact"]);
        let output = command.args(["--chunk", chunk, &sample("minute.wav")]).output().unwrap();
        mynah_lab::wer::words(&String::from_utf8(output.stdout).unwrap())
    };
    assert!(words("0").len() > 100);
    assert_eq!(words("12"), words("0"));
}

/// With nothing on the CPU, neither exactly nor fast, and with every recording in one run.
#[cfg(feature = "builtin-model")]
#[test]
fn every_adapter_hears_the_samples_as_the_cpu_does() {
    let dir = clips();
    let names = ["price.wav", "normans.wav", "noisy-clock.wav"].map(sample);
    let words = |precision: &str, device: &[&str]| {
        let mut command = mynah(dir.path());
        command.env_remove("MYNAH_CPU").args(["transcribe", "-q", "--strict", "--precision", precision]);
        let output = command.args(device).args(&names).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for name in adapters() {
        let placed = stdout(dir.path(), &["transcribe", "--dump", "placement", "--device", &name]);
        assert!(placed.starts_with(&format!("placement: the whole model runs on {name}\n")), "{placed}");
        for precision in ["exact", "fast"] {
            let cpu = words(precision, &[]);
            assert_eq!(cpu.lines().count(), names.len());
            assert_eq!(words(precision, &["--device", &name]), cpu, "{precision} on {name}");
        }
    }
}

#[cfg(feature = "builtin-model")]
#[test]
fn inspect_shows_it() {
    let dir = clips();
    assert!(stdout(dir.path(), &["inspect"]).contains("name          mynah-ears-en"));
}

#[cfg(not(feature = "builtin-model"))]
#[test]
fn a_binary_without_it_asks_for_a_model() {
    let dir = clips();
    insta::assert_snapshot!(whole(&run(dir.path(), &["transcribe", &sample("price.wav")])), @r"
    exit: 2
    --- stdout
    --- stderr
    error: no model was given
    hint: name a GGUF file with -m; this build has no model inside
    ");
}
