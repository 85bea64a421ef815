//! Qwen3.5 on every adapter of this machine, with nothing to fall back to, beside the CPU's plain formulas: logits of every position,
//! however a prompt is cut, of several sequences in one step, and after tokens were taken back; and with drafts the tokens without.
//!
//! Without an adapter the tests say so and pass; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::{Device, Policy, Precision};
use mynah_gguf::GgufFile;
use mynah_gpu::{GpuChoice, GpuDevice, GpuError, WgpuBackend, list};
use mynah_models::qwen35::{LoadOptions, Piece, Qwen35, StateLayout, Wanted};
use mynah_plan::Options;
use std::path::Path;
use std::sync::Arc;

#[path = "../../models/tests/qwen35/speculation.rs"]
mod speculation;

/// The tiny models: unequal and equal head counts, tied embeddings, widths that are no multiples of four, routed experts, Qwen3-Next.
const MODELS: [&str; 5] = ["dense", "tied_odd", "equal_heads", "experts", "next"];
/// Tokens of a sequence.
const TOKENS: usize = 90;
/// Sequences alive at a time.
const ROWS: usize = 3;
/// Small pages, so that sequences cross from one to the next.
const PAGE: usize = 16;
const PAGES: usize = TOKENS.div_ceil(PAGE);
/// The state after the last token and those of two tokens before it.
const SNAPSHOTS: usize = 3;

fn model(name: &str, device: Arc<dyn Device>, policy: Policy) -> Qwen35 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/qwen35");
    let file = Arc::new(GgufFile::open(root.join(name).join("model.gguf")).unwrap());
    let options = LoadOptions {
        executor: Options { policy, strict: true, ..Options::default() },
        layout: StateLayout { page: PAGE, snapshots: SNAPSHOTS, ..StateLayout::default() },
        sequences: ROWS,
        pages: ROWS * PAGES,
    };
    Qwen35::load(file, device, None, options).unwrap()
}

fn tokens(row: usize, vocabulary: usize) -> Vec<u32> {
    (0..TOKENS).map(|i| ((i * i * 31 + i * 7 + row * 17) % vocabulary) as u32).collect()
}

/// Pages of a row, none of them another row's, in no order.
fn pages(row: usize) -> Vec<u32> {
    (0..PAGES).map(|i| ((i * 5 + 2) % PAGES * ROWS + row) as u32).collect()
}

/// A prompt in pieces of several sizes and single tokens, then all rows in one step, then some tokens again: all logits.
fn logits(model: &mut Qwen35) -> Vec<f32> {
    let vocabulary = model.config().vocabulary;
    let (texts, lists): (Vec<_>, Vec<_>) = (0..ROWS).map(|row| (tokens(row, vocabulary), pages(row))).unzip();
    let piece = |row: usize, from: usize, to: usize| Piece {
        row,
        pages: &lists[row],
        past: from,
        snapshot: 0,
        tokens: &texts[row][from..to],
        wanted: Wanted::All,
    };
    (0..ROWS).for_each(|row| model.reset(row).unwrap());
    let mut all = Vec::new();
    for (from, to) in [(0, 33), (33, 34), (34, 36), (36, 70), (70, 71), (71, 72)] {
        all.extend_from_slice(model.step(&[piece(0, from, to)]).unwrap());
    }
    all.extend_from_slice(model.step(&[piece(2, 0, 5), piece(0, 72, 75), piece(1, 0, 1)]).unwrap());
    all.extend_from_slice(model.step(&[piece(1, 1, 2), piece(2, 5, 6), piece(0, 75, 76)]).unwrap());
    // Three tokens, two of them taken back.
    all.extend_from_slice(model.step(&[piece(0, 76, 79)]).unwrap());
    let again = Piece { snapshot: 2, ..piece(0, 77, 80) };
    all.extend_from_slice(model.step(&[again]).unwrap());
    all
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
        let cpu = Arc::new(CpuDevice::new(CpuOptions::default()).unwrap());
        let wanted = logits(&mut model(name, cpu, Policy::exact()));
        for info in &found {
            for policy in [Policy::exact(), Policy::default()] {
                // Models 32 to 64 wide show rounded factors more than others do.
                let bound = if policy.precision == Precision::Exact { 1e-9 } else { 3e-3 };
                let device = Arc::new(GpuDevice::new(open(info.choice).unwrap()));
                let mut model = model(name, device, policy.clone());
                let first = logits(&mut model);
                let error = nmse(&first, &wanted);
                assert!(error <= bound, "{name}, {} {:?}: {error:e}", info.choice, policy.precision);
                assert!(logits(&mut model) == first, "{name}: the same again gives other bits");
            }
        }
    }
}

#[test]
fn logits_are_those_of_the_cpu() {
    beside_the_cpu(WgpuBackend::open);
}

#[test]
fn with_no_more_than_every_adapter_has_they_are_too() {
    beside_the_cpu(WgpuBackend::open_least);
}

#[test]
fn drafts_change_no_token() {
    const MADE: usize = 40;
    let (prompt, listed) = (&tokens(0, 64)[..13], pages(0));
    for name in ["drafting", "experts"] {
        let cpu = Arc::new(CpuDevice::new(CpuOptions::default()).unwrap());
        let wanted = speculation::plain(&mut model(name, cpu, Policy::exact()), &listed, prompt, MADE);
        for info in list() {
            let device = Arc::new(GpuDevice::new(WgpuBackend::open(info.choice).unwrap()));
            let mut model = model(name, device, Policy::exact());
            assert_eq!(
                speculation::plain(&mut model, &listed, prompt, MADE),
                wanted,
                "{name}, {}",
                info.choice
            );
            let (found, counts) = speculation::speculate(&mut model, &listed, prompt, &wanted);
            assert_eq!(found, wanted, "{name}, {}: right drafts {counts:?}", info.choice);
            assert!(counts.iter().all(|&n| n > 3), "{name}: {counts:?}");
        }
    }
}
