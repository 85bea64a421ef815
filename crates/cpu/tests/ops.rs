//! The op suite on the CPU: every instruction set of this machine, both policies, with and without the planner.

#![allow(clippy::unwrap_used)] // a panic is a failure here

use mynah_cpu::{CpuDevice, CpuOptions, SimdLevel};
use mynah_device::{Device, Policy};
use mynah_lab::{CaseResult, OpCase, Report, Status, cases, generated, invariance, run_case, run_planned};
use std::sync::{Arc, LazyLock};

/// Shared by the tests, so that each reference is computed once.
static SUITE: LazyLock<Vec<OpCase>> = LazyLock::new(|| {
    let mut all = cases().unwrap();
    all.extend(generated(3, 400).unwrap());
    all
});

fn open(level: SimdLevel, threads: usize) -> Arc<dyn Device> {
    Arc::new(CpuDevice::new(CpuOptions { threads: Some(threads), simd: Some(level) }).unwrap())
}

fn policies() -> [(&'static str, Policy); 2] {
    [("exact", Policy::exact()), ("fast", Policy::default())]
}

/// Runs the suite at every level under both policies and fails with the tables of those that fail.
fn conforms(run: impl Fn(&OpCase, Arc<dyn Device>, &Policy) -> CaseResult) {
    let mut failed = String::new();
    for level in SimdLevel::available() {
        let device = open(level, 2);
        for (name, policy) in policies() {
            let results = SUITE.iter().map(|case| run(case, Arc::clone(&device), &policy)).collect();
            let report = Report { title: format!("{level:?}, {name}"), results };
            if report.failures().count() + report.unsupported().count() > 0 {
                failed.push_str(&report.to_string());
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn kernels_agree_with_the_reference() {
    conforms(|case, device, policy| run_case(case, device.as_ref(), policy));
}

#[test]
fn planned_runs_agree_with_the_reference() {
    conforms(run_planned);
}

#[test]
fn bytes_depend_on_nothing_but_the_inputs() {
    let mut failed = Vec::new();
    for level in SimdLevel::available() {
        for (name, policy) in policies() {
            let checks = invariance::check(&SUITE, &|threads| open(level, threads), &policy);
            let bad = checks.into_iter().filter(|c| c.status != Status::Passed);
            failed.extend(bad.map(|c| format!("{level:?}, {name}: {}: {}: {:?}", c.kind, c.case, c.status)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
