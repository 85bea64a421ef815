//! How long the translation of each kernel is, beside what was agreed: naga's text growing without a reason shows here.
//!
//! `MYNAH_UPDATE_SIZES=1` writes the file anew.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

mod common;

use common::{SUITE, on_all_cores};
use mynah_device::Policy;
use mynah_gpu::GpuDevice;
use mynah_lab::{run_case, run_planned};
use mynah_msl::MslBackend;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

#[test]
fn translations_are_as_long_as_agreed() {
    if std::env::var_os("MYNAH_GPU_OP").is_some() {
        // A part of the suite makes a part of the kernels.
        return;
    }
    let device = Arc::new(GpuDevice::new(MslBackend::translator()));
    for policy in [Policy::exact(), Policy::default()] {
        on_all_cores(&SUITE, |case| run_case(case, device.as_ref(), &policy));
        on_all_cores(&SUITE, |case| run_planned(case, device.clone(), &policy));
    }
    let mut found = String::from(
        "# Lines of each kernel in Metal's language, one number for each length that its variants have.\n",
    );
    for (name, lengths) in device.backend().sizes() {
        let lengths: Vec<_> = lengths.iter().map(ToString::to_string).collect();
        writeln!(found, "{name} {}", lengths.join(" ")).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sizes.txt");
    if std::env::var_os("MYNAH_UPDATE_SIZES").is_some_and(|v| v == "1") {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    let agreed = std::fs::read_to_string(&path).unwrap();
    assert!(
        found == agreed,
        "translations have changed (MYNAH_UPDATE_SIZES=1 accepts them):\n{}",
        changes(&agreed, &found)
    );
}

/// Lines that are in one text only.
fn changes(before: &str, after: &str) -> String {
    let only = |sign: char, a: &str, b: &str| {
        let lines = a.lines().filter(|line| !b.lines().any(|l| l == *line));
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    only('-', before, after) + &only('+', after, before)
}
