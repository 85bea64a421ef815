//! Tiny random Chatterboxes of both kinds.
#![allow(dead_code, reason = "every test file uses a part of it")]

use mynah_convert::{Options, random_model};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The folder of `turbo-t3.gguf`, `turbo-s3gen.gguf`, `mtl-t3.gguf` and `mtl-s3gen.gguf`, made once for all tests of a file.
pub(crate) fn models() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        for (kind, name) in [("turbo", "chatterbox-tiny"), ("mtl", "chatterbox-mtl-tiny")] {
            random_model(name, &dir.path().join(kind), 3, &Options::default(), &|_| {}).unwrap();
        }
        dir
    });
    made.path()
}

/// T3's or S3Gen's file of `turbo` or `mtl`.
pub(crate) fn file(kind: &str, part: &str) -> String {
    models().join(format!("{kind}-{part}.gguf")).display().to_string()
}

/// `mynah speak` with a model.
pub(crate) fn command(dir: &Path, kind: &str) -> Command {
    let mut command = super::mynah(dir);
    command.args(["speak", "-t", "1", "-m", &file(kind, "t3")]);
    command
}

/// Runs it to the end.
pub(crate) fn speak(dir: &Path, kind: &str, args: &[&str]) -> Output {
    command(dir, kind).args(args).output().unwrap()
}

/// The samples of bare sound that must come.
pub(crate) fn sound(dir: &Path, kind: &str, args: &[&str]) -> Vec<u8> {
    let output = speak(dir, kind, &[&["-o", "-", "-f", "pcm", "-q"], args].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.len() > 960, "{args:?}: {} bytes", output.stdout.len());
    output.stdout
}
