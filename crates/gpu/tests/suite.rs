//! The op suite on every adapter of this machine: each kernel by itself, through the planner, and with no more than the least
//! that an adapter must have.
//!
//! Without an adapter the tests say so and pass; with `MYNAH_REQUIRE_GPU=1` that is a failure. `MYNAH_GPU_OP` runs the cases of
//! one op only.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

use mynah_device::{Device, Policy};
use mynah_gpu::{Backend, GpuChoice, GpuDevice, GpuError, WgpuBackend, list};
use mynah_lab::{CaseResult, OpCase, Report, Status, cases, generated, run_case, run_planned};
use std::sync::{Arc, LazyLock};

static SUITE: LazyLock<Vec<OpCase>> = LazyLock::new(|| {
    let mut all = cases().unwrap();
    all.extend(generated(7, 300).unwrap());
    if let Ok(op) = std::env::var("MYNAH_GPU_OP") {
        all.retain(|case| case.op == op);
    }
    all
});

/// Every adapter, opened by `open`.
fn adapters(open: impl Fn(GpuChoice) -> Result<WgpuBackend, GpuError>) -> Vec<Arc<GpuDevice<WgpuBackend>>> {
    let found: Vec<_> =
        list().into_iter().map(|info| Arc::new(GpuDevice::new(open(info.choice).unwrap()))).collect();
    if found.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
    }
    found
}

fn check(device: &dyn Device, policy: &Policy, run: impl Fn(&OpCase) -> CaseResult) {
    let results: Vec<CaseResult> = SUITE.iter().map(run).collect();
    let title = format!("{} {:?}", device.report().description, policy.precision);
    let report = Report { title, results };
    let unsupported: Vec<_> = report
        .results
        .iter()
        .filter(|r| matches!(r.status, Status::Unsupported(_)))
        .map(|r| &r.name)
        .collect();
    eprintln!("{report}");
    let failures: Vec<_> = report.failures().map(|(r, reason)| format!("{}: {reason}", r.name)).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(unsupported.is_empty(), "unsupported: {unsupported:#?}");
}

#[test]
fn every_kernel_alone() {
    for device in adapters(WgpuBackend::open) {
        for policy in [Policy::exact(), Policy::default()] {
            check(device.as_ref(), &policy, |case| run_case(case, device.as_ref(), &policy));
        }
    }
}

#[test]
fn through_the_planner() {
    for device in adapters(WgpuBackend::open) {
        for policy in [Policy::exact(), Policy::default()] {
            check(device.as_ref(), &policy, |case| run_planned(case, device.clone(), &policy));
        }
    }
}

#[test]
fn with_no_more_than_every_adapter_has() {
    for device in adapters(WgpuBackend::open_least) {
        let caps = device.backend().capabilities();
        assert_eq!(*caps, caps.clone().least(), "the adapter was opened with more");
        for policy in [Policy::exact(), Policy::default()] {
            check(device.as_ref(), &policy, |case| run_planned(case, device.clone(), &policy));
        }
    }
}
