//! The op suite on the Metal translation of every kernel.
//!
//! Without clang++ the tests say so and pass; with `MYNAH_REQUIRE_MSL=1` that is a failure. `MYNAH_GPU_OP` runs the cases of one
//! op only.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

mod common;

use common::{SUITE, backend, on_all_cores};
use mynah_device::{Device, Policy};
use mynah_gpu::GpuDevice;
use mynah_lab::{CaseResult, OpCase, Report, Status, run_case, run_planned};
use mynah_msl::{Arithmetic, MslBackend, Order};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Cases that the shim can't express, with the reason. Exactly these may be unsupported.
const BEYOND: &[(&str, &str)] = &[];

fn check(device: &dyn Device, policy: &Policy, run: impl Fn(&OpCase) -> CaseResult + Sync) {
    let results = on_all_cores(&SUITE, run);
    let title = format!("{} {:?}", device.report().description, policy.precision);
    let report = Report { title, results };
    eprintln!("{report}");
    let failures: Vec<_> = report.failures().map(|(r, reason)| format!("{}: {reason}", r.name)).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let names = |r: &CaseResult| {
        let unsupported = matches!(r.status, Status::Unsupported(_));
        unsupported.then(|| r.name.clone())
    };
    let unsupported: Vec<_> = report.results.iter().filter_map(names).collect();
    let beyond: BTreeMap<_, _> = BEYOND.iter().copied().collect();
    let expected: Vec<_> = SUITE
        .iter()
        .map(|case| case.name.clone())
        .filter(|name| beyond.contains_key(name.as_str()))
        .collect();
    assert_eq!(unsupported, expected);
}

fn open(order: Order) -> Option<Arc<GpuDevice<MslBackend>>> {
    Some(Arc::new(GpuDevice::new(backend(Arithmetic::Strict)?.ordered(order))))
}

#[test]
fn every_kernel_alone() {
    let Some(device) = open(Order::Forward) else { return };
    for policy in [Policy::exact(), Policy::default()] {
        check(device.as_ref(), &policy, |case| run_case(case, device.as_ref(), &policy));
    }
}

#[test]
fn through_the_planner() {
    let Some(device) = open(Order::Backward) else { return };
    for policy in [Policy::exact(), Policy::default()] {
        check(device.as_ref(), &policy, |case| run_planned(case, device.clone(), &policy));
    }
}

/// Metal's own default. `exact` is not asked for: sums that carry their rounding error along may lose it.
#[test]
#[ignore = "compiles every kernel a second time"]
fn with_fast_arithmetic() {
    let Some(backend) = backend(Arithmetic::Fast) else { return };
    let device = GpuDevice::new(backend);
    let policy = Policy::default();
    check(&device, &policy, |case| run_case(case, &device, &policy));
}
