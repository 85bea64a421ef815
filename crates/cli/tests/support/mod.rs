//! Runs the binary as a user would, away from the user's own settings.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A file of the repository's fixtures.
pub(crate) fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name).display().to_string()
}

/// A tiny random model of that kind.
pub(crate) fn model(kind: &str) -> String {
    fixture(&format!("parakeet/{kind}/model.gguf"))
}

/// A folder with the clips under short names, to run in.
pub(crate) fn clips() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for clip in ["hop", "tenth", "mod0", "mod1", "mod7"] {
        let name = format!("{clip}.wav");
        std::fs::copy(fixture(&format!("parakeet/clips/{name}")), dir.path().join(name)).unwrap();
    }
    dir
}

/// The command in a folder, with no setting of the user's. The portable kernels make every figure the same on every
/// machine.
pub(crate) fn mynah(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mynah"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MYNAH_")) {
        command.env_remove(name);
    }
    // Some Vulkan drivers complain on stderr when they have no folder to look for a display in.
    command.env("XDG_RUNTIME_DIR", folder);
    command.env("MYNAH_CONFIG", "").env("MYNAH_CPU", "portable").current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs it to the end.
pub(crate) fn run<S: AsRef<OsStr>>(folder: &Path, args: &[S]) -> Output {
    mynah(folder).args(args).output().unwrap()
}

/// Standard output of a run that must succeed.
pub(crate) fn stdout<S: AsRef<OsStr>>(folder: &Path, args: &[S]) -> String {
    let output = run(folder, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `transcribe` with a tiny model, exactly.
pub(crate) fn exact<'a>(model: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["transcribe", "-m", model, "--precision", "exact"];
    all.extend(args);
    all
}

/// Exit code, stdout and stderr in one text for a snapshot; times and places of the machine are blotted out.
pub(crate) fn whole(output: &Output) -> String {
    let code = output.status.code().map_or("none".into(), |c| c.to_string());
    let out = String::from_utf8_lossy(&output.stdout);
    let err: String =
        String::from_utf8_lossy(&output.stderr).lines().map(|l| format!("{}\n", timeless(l))).collect();
    let all = format!("exit: {code}\n--- stdout\n{out}--- stderr\n{err}");
    all.replace(&fixture(""), "FIXTURES/")
}

/// A line without what differs from run to run or from system to system: `26.0 s of audio in 0.3 s (85.1 × realtime)`,
/// `cause: No such file or directory (os error 2)`.
fn timeless(line: &str) -> String {
    if let (Some(from), Some(to)) = (line.find(" of audio in "), line.find(" × realtime)")) {
        return format!("{} of audio in TIME{}", &line[..from], &line[to + " × realtime)".len()..]);
    }
    match (line.rfind(": "), line.find(" (os error ")) {
        (Some(from), Some(to)) => format!("{}: SYSTEM'S WORDS{}", &line[..from], &line[to..]),
        _ => line.to_owned(),
    }
}

/// Names of the adapters that this machine has and that can be opened. None at all is a failure where `MYNAH_REQUIRE_GPU=1` says
/// that there is one.
pub(crate) fn adapters() -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let value: serde_json::Value = serde_json::from_str(&stdout(dir.path(), &["devices", "--json"])).unwrap();
    let all = value["devices"].as_array().unwrap();
    let open = all.iter().filter(|d| d["kind"] != "processor" && d["error"].is_null());
    let names: Vec<String> = open.map(|d| d["device"].as_str().unwrap().to_owned()).collect();
    let required = std::env::var_os("MYNAH_REQUIRE_GPU").is_some_and(|v| v == "1");
    assert!(!(required && names.is_empty()), "no GPU adapter was found: {value}");
    names
}

/// Runs it where no driver can be found, which only Linux allows for.
pub(crate) fn without_drivers(args: &[&str]) -> Output {
    let dir = clips();
    let mut command = mynah(dir.path());
    command.env("VK_DRIVER_FILES", "/nowhere.json").env("VK_ICD_FILENAMES", "/nowhere.json");
    command.args(args).output().unwrap()
}

/// Names of the files in a folder, sorted.
pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
