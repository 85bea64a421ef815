//! Deliberately broken kernels are caught: on the reference and on whatever else is wrapped.

#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

use mynah_device::{Device, Policy};
use mynah_graph::ElemType;
use mynah_lab::{Fault, FaultyDevice, OpCase, ReferenceDevice, Status, quick, run_case};
use std::sync::Arc;

/// Small cases whose every output is float and depends on the last step.
fn floats() -> Vec<OpCase> {
    let mut all = quick().unwrap();
    all.retain(|case| {
        let graph = &case.graph;
        let last = graph.nodes().last().map(|n| n.output);
        let float = |id| graph.value(id).elem == ElemType::F32;
        graph.states().is_empty()
            && graph.outputs().iter().all(|(_, id)| float(*id) && graph.shape(*id).numel() > 0)
            && graph.outputs().iter().any(|(_, id)| Some(*id) == last)
            && !graph.nodes().iter().any(|n| n.op.name() == "reshape")
    });
    assert!(all.len() > 30, "hardly any cases: {}", all.len());
    all
}

/// How every case ends with a fault: the reasons of those that fail, and the names of those that pass.
fn outcome(fault: Fault) -> (Vec<String>, Vec<String>) {
    let inner: Arc<dyn Device> = Arc::new(ReferenceDevice);
    let device = FaultyDevice::new(inner, fault);
    let (mut failed, mut passed) = (Vec::new(), Vec::new());
    for case in floats() {
        match run_case(&case, &device, &Policy::exact()).status {
            Status::Failed(reason) => failed.push(reason),
            _ => passed.push(case.name),
        }
    }
    (failed, passed)
}

#[test]
fn one_wrong_element_is_caught() {
    let (failed, passed) = outcome(Fault::Element(1.0));
    // A bound for numbers around ten thousand allows for one.
    let hides = |name: &String| ["outliers", "large", "saturated"].iter().any(|h| name.contains(h));
    assert!(passed.iter().all(hides), "{passed:?}");
    assert!(failed.iter().all(|reason| reason.contains("above")), "{failed:?}");
}

#[test]
fn what_is_no_number_is_caught() {
    let (failed, passed) = outcome(Fault::NotANumber);
    assert_eq!(passed, Vec::<String>::new());
    assert!(failed.iter().all(|reason| reason.contains("NaN")), "{failed:?}");
}

#[test]
fn an_output_left_unwritten_is_caught() {
    let (failed, passed) = outcome(Fault::Unwritten);
    assert_eq!(passed, Vec::<String>::new());
    assert!(failed.iter().all(|reason| reason.contains("NaN")), "{failed:?}");
}

#[test]
fn a_write_behind_the_output_is_caught_and_placed() {
    let (failed, passed) = outcome(Fault::Outside);
    assert_eq!(passed, Vec::<String>::new());
    assert!(failed.iter().all(|reason| reason.contains("outside its output")), "{failed:?}");
}

#[test]
fn a_sound_device_passes() {
    let reports: Vec<_> =
        floats().iter().map(|case| run_case(case, &ReferenceDevice, &Policy::exact())).collect();
    assert!(reports.iter().all(|r| r.status == Status::Passed), "{reports:#?}");
}
