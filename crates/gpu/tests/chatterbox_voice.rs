//! What makes Chatterbox's voices on every adapter of this machine, with nothing to fall back to, beside the CPU's plain formulas: the
//! voice encoder, S3TokenizerV2 and CAMPPlus.
//!
//! Without an adapter the test says so and passes; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

#[allow(dead_code, reason = "the CPU's tests need more of them")]
#[path = "../../models/tests/chatterbox/voice/fixtures.rs"]
mod fixtures;

use mynah_device::Policy;
use mynah_gpu::{GpuDevice, WgpuBackend, list};
use mynah_models::chatterbox::voice::VoiceMaker;
use mynah_plan::Options;
use std::sync::Arc;

/// Odd widths; the tokenizer has two layers.
const LISTS: [&str; 3] = ["voice_encoder_small", "s3tokenizer", "campplus_small"];

/// Windows of the voice encoder, x-vectors of two lengths, and tokens.
fn all(maker: &mut VoiceMaker, samples: &[f32]) -> (Vec<f32>, Vec<Vec<f32>>, Vec<i32>) {
    let windows = maker.speaker_windows(samples).unwrap().concat();
    let embeddings = [samples, &samples[..9000]].map(|s| maker.embedding(s).unwrap());
    (windows, embeddings.to_vec(), maker.tokens(samples, None).unwrap())
}

#[test]
fn voices_are_those_of_the_cpu() {
    let found = list();
    if found.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
        return;
    }
    let samples = &fixtures::clip("the-town")[9000..9000 + 32_123];
    let wanted = all(&mut fixtures::maker(LISTS), samples);
    for info in &found {
        for policy in [Policy::exact(), Policy::default()] {
            let exact = policy == Policy::exact();
            let device = Arc::new(GpuDevice::new(WgpuBackend::open(info.choice).unwrap()));
            let options = Options { policy, strict: true, ..Options::default() };
            let [t3, s3gen] = fixtures::files(LISTS, fixtures::plain);
            let mut maker = VoiceMaker::load(t3, s3gen, device, None, options).unwrap();
            let first = all(&mut maker, samples);
            let windows = fixtures::relative(&first.0, &wanted.0);
            let embeddings =
                first.1.iter().zip(&wanted.1).map(|(f, w)| fixtures::relative(f, w)).fold(0.0, f64::max);
            let equal = first.2.iter().zip(&wanted.2).filter(|(f, w)| f == w).count();
            eprintln!(
                "{}, exact {exact}: {windows:e} {embeddings:e} {equal} of {}",
                info.choice,
                wanted.2.len()
            );
            let bound = if exact { 1e-4 } else { 3e-2 };
            assert!(windows <= bound && embeddings <= bound, "{}: {windows:e} {embeddings:e}", info.choice);
            assert_eq!(first.2.len(), wanted.2.len());
            // Every bit of a rounding error may turn one of a token's eight digits; half-precision products turn some more.
            let least = if exact { 98 } else { 60 };
            assert!(equal * 100 >= wanted.2.len() * least, "{}: {equal} tokens", info.choice);
            assert!(all(&mut maker, samples) == first, "the same again gives other bits");
        }
    }
}
