//! The op suite of `mynah-lab` on every instruction set of this machine.

#![allow(clippy::unwrap_used)] // helpers of tests, where a panic is a failure

use mynah_cpu::{CpuDevice, CpuOptions, SimdLevel};
use mynah_device::{Device, Policy};
use mynah_lab::{OpCase, Report, Status, cases, generated, invariance, run_case, run_planned};
use std::sync::Arc;

fn open(simd: SimdLevel, threads: usize) -> Arc<CpuDevice> {
    Arc::new(CpuDevice::new(CpuOptions { threads: Some(threads), simd: Some(simd) }).unwrap())
}

fn all_cases() -> Vec<OpCase> {
    let mut all = cases().unwrap();
    all.extend(generated(5, 300).unwrap());
    all
}

/// Runs the suite with a naive plan and through the planner, and names what failed.
fn failures(policy: &Policy) -> Vec<String> {
    let all = all_cases();
    let mut failed = Vec::new();
    for simd in SimdLevel::available() {
        let device = open(simd, 2);
        let naive = all.iter().map(|c| run_case(c, device.as_ref(), policy)).collect();
        // The planner folds graphs of nothing but weights away: nothing is left to run.
        let graphs = all.iter().filter(|c| c.op != "batch_norm_scale");
        let planned = graphs.map(|c| run_planned(c, device.clone(), policy)).collect();
        for (how, results) in [("naive", naive), ("planned", planned)] {
            let report = Report { title: String::new(), results };
            failed.extend(report.failures().map(|(r, reason)| format!("{simd}, {how}: {}: {reason}", r.name)));
            failed.extend(report.unsupported().map(|(r, reason)| format!("{simd}: {}: {reason}", r.name)));
        }
    }
    failed
}

#[test]
fn every_op_is_right_by_the_exact_policy() {
    assert_eq!(failures(&Policy::exact()), Vec::<String>::new());
}

#[test]
fn every_op_is_within_bounds_on_fast_routes() {
    assert_eq!(failures(&Policy::default()), Vec::<String>::new());
}

#[test]
fn threads_batches_and_padding_change_no_bit() {
    let all = all_cases();
    for simd in SimdLevel::available() {
        let devices: Vec<Arc<CpuDevice>> = (1..=3).map(|threads| open(simd, threads)).collect();
        let factory = |threads: usize| -> Arc<dyn Device> { devices[threads - 1].clone() };
        for policy in [Policy::exact(), Policy::default()] {
            let checks = invariance::check(&all, &factory, &policy);
            let failed: Vec<_> = checks.iter().filter(|c| c.status != Status::Passed).collect();
            assert!(failed.is_empty(), "{simd}, {policy:?}: {failed:#?}");
        }
    }
}
