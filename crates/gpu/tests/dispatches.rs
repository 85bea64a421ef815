//! How many dispatches the shipped model takes beside what was agreed: at 3 µs each, they are what a small model waits for.
//!
//! Counted for adapters given by their capabilities, so that the figures are the same on every machine.
//! `MYNAH_UPDATE_DISPATCHES=1` writes the file anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

mod counting;
mod shipped;

use counting::{Counting, adapters, agree, line};
use mynah_device::{Device, Policy};
use mynah_gpu::{Capabilities, GpuDevice};
use mynah_models::parakeet::Keep;
use std::sync::Arc;

/// Seconds of audio, the length that the field quotes its figures for.
const SECONDS: usize = 11;
const SAMPLE_RATE: usize = 16_000;

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
    agree("dispatches.txt", &found);
}
