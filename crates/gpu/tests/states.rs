//! States that grow keep what they hold, also for programs that were bound to the memory they had before.
//!
//! Without an adapter the test says so and passes; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

use mynah_device::{Data, Device, DeviceError, Policy};
use mynah_gpu::{list, open};
use mynah_graph::{ElemType, Graph, GraphBuilder, Op, StateDecl};
use mynah_lab::ReferenceDevice;
use mynah_plan::{Executor, MemoryWeights, Options, PlanError, PlanKey};
use std::sync::Arc;

/// Adds an input to a row of a state.
fn sums() -> Graph {
    let mut g = GraphBuilder::new("sums");
    let x = g.input("x", ElemType::F32, [1, 3]);
    let rows = g.input("rows", ElemType::I32, [1]);
    let state = g.state("sum", [3]);
    let before = g.op(Op::StateGather(state), &[rows]);
    let after = g.add(before, x);
    g.op(Op::StateScatter(state), &[rows, after]);
    g.finish().unwrap()
}

#[test]
fn states_that_grow_keep_what_they_hold() {
    let mut devices: Vec<Arc<dyn Device>> = vec![Arc::new(ReferenceDevice)];
    devices.extend(list().into_iter().map(|info| Arc::new(open(info.choice).unwrap()) as Arc<dyn Device>));
    if devices.len() == 1 {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: only the reference was tested");
    }
    for device in devices {
        let options = Options { policy: Policy::exact(), strict: true, ..Options::default() };
        let mut executor = Executor::new(device, None, Arc::new(MemoryWeights::default()), options).unwrap();
        let plan =
            executor.plan(PlanKey { graph: "sums", dims: [0; 4] }, || Ok::<_, PlanError>(sums())).unwrap();
        let state = executor.create_state(&StateDecl::new("sum", [3]), 0).unwrap();
        let add = |executor: &mut Executor, row: i32, x: [f32; 3]| {
            executor.run(plan, &[Data::F32(&x), Data::I32(&[row])], &[], &[state])
        };
        let error = add(&mut executor, 0, [1.0; 3]).unwrap_err();
        assert!(matches!(error, PlanError::Device(DeviceError::OutOfRange { limit: 0, .. })), "{error}");
        executor.grow_state(state, 1).unwrap();
        add(&mut executor, 0, [1.0, 2.0, 3.0]).unwrap();
        assert!(add(&mut executor, 1, [1.0; 3]).is_err());
        executor.grow_state(state, 3).unwrap();
        add(&mut executor, 0, [1.0, 2.0, 3.0]).unwrap();
        add(&mut executor, 2, [7.0, 8.0, 9.0]).unwrap();
        // Never shorter.
        executor.grow_state(state, 2).unwrap();
        assert_eq!(executor.snapshot(state).unwrap(), [2.0, 4.0, 6.0, 0.0, 0.0, 0.0, 7.0, 8.0, 9.0]);
        let error = executor.grow_state(state, usize::MAX / 8).unwrap_err();
        assert_eq!(executor.snapshot(state).unwrap().len(), 9, "{error}");
        executor.drop_state(state);
        assert!(executor.grow_state(state, 5).is_err());
    }
}
