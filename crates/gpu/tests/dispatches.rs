//! How many dispatches the shipped model takes beside what was agreed: at 3 µs each, they are what a small model waits for.
//!
//! Counted for adapters given by their capabilities, so that the figures are the same on every machine.
//! `MYNAH_UPDATE_DISPATCHES=1` writes the file anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

mod counting;
mod shipped;

use counting::{Counting, Submission};
use mynah_device::{Device, Policy};
use mynah_gpu::{Capabilities, GpuDevice, MatrixShape};
use mynah_models::parakeet::Keep;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Seconds of audio, the length that the field quotes its figures for.
const SECONDS: usize = 11;
const SAMPLE_RATE: usize = 16_000;

/// An adapter like this, with the rest as most have it.
fn adapter(subgroup: [u32; 2], matrix: &[u32], workgroup_bytes: u32) -> Capabilities {
    Capabilities {
        subgroup: Some(subgroup),
        f16: true,
        matrix: matrix.iter().map(|&side| MatrixShape { m: side, n: side, k: side }).collect(),
        timestamps: true,
        max_binding: 2 << 30,
        max_buffer: 4 << 30,
        binding_align: 256,
        workgroup_bytes,
        workgroup_threads: 1024,
        max_groups: 65535,
        max_bindings: 8,
    }
}

fn adapters() -> Vec<(&'static str, Capabilities)> {
    let nvidia = adapter([32, 32], &[16], 48 << 10);
    vec![
        ("nvidia", nvidia.clone()),
        ("apple", adapter([32, 32], &[8], 32 << 10)),
        // Subgroups of two sizes, no matrix units.
        ("intel", adapter([8, 32], &[], 32 << 10)),
        ("least", nvidia.least()),
    ]
}

/// Everything but the variant: `matmul q8_0 units16 128x64/1` is a `matmul`, `matmul sum` a kernel of its own.
fn family(kernel: &str) -> &str {
    match kernel {
        "matmul sum" => kernel,
        _ => kernel.split([' ', '/']).next().unwrap_or(kernel),
    }
}

/// A line for a graph: how many, then how many of each family.
fn line(adapter: &str, graph: &str, submissions: &[Submission]) -> String {
    let kernels: Vec<&str> = submissions.iter().flatten().map(|kernel| family(kernel)).collect();
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    kernels.iter().for_each(|kernel| *families.entry(kernel).or_default() += 1);
    let families: Vec<String> = families.iter().map(|(kernel, count)| format!("{count} {kernel}")).collect();
    format!("{adapter} {graph}: {} in {} = {}\n", kernels.len(), submissions.len(), families.join(" + "))
}

/// Runs the model's graphs on the adapter, which gives zeros.
fn count(name: &str, caps: &Capabilities, clips: usize) -> String {
    let device = Arc::new(GpuDevice::new(Counting::new(caps.clone())));
    let mut model = shipped::model(Arc::clone(&device) as Arc<dyn Device>, Policy::default());
    let head = model.head(None).unwrap();
    let sound: Vec<f32> = (0..SECONDS * SAMPLE_RATE).map(|i| (i as f32 * 0.05).sin()).collect();
    let sounds = vec![sound.as_slice(); clips];
    // What a recording takes, then the same in two, as tools that look inside do it.
    model.encode(&sounds, &[head], Keep::Heads).unwrap();
    let mut text = line(name, &format!("{clips}x{SECONDS}s listening"), &device.backend().take());
    let subsampled = model.subsample_all(&model.features_of(&sounds)).unwrap();
    text += &line(name, &format!("{clips}x{SECONDS}s front"), &device.backend().take());
    let encoded = model.encode_frames(&subsampled, &[head], Keep::Heads).unwrap();
    text += &line(name, &format!("{clips}x{SECONDS}s encoder"), &device.backend().take());
    // Zeros move no clip on, which does not go unnoticed; but the first rounds were submitted.
    assert!(model.decode(&encoded, head).is_err());
    let rounds = &device.backend().take()[0];
    let round = (1..=rounds.len()).find(|&n| rounds.chunks(n).all(|round| *round == rounds[..n])).unwrap();
    assert!(rounds.len() > 10 * round, "many rounds go into a submission");
    text += &line(name, &format!("{clips}x{SECONDS}s round"), &[rounds[..round].to_vec()]);
    text
}

#[test]
fn the_shipped_model_takes_as_many_dispatches_as_agreed() {
    let mut found = String::from(
        "# The shipped model: adapter, clips and graph, dispatches in submissions, and what kernels they are of.\n",
    );
    for (name, caps) in adapters() {
        for clips in [1, 16] {
            found += &count(name, &caps, clips);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dispatches.txt");
    if std::env::var_os("MYNAH_UPDATE_DISPATCHES").is_some_and(|v| v == "1") {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    let agreed = std::fs::read_to_string(&path).unwrap();
    let mut changes = String::new();
    for (sign, a, b) in [('-', &agreed, &found), ('+', &found, &agreed)] {
        for line in a.lines().filter(|line| !b.lines().any(|l| l == *line)) {
            writeln!(changes, "{sign} {line}").unwrap();
        }
    }
    assert!(
        changes.is_empty(),
        "the dispatches have changed (MYNAH_UPDATE_DISPATCHES=1 accepts them):\n{changes}"
    );
}
