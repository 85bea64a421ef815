//! The suite run on the reference device: it must pass there, planned and unplanned, and it must catch faults.

#![allow(clippy::unwrap_used)] // helpers of tests, where a panic is a failure

use mynah_device::Policy;
use mynah_lab::drift::{Subject, drift, drift_by_route, first_beyond};
use mynah_lab::{
    Fault, FaultyDevice, OpCase, ReferenceDevice, Report, Status, cases, generated, invariance, run_case,
    run_planned,
};
use std::sync::{Arc, LazyLock};

/// Shared by the tests, so that each reference is computed once.
static SUITE: LazyLock<Vec<OpCase>> = LazyLock::new(|| {
    let mut all = cases().unwrap();
    all.extend(generated(2, 300).unwrap());
    all
});

/// The fixed cases of one op.
fn fixed(op: &str) -> impl Iterator<Item = &OpCase> {
    SUITE.iter().filter(move |c| c.op == op && !c.name.contains("/random"))
}

fn failures(results: Vec<mynah_lab::CaseResult>) -> Vec<String> {
    let report = Report { title: String::new(), results };
    report.failures().map(|(r, reason)| format!("{}: {reason}", r.name)).collect()
}

#[test]
fn the_reference_passes_with_a_naive_plan() {
    let results = SUITE.iter().map(|c| run_case(c, &ReferenceDevice, &Policy::exact())).collect();
    assert_eq!(failures(results), Vec::<String>::new());
}

#[test]
fn the_reference_passes_through_the_planner() {
    let device = Arc::new(ReferenceDevice);
    let results = SUITE.iter().map(|c| run_planned(c, device.clone(), &Policy::exact())).collect();
    assert_eq!(failures(results), Vec::<String>::new());
}

#[test]
fn the_fast_route_keeps_its_bound_and_not_the_exact_one() {
    let products = || SUITE.iter().filter(|c| c.op == "matmul");
    let fast = products().map(|c| run_case(c, &ReferenceDevice, &Policy::default())).collect();
    assert_eq!(failures(fast), Vec::<String>::new());
    let exact_bound = |c: &OpCase| {
        let mut c = c.clone();
        c.bounds.fast = c.bounds.exact;
        c
    };
    let strict: Vec<_> =
        products().map(|c| run_case(&exact_bound(c), &ReferenceDevice, &Policy::default())).collect();
    assert!(failures(strict).len() > products().count() / 2);
}

#[test]
fn the_reference_is_invariant() {
    let checks = invariance::check(&SUITE, &|_| Arc::new(ReferenceDevice), &Policy::exact());
    let failed: Vec<_> = checks.iter().filter(|c| c.status != Status::Passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for kind in ["threads", "repeat", "batch", "padding"] {
        assert!(checks.iter().filter(|c| c.kind == kind).count() >= 20, "hardly any checks of {kind}");
    }
}

fn faulty(fault: Fault) -> FaultyDevice {
    FaultyDevice::new(Arc::new(ReferenceDevice), fault)
}

#[test]
fn one_wrong_element_fails_every_exact_case_with_floats() {
    let device = faulty(Fault::Element(1e-3));
    for case in SUITE.iter() {
        let floats = case
            .graph
            .outputs()
            .iter()
            .all(|(_, id)| case.graph.value(*id).elem == mynah_graph::ElemType::F32);
        // Elements of ten thousand hide a thousandth; the bounds of equal rows and of angles far from zero are wide on purpose.
        let hides = ["outliers", "saturated", "large", "equal-rows", "offset", "sharp", "far"];
        if !floats || case.name.contains("refused") || hides.iter().any(|h| case.name.contains(h)) {
            continue;
        }
        let result = run_case(case, &device, &Policy::exact());
        assert!(matches!(result.status, Status::Failed(_)), "{} passes with a wrong element", case.name);
    }
}

#[test]
fn a_last_bit_that_depends_on_threads_is_caught() {
    let all: Vec<OpCase> = fixed("layer_norm").cloned().collect();
    let checks = invariance::check(&all, &|n| Arc::new(faulty(Fault::Threads(n))), &Policy::exact());
    let threads: Vec<_> = checks.iter().filter(|c| c.kind == "threads").collect();
    assert!(
        !threads.is_empty() && threads.iter().all(|c| matches!(c.status, Status::Failed(_))),
        "{threads:#?}"
    );
}

#[test]
fn what_a_device_lacks_is_listed_and_is_no_failure() {
    // Cases that move their operands first are unsupported for another reason.
    let results: Vec<_> = fixed("glu")
        .chain(fixed("matmul"))
        .filter(|c| c.graph.nodes().len() == 1)
        .map(|c| run_case(c, &faulty(Fault::OnlyProducts), &Policy::exact()))
        .collect();
    let report = Report { title: "faulty".into(), results };
    assert_eq!(report.failures().count(), 0);
    assert!(report.unsupported().all(|(r, reason)| r.op == "glu" && reason == "glu: not here"));
    assert!(report.to_string().contains("unsupported: glu/"));
}

#[test]
fn drift_points_at_the_first_product_and_grows_from_there() {
    let case = SUITE.iter().find(|c| c.name == "composite/feed-forward/F32").unwrap();
    let subject = Subject { graph: &case.graph, weights: case.weights.as_ref(), arguments: &case.arguments };
    let same = drift(&subject, &ReferenceDevice, &Policy::exact(), &Policy::exact()).unwrap();
    assert!(same.iter().all(|v| v.error.nmse == 0.0));
    let routes = drift_by_route(&subject, &ReferenceDevice).unwrap();
    assert_eq!(routes.iter().map(|r| r.route).collect::<Vec<_>>(), ["f16-product"]);
    let first = first_beyond(&routes[0].values, 0.0).unwrap();
    assert_eq!((first.name.as_str(), first.op), ("matmul", "matmul"));
    // Two factors rounded to 11 bits: 2·(2⁻¹²)²·⅓, within a factor of three.
    assert!((1e-8..1.2e-7).contains(&first.error.nmse), "{:e}", first.error.nmse);
    assert_eq!(routes[0].outputs.len(), 1);
    assert!(routes[0].outputs[0].error.nmse > 0.0);
}
