//! Runs a case on a device and judges it.

use crate::case::{Expect, OpCase, output_elem};
use crate::elements::{Elements, Values};
use crate::error::LabError;
use crate::measure::{Error, compare};
use crate::program::Program;
use mynah_device::{Device, DeviceError, Policy, WeightSource};
use mynah_graph::ElemType;
use mynah_plan::{Executor, Options, PlanError, PlanKey};
use std::sync::Arc;

/// How a case went.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Within the bound, or refused as it should be.
    Passed,
    /// Out of the bound, or an error that should not be.
    Failed(String),
    /// The device can't run the op, and says so.
    Unsupported(String),
}

/// A case and how it went.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// Name of the case.
    pub name: String,
    /// The op under test.
    pub op: &'static str,
    /// How it went.
    pub status: Status,
    /// The bound that held.
    pub bound: f64,
    /// The largest error among outputs and states; none when there are no values to compare.
    pub error: Option<Error>,
}

/// Runs a case with a naive plan, so that nothing but the kernels is tested, and sentinels around every value.
pub fn run_case(case: &OpCase, device: &dyn Device, policy: &Policy) -> CaseResult {
    let run = || {
        let mut program = Program::guarded(&case.graph, case.weights.as_ref(), device, policy)?;
        program.run(&case.arguments)
    };
    judge(case, policy, run())
}

/// Runs a case through the planner: rewrites, placement, shared memory. What [`run_case`] passes must pass here.
pub fn run_planned(case: &OpCase, device: Arc<dyn Device>, policy: &Policy) -> CaseResult {
    judge(case, policy, planned(case, device, policy))
}

fn planned(case: &OpCase, device: Arc<dyn Device>, policy: &Policy) -> Result<Values, LabError> {
    let weights: Arc<dyn WeightSource> = case.weights.clone();
    let options = Options { policy: policy.clone(), strict: true, ..Options::default() };
    let mut executor = Executor::new(device, None, weights, options)?;
    let plan =
        executor.plan(PlanKey { graph: case.op, dims: [0; 4] }, || Ok::<_, PlanError>(case.graph.clone()))?;
    let mut states = Vec::new();
    for (decl, contents) in case.graph.states().iter().zip(&case.arguments.states) {
        let rows = contents.len().checked_div(decl.row.numel()).unwrap_or(0);
        let state = executor.create_state(decl, rows)?;
        executor.restore(state, contents)?;
        states.push(state);
    }
    let inputs: Vec<_> = case.arguments.inputs.iter().map(Elements::data).collect();
    executor.run(plan, &inputs, &case.arguments.slots, &states)?;
    let mut outputs = Vec::new();
    for (index, (name, _)) in case.graph.outputs().iter().enumerate() {
        outputs.push(match output_elem(&case.graph, index) {
            Some(ElemType::I32) => Elements::I32(executor.output_i32(plan, name)?.to_vec()),
            _ => Elements::F32(executor.output(plan, name)?.to_vec()),
        });
    }
    let states = states.into_iter().map(|s| executor.snapshot(s)).collect::<Result<_, _>>()?;
    Ok(Values { outputs, states })
}

fn judge(case: &OpCase, policy: &Policy, found: Result<Values, LabError>) -> CaseResult {
    let bound = case.bounds.under(policy);
    let result = |status, error| CaseResult { name: case.name.clone(), op: case.op, status, bound, error };
    if let Err(e @ LabError::Overwritten { .. }) = &found {
        return result(Status::Failed(e.to_string()), None);
    }
    let found = match (found.map_err(|e| status_of(&e)), case.expect) {
        (Err(Status::Failed(_)), Expect::Refusal) => return result(Status::Passed, None),
        (Err(status), _) => return result(status, None),
        (Ok(_), Expect::Refusal) => {
            return result(Status::Failed("ran, though an argument is out of range".into()), None);
        }
        (Ok(values), Expect::Values) => values,
    };
    let reference = match case.reference() {
        Ok(reference) => reference,
        Err(e) => return result(Status::Failed(format!("the reference can't be computed: {e}")), None),
    };
    let errors = found.parts().into_iter().zip(reference.parts()).map(|(f, w)| compare(&f, w));
    // A part that fails by a single element may have a smaller mean than one that passes.
    let rank = |e: &Error| (!e.within(bound), e.nmse);
    let worst = errors.max_by(|a, b| rank(a).0.cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1)));
    let status = match &worst {
        Some(e) if !e.within(bound) => Status::Failed(format!(
            "error {:.2e} (worst element {:.2e}) above {bound:.0e}; element {} is {} and should be {}",
            e.nmse, e.max_relative, e.worst, e.found, e.wanted
        )),
        _ => Status::Passed,
    };
    result(status, worst)
}

/// What an error means for a case: the device lacks the op, or it failed.
pub(crate) fn status_of(error: &LabError) -> Status {
    match error {
        LabError::Device(DeviceError::Unsupported(u)) => Status::Unsupported(u.to_string()),
        LabError::Plan(PlanError::Strict { reason, .. }) => Status::Unsupported(reason.to_string()),
        other => Status::Failed(other.to_string()),
    }
}
