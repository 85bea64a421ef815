//! A run that goes through its steps several times is as many runs: one upload, one submission, states carried on, and a fault of
//! any time reported.
//!
//! Without an adapter the tests say so and pass; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

use mynah_device::{Data, Device, DeviceError, Policy};
use mynah_gpu::{list, open};
use mynah_graph::{ElemType, Graph, GraphBuilder, Op, StateDecl};
use mynah_lab::ReferenceDevice;
use mynah_plan::{Executor, MemoryWeights, Options, PlanError, PlanKey};
use std::sync::Arc;

const WIDTH: usize = 3;

fn adapters() -> Vec<Arc<dyn Device>> {
    let found: Vec<Arc<dyn Device>> =
        list().into_iter().map(|info| Arc::new(open(info.choice).unwrap()) as Arc<dyn Device>).collect();
    if found.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
    }
    found
}

/// Adds an input to a state each time; also gives the state's first number, which must be whole.
fn sums() -> Graph {
    let mut g = GraphBuilder::new("sums");
    g.repeatable();
    let x = g.input("x", ElemType::F32, [1, WIDTH]);
    let rows = g.input("rows", ElemType::I32, [1]);
    let state = g.state("sum", [WIDTH]);
    let number = g.op(Op::StateNumbers { state, column: 0 }, &[rows]);
    let before = g.op(Op::StateGather(state), &[rows]);
    let after = g.add(before, x);
    let after = g.op(Op::StateScatter(state), &[rows, after]);
    g.output("sum", after);
    g.output("number", number);
    g.finish().unwrap()
}

/// The sum and the first number before it, after a run of `repeats` more times than one.
fn run(device: Arc<dyn Device>, x: f32, repeats: usize) -> Result<(Vec<f32>, i32), PlanError> {
    let options = Options { policy: Policy::exact(), strict: true, ..Options::default() };
    let mut executor = Executor::new(device, None, Arc::new(MemoryWeights::default()), options)?;
    let plan = executor.plan(PlanKey { graph: "sums", dims: [0; 4] }, || Ok::<_, PlanError>(sums()))?;
    let state = executor.create_state(&StateDecl::new("sum", [WIDTH]), 2)?;
    let inputs = [Data::F32(&[x, 2.0 * x, 1.0]), Data::I32(&[1])];
    executor.run_repeatedly(plan, &inputs, &[], &[state], repeats)?;
    let sum = executor.output(plan, "sum")?.to_vec();
    Ok((sum, executor.output_i32(plan, "number")?[0]))
}

#[test]
fn states_go_on_from_time_to_time() {
    for device in adapters() {
        for repeats in [0, 1, 30] {
            let found = run(Arc::clone(&device), 3.0, repeats).unwrap();
            assert_eq!(found, run(Arc::new(ReferenceDevice), 3.0, repeats).unwrap());
            assert_eq!(found.1, 3 * repeats as i32);
        }
    }
}

#[test]
fn a_fault_of_a_later_time_is_reported() {
    for device in adapters() {
        assert!(run(Arc::clone(&device), 0.5, 0).is_ok());
        let error = run(Arc::clone(&device), 0.5, 3).unwrap_err();
        let PlanError::Device(DeviceError::OutOfRange { node, .. }) = &error else { panic!("{error}") };
        assert_eq!(node, "state_numbers");
    }
}

/// A run that is like those before is recorded before it is asked for; what it is given must be its own all the same.
#[test]
fn runs_like_the_ones_before_see_their_own_inputs_and_states() {
    for device in adapters() {
        let options = Options { policy: Policy::exact(), strict: true, ..Options::default() };
        let mut executor = Executor::new(device, None, Arc::new(MemoryWeights::default()), options).unwrap();
        // Two programs by turns: each expects its own next run.
        let plans = [0, 1].map(|n| {
            let key = PlanKey { graph: "sums", dims: [n, 0, 0, 0] };
            executor.plan(key, || Ok::<_, PlanError>(sums())).unwrap()
        });
        let decl = StateDecl::new("sum", [WIDTH]);
        let states = [0, 1].map(|_| executor.create_state(&decl, 2).unwrap());
        let mut sums = [0.0; 2];
        // The first state often enough to be expected, then the other, another number of times, and the first again.
        let turns = [(0, 0), (0, 0), (0, 0), (0, 0), (1, 0), (1, 0), (1, 0), (1, 2), (1, 2), (0, 0), (0, 0)];
        for (turn, (which, repeats)) in turns.into_iter().chain(turns).enumerate() {
            if turn == turns.len() {
                // Another buffer than the one that is recorded.
                executor.grow_state(states[0], 500).unwrap();
            }
            for (plan, x) in plans.into_iter().zip([1.0 + turn as f32, 0.5]) {
                let inputs = [Data::F32(&[2.0 * x, 0.0, 0.0]), Data::I32(&[1])];
                executor.run_repeatedly(plan, &inputs, &[], &[states[which]], repeats).unwrap();
                sums[which] += 2.0 * x * (repeats + 1) as f32;
                assert_eq!(executor.output(plan, "sum").unwrap()[0], sums[which], "turn {turn}");
            }
        }
    }
}

/// Several threads record a long run; it is submitted in order.
#[test]
fn a_long_run_keeps_its_order() {
    for device in adapters() {
        let (x, repeats) = (3.0, 400);
        let found = run(Arc::clone(&device), x, repeats).unwrap();
        assert_eq!(found.0, [x, 2.0 * x, 1.0].map(|x| x * (repeats + 1) as f32));
    }
}
