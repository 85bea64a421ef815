//! The shipped model on every adapter of this machine, with nothing to fall back to, beside the CPU: the same words, in
//! `exact` the same tokens at the same frames, also with no more than every adapter has.
//!
//! Without an adapter the tests say so and pass; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

mod shipped;

use mynah_audio::{AudioStream, PieceConfig, PieceReader};
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::{Device, Policy, Precision};
use mynah_gpu::{GpuChoice, GpuDevice, GpuError, WgpuBackend, list};
use shipped::{asset, model};
use std::sync::Arc;

/// Recordings of one voice and of another with noise.
const SAMPLES: [&str; 3] = ["price", "same-house", "noisy-clock"];

fn samples(name: &str) -> Vec<f32> {
    let audio = AudioStream::open(asset(&format!("samples/{name}.wav"))).unwrap();
    PieceReader::new(audio, PieceConfig::default()).next_piece().unwrap().unwrap().samples
}

/// Ids, frames and durations of the tokens of each recording, alone and in a batch, and their words.
fn heard(device: Arc<dyn Device>, policy: Policy) -> (Vec<Vec<[u32; 3]>>, Vec<String>) {
    let mut model = model(device, policy);
    let head = model.head(None).unwrap();
    let recordings = SAMPLES.map(samples);
    let clips: Vec<&[f32]> = recordings.iter().map(Vec::as_slice).collect();
    let mut all = model.recognize(&clips[..1], head).unwrap();
    all.extend(model.recognize(&clips, head).unwrap());
    let ids = |tokens: &[mynah_models::parakeet::Decoded]| tokens.iter().map(|t| t.id).collect::<Vec<_>>();
    let words = all.iter().map(|tokens| model.vocabulary().decode(&ids(tokens)).unwrap()).collect();
    let tokens = all.iter().map(|clip| clip.iter().map(|t| [t.id, t.frame, t.duration_frames]).collect());
    (tokens.collect(), words)
}

fn beside_the_cpu(open: impl Fn(GpuChoice) -> Result<WgpuBackend, GpuError>) {
    let found = list();
    if found.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
        return;
    }
    for policy in [Policy::exact(), Policy::default()] {
        let cpu = Arc::new(CpuDevice::new(CpuOptions::default()).unwrap());
        let (tokens, words) = heard(cpu, policy.clone());
        assert!(words.iter().all(|text| text.split_whitespace().count() > 3), "{words:?}");
        for info in &found {
            let device = Arc::new(GpuDevice::new(open(info.choice).unwrap()));
            let (found_tokens, found_words) = heard(device, policy.clone());
            assert_eq!(found_words, words, "{} {:?}", info.choice, policy.precision);
            // Fast routes round elsewhere on each device, which may move a token by a frame.
            if policy.precision == Precision::Exact {
                assert_eq!(found_tokens, tokens, "{}", info.choice);
            }
        }
    }
}

#[test]
fn the_shipped_model_says_what_it_says_on_the_cpu() {
    beside_the_cpu(WgpuBackend::open);
}

#[test]
fn with_no_more_than_every_adapter_has_it_says_the_same() {
    beside_the_cpu(WgpuBackend::open_least);
}
