//! Chatterbox's T3 on every adapter of this machine, with nothing to fall back to, beside the CPU's plain formulas: tokens and logits,
//! guided and unguided, of several requests in one step.
//!
//! Without an adapter the tests say so and pass; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::{Device, Policy, Precision};
use mynah_gguf::GgufFile;
use mynah_gpu::{GpuChoice, GpuDevice, GpuError, WgpuBackend, list};
use mynah_models::chatterbox::t3::{Conditioning, LoadOptions, Request, Sampling, T3, T3Options, T3Voice};
use mynah_plan::Options;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Both backbones, unequal head counts, widths that are no powers of two, three tensors of queries, keys and values and one of all.
const MODELS: [&str; 5] = ["mtl", "english", "turbo", "nano", "aligned"];
/// Tokens of a run.
const TOKENS: usize = 24;
/// Small pages, so that sequences cross from one to the next.
const PAGE: usize = 16;

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chatterbox/t3").join(name)
}

fn file(name: &str) -> Arc<GgufFile> {
    Arc::new(GgufFile::open(root(name).join("model.gguf")).unwrap())
}

fn reference(name: &str) -> GgufFile {
    GgufFile::open(root(name).join("reference.gguf")).unwrap()
}

fn model(name: &str, device: Arc<dyn Device>, policy: Policy) -> T3 {
    let executor = Options { policy, strict: true, ..Options::default() };
    T3::load(file(name), device, None, LoadOptions { executor, page: PAGE }).unwrap()
}

fn cpu(name: &str) -> T3 {
    model(name, Arc::new(CpuDevice::new(CpuOptions::default()).unwrap()), Policy::exact())
}

fn text(name: &str) -> Vec<u32> {
    reference(name).get_u32_array("ref.text").unwrap().unwrap()
}

/// What the guided text makes of given tokens, then of other tokens in one step with an unguided one: all logits.
fn logits(model: &mut T3, voice: &Conditioning, text: &[u32]) -> Vec<f32> {
    let (mut guided, mut all) = model.start(voice, text, true, false).unwrap();
    for token in [3, 14, 15, 9, 26] {
        all.extend_from_slice(model.advance(&mut [(&mut guided, token)]).unwrap());
    }
    let (mut other, first) = model.start(voice, &text[..3], false, false).unwrap();
    all.extend(first);
    for token in [5, 35, 8, 9] {
        all.extend_from_slice(model.advance(&mut [(&mut other, token + 1), (&mut guided, token)]).unwrap());
    }
    model.finish(guided);
    model.finish(other);
    all
}

/// The tokens of the text, guided and unguided in the same steps, without randomness.
fn tokens(model: &mut T3, voice: &Conditioning, text: &[u32]) -> [Vec<i32>; 2] {
    let options = [true, false].map(|guided| {
        let mut options = T3Options { max_tokens: TOKENS, ..T3Options::of(model.config()) };
        let weight = if guided { options.sampling.cfg_weight } else { 0.0 };
        options.sampling = Sampling { temperature: 0.0, cfg_weight: weight, ..options.sampling };
        options
    });
    let mut draws = [(); 2].map(|()| || 0.5);
    let mut ears = [(); 2].map(|()| |_| ControlFlow::Continue(()));
    let mut requests: Vec<Request<'_>> = draws
        .iter_mut()
        .zip(&mut ears)
        .zip(options)
        .map(|((draws, on_token), options)| Request { conditioning: voice, text, options, draws, on_token })
        .collect();
    let mut said = model.generate_together(&mut requests).unwrap().into_iter().map(|speech| speech.drawn);
    [said.next().unwrap(), said.next().unwrap()]
}

/// Energy of the error over that of what is wanted.
fn nmse(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().all(|x| x.is_finite()));
    let error = |(f, w): (&f32, &f32)| (f64::from(*f) - f64::from(*w)).powi(2);
    let errors: f64 = found.iter().zip(wanted).map(error).sum();
    errors / wanted.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>()
}

fn beside_the_cpu(open: impl Fn(GpuChoice) -> Result<WgpuBackend, GpuError>) {
    let found = list();
    if found.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
        return;
    }
    for name in MODELS {
        let (text, voice) = (text(name), T3Voice::builtin(&file(name)).unwrap().unwrap());
        let mut cpu = cpu(name);
        let conditioning = cpu.condition(&voice).unwrap();
        let wanted = logits(&mut cpu, &conditioning, &text);
        let said = tokens(&mut cpu, &conditioning, &text);
        if name != "aligned" {
            // Python's own, with which the CPU agrees.
            let greedy = reference(name).get_i32_array("greedy.tokens").unwrap().unwrap();
            assert_eq!(said[0], greedy[..TOKENS.min(greedy.len())], "{name}");
        }
        for info in &found {
            for policy in [Policy::exact(), Policy::default()] {
                let exact = policy.precision == Precision::Exact;
                let bound = if exact { 1e-9 } else { 3e-3 };
                let device = Arc::new(GpuDevice::new(open(info.choice).unwrap()));
                let mut model = model(name, device, policy.clone());
                let first = logits(&mut model, &conditioning, &text);
                let error = nmse(&first, &wanted);
                assert!(error <= bound, "{name}, {} {:?}: {error:e}", info.choice, policy.precision);
                assert!(
                    logits(&mut model, &conditioning, &text) == first,
                    "{name}: the same again gives other bits"
                );
                if exact {
                    assert_eq!(tokens(&mut model, &conditioning, &text), said, "{name}, {}", info.choice);
                }
            }
        }
    }
}

#[test]
fn tokens_are_those_of_the_cpu() {
    beside_the_cpu(WgpuBackend::open);
}

#[test]
fn with_no_more_than_every_adapter_has_they_are_too() {
    beside_the_cpu(WgpuBackend::open_least);
}
