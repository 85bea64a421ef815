//! Chatterbox's S3Gen on every adapter of this machine, with nothing to fall back to, beside what chatterbox-tts and the CPU make of the
//! same: mel frames, samples, batches and chunks.
//!
//! Without an adapter the tests say so and pass; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

#[path = "../../models/tests/chatterbox/s3gen/fixtures.rs"]
#[allow(dead_code, reason = "the tests of the model use the rest")]
mod fixtures;

use fixtures::{CASES, cosine, cpu, file, model_on, noise, reference, relative, voice};
use mynah_device::{Policy, Precision};
use mynah_gpu::{GpuChoice, GpuDevice, GpuError, WgpuBackend, list};
use mynah_models::chatterbox::noise::Philox;
use mynah_models::chatterbox::s3gen::{Request, S3Gen, S3Stream};
use std::sync::Arc;

const TOKENS: [u32; 30] = [
    3, 14, 15, 92, 65, 35, 89, 79, 32, 38, 46, 26, 43, 38, 32, 79, 50, 28, 84, 19, 71, 69, 39, 93, 75, 10,
    58, 20, 97, 49,
];

/// Two requests of unequal length in one batch, then a longer one in chunks.
fn spoken(model: &mut S3Gen) -> Vec<Vec<f32>> {
    let voice = voice(model);
    let noise = [Philox::new(1), Philox::new(2)];
    let request = |n: usize, noise| Request { voice: &voice, tokens: &TOKENS[..n], noise };
    let batch = model.synthesize_batch(&[request(9, &noise[0]), request(20, &noise[1])], Some(2)).unwrap();
    let mut all: Vec<Vec<f32>> = batch.into_iter().map(|speech| speech.samples).collect();
    let mut stream = S3Stream::new(voice, Arc::new(Philox::new(3)), Some(2));
    for (end, last) in [(8, false), (17, false), (30, true)] {
        all.push(stream.push(model, &TOKENS[..end], last).unwrap().samples);
    }
    all
}

fn beside_the_reference(cases: &[&str], open: impl Fn(GpuChoice) -> Result<WgpuBackend, GpuError>) {
    let found = list();
    if found.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
        return;
    }
    for &case in cases {
        let reference = reference(case);
        let wanted = spoken(&mut model_on(file(case), cpu(2), Policy::exact()));
        for info in &found {
            for policy in [Policy::exact(), Policy::default()] {
                let exact = policy.precision == Precision::Exact;
                let at = format!("{case}, {} {:?}", info.choice, policy.precision);
                let device = Arc::new(GpuDevice::new(open(info.choice).unwrap()));
                let mut model = model_on(file(case), device, policy);
                let (voice, noise, tokens) = (voice(&model), noise(), reference.tokens());
                let request = Request { voice: &voice, tokens: &tokens, noise: &noise };
                let steps = model.config().cfm.steps;
                let mel = model.mel(&request, None, false).unwrap();
                let error = relative(&mel, &reference.array(&format!("mel.{steps}")));
                assert!(error <= if exact { 1e-5 } else { 0.05 }, "{at}: mel {error:e}");
                let pcm = model.synthesize(&voice, &tokens, &noise, None).unwrap().samples;
                let likeness = cosine(&pcm, &reference.array("pcm"));
                assert!(likeness >= if exact { 0.99999 } else { 0.98 }, "{at}: pcm {likeness}");
                let again = model.synthesize(&voice, &tokens, &noise, None).unwrap().samples;
                assert!(again == pcm, "{at}: the same again gives other bits");
                if exact {
                    for (i, (found, wanted)) in spoken(&mut model).iter().zip(&wanted).enumerate() {
                        let likeness = cosine(found, wanted);
                        assert!(likeness >= 0.9999, "{at}: piece {i}: {likeness}");
                    }
                }
            }
        }
    }
}

#[test]
fn speech_is_that_of_the_reference() {
    beside_the_reference(&CASES, WgpuBackend::open);
}

#[test]
fn with_no_more_than_every_adapter_has_it_is_too() {
    beside_the_reference(&["mtl"], WgpuBackend::open_least);
}
