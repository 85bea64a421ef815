//! What a session refuses, shares and reports.

#![allow(clippy::unwrap_used)] // a panic is a failure here

use mynah_cpu::{CpuDevice, CpuOptions, SimdLevel};
use mynah_device::{
    Data, Device, DeviceError, Location, Plan, Policy, RunArgs, Session, StateHandle, WeightBytes, WeightUse,
};
use mynah_graph::{Activation, ElemType, Graph, GraphBuilder, Op, StateDecl, StateElem, WeightSpec};
use mynah_lab::naive_plan;
use mynah_tensor::{DType, HostTensor, Rng, Shape};

const ROWS: usize = 5;
const WIDTH: usize = 64;

fn device(threads: usize) -> CpuDevice {
    CpuDevice::new(CpuOptions { threads: Some(threads), simd: None }).unwrap()
}

/// `relu(x · wᵀ)`.
fn graph(dtype: DType) -> Graph {
    let mut b = GraphBuilder::new("layer");
    let x = b.input("x", ElemType::F32, [ROWS, WIDTH]);
    let w = b.weight(&WeightSpec { name: "w".into(), shape: Shape::from([WIDTH, WIDTH]), dtype });
    let y = b.matmul(x, w);
    let y = b.relu(y);
    b.output("y", y);
    b.finish().unwrap()
}

fn weight(dtype: DType) -> HostTensor {
    let mut values = vec![0.0; WIDTH * WIDTH];
    Rng::new(4).fill_normal(&mut values, 0.1);
    HostTensor::from_f32([WIDTH, WIDTH], &values).unwrap().to_dtype(dtype).unwrap()
}

fn input() -> Vec<f32> {
    let mut x = vec![0.0; ROWS * WIDTH];
    Rng::new(5).fill_normal(&mut x, 1.0);
    x
}

fn prepare(session: &mut dyn Session, tensor: &HostTensor) -> Result<bool, DeviceError> {
    let (dtype, shape, bytes) = (tensor.dtype(), tensor.shape(), tensor.data());
    session.prepare(&WeightBytes { name: "w", dtype, shape, bytes }, WeightUse::MatMul)
}

fn run(session: &mut dyn Session, plan: &Plan) -> Vec<f32> {
    let program = session.compile(plan).unwrap();
    let x = input();
    session.run(program, &RunArgs { inputs: &[Data::F32(&x)], ..RunArgs::default() }).unwrap();
    session.output_f32(program, 0).unwrap().to_vec()
}

#[test]
fn forks_share_weights_and_run_side_by_side() {
    let (plan, tensor) = (naive_plan(&graph(DType::Q8_0)), weight(DType::Q8_0));
    let mut first = device(3).open(&Policy::default()).unwrap();
    assert!(prepare(first.as_mut(), &tensor).unwrap());
    assert!(!prepare(first.as_mut(), &tensor).unwrap(), "prepared twice");
    let wanted = run(first.as_mut(), &plan);
    let forks: Vec<_> = (0..3).map(|_| first.fork().unwrap()).collect();
    std::thread::scope(|scope| {
        for mut fork in forks {
            let (plan, wanted) = (&plan, &wanted);
            scope.spawn(move || {
                assert!(fork.is_prepared("w", WeightUse::MatMul));
                for _ in 0..50 {
                    assert_eq!(&run(fork.as_mut(), plan), wanted);
                }
            });
        }
    });
}

#[test]
fn routes_are_taken_and_switched_off_by_name() {
    let (plan, tensor) = (naive_plan(&graph(DType::Q8_0)), weight(DType::Q8_0));
    let device = device(1);
    let kernel_of = |policy: &Policy| {
        let mut session = device.open(policy).unwrap();
        prepare(session.as_mut(), &tensor).unwrap();
        session.profile(true);
        run(session.as_mut(), &plan);
        let times = session.step_times();
        assert_eq!(times.iter().map(|t| (t.op, t.runs)).collect::<Vec<_>>(), [("matmul", 1), ("relu", 1)]);
        times[0].kernel.clone()
    };
    let integer = !matches!(device.simd(), SimdLevel::Portable);
    assert_eq!(kernel_of(&Policy::default()).contains("int8"), integer);
    assert!(kernel_of(&Policy::exact()).contains("f32"));
    let mut off = Policy::default();
    off.switch("int8-dot=off", device.routes()).unwrap();
    assert!(kernel_of(&off).contains("f32"));
}

#[test]
fn float_weights_are_laid_out_for_the_policy_of_their_session() {
    let device = device(1);
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let (plan, tensor) = (naive_plan(&graph(dtype)), weight(dtype));
        let of = |policy: &Policy| {
            let mut session = device.open(policy).unwrap();
            prepare(session.as_mut(), &tensor).unwrap();
            session.profile(true);
            let y = run(session.as_mut(), &plan);
            (y, session.step_times()[0].kernel.clone(), session.memory())
        };
        let (exact, exact_kernel, exact_bytes) = of(&Policy::exact());
        assert!(exact_kernel.starts_with("gemm-f32"), "{exact_kernel}");
        let (fast, fast_kernel, fast_bytes) = of(&Policy::default());
        if !matches!(device.simd(), SimdLevel::Avx512 { bf16: true, .. }) {
            assert_eq!(fast, exact);
            continue;
        }
        assert!(fast_kernel.starts_with("gemm-bf16"), "{fast_kernel}");
        assert!(fast_bytes < exact_bytes || dtype != DType::F32, "{fast_bytes} of {exact_bytes} bytes");
        let mut off = Policy::default();
        off.switch("bf16-dot=off", device.routes()).unwrap();
        assert_eq!(of(&off).0, exact);
    }
}

#[test]
fn arguments_that_do_not_fit_are_named() {
    let (plan, tensor) = (naive_plan(&graph(DType::F32)), weight(DType::F32));
    let mut session = device(1).open(&Policy::exact()).unwrap();
    let error = session.compile(&plan).unwrap_err();
    assert!(matches!(&error, DeviceError::Weight { name, .. } if name == "w"), "{error}");
    prepare(session.as_mut(), &tensor).unwrap();
    let program = session.compile(&plan).unwrap();
    let x = input();
    let refused = |session: &mut dyn Session, args: &RunArgs<'_>, what: &str| {
        let error = session.run(program, args).unwrap_err();
        assert!(
            matches!(error, DeviceError::Arguments { .. }) && error.to_string().contains(what),
            "{error}"
        );
    };
    let args = RunArgs { inputs: &[Data::F32(&x)], ..RunArgs::default() };
    assert!(session.output_f32(program, 0).is_err(), "no run yet");
    refused(session.as_mut(), &RunArgs::default(), "inputs");
    refused(session.as_mut(), &RunArgs { inputs: &[Data::F32(&x[1..])], ..args }, "'x'");
    refused(session.as_mut(), &RunArgs { inputs: &[Data::I32(&[0; ROWS * WIDTH])], ..args }, "'x'");
    refused(session.as_mut(), &RunArgs { slots: &[1], ..args }, "slots");
    refused(session.as_mut(), &RunArgs { states: &[StateHandle(9)], ..args }, "state");
    session.run(program, &args).unwrap();
    assert!(session.output_i32(program, 0).is_err(), "another element type");
    assert!(session.output_f32(program, 1).is_err(), "no such output");
    session.forget(program);
    assert!(session.run(program, &args).is_err());
}

#[test]
fn plans_whose_values_collide_are_refused() {
    let tensor = weight(DType::F32);
    let mut session = device(1).open(&Policy::exact()).unwrap();
    prepare(session.as_mut(), &tensor).unwrap();
    let good = naive_plan(&graph(DType::F32));
    let outputs: Vec<usize> = good.graph.nodes().iter().map(|n| n.output.0 as usize).collect();
    let input = good.graph.inputs()[0].0 as usize;
    // The product where its input lies, a value beyond the arena, one off a cache line, one too small.
    let bytes = 4 * ROWS * WIDTH;
    let bad = [
        (outputs[0], good.locations[input]),
        (outputs[0], Location::Arena { offset: good.arena_bytes.next_multiple_of(64), bytes }),
        (outputs[0], Location::Arena { offset: 4, bytes }),
        (outputs[0], Location::Arena { offset: usize::MAX - 63, bytes }),
        (outputs[1], Location::Unused),
    ];
    for (value, location) in bad {
        let mut plan = good.clone();
        plan.locations[value] = location;
        let error = session.compile(&plan).unwrap_err();
        assert!(matches!(error, DeviceError::Arguments { .. }), "{location:?}: {error}");
    }
    // An element-wise op may write over its operand.
    let mut plan = good.clone();
    plan.locations[outputs[1]] = plan.locations[outputs[0]];
    assert_eq!(run(session.as_mut(), &plan), run(session.as_mut(), &good));
}

#[test]
fn weights_that_do_not_fit_their_shape_are_refused() {
    let mut session = device(1).open(&Policy::exact()).unwrap();
    let mut prepare = |dtype, shape: &[usize], bytes: &[u8], use_| {
        let weight = WeightBytes { name: "odd", dtype, shape: Shape::new(shape).unwrap(), bytes };
        let error = session.prepare(&weight, use_).unwrap_err();
        assert!(matches!(&error, DeviceError::Weight { name, .. } if name == "odd"), "{error}");
    };
    let every = [
        WeightUse::MatMul,
        WeightUse::Conv2d,
        WeightUse::DepthwiseConv1d,
        WeightUse::Table,
        WeightUse::Elements,
    ];
    for use_ in every {
        prepare(DType::F32, &[4, 4], &[0; 63], use_);
        prepare(DType::Q8_0, &[4, 33], &[0; 136], use_);
        prepare(DType::F16, &[usize::MAX / 4, 2], &[0; 8], use_);
    }
    prepare(DType::F32, &[4], &[0; 16], WeightUse::MatMul);
    prepare(DType::F32, &[4, 1], &[0; 16], WeightUse::Conv2d);
    prepare(DType::F32, &[2, 2, 1], &[0; 16], WeightUse::DepthwiseConv1d);
    prepare(DType::F32, &[4], &[0; 16], WeightUse::Table);
}

#[test]
fn states_are_copied_counted_and_dropped() {
    let mut session = device(1).open(&Policy::exact()).unwrap();
    let before = session.memory();
    let decl = StateDecl::new("cache", Shape::from([2, 3]));
    let state = session.create_state(&decl, 4).unwrap();
    assert!(session.memory() >= before + 4 * 4 * 6);
    assert_eq!(session.snapshot(state).unwrap(), [0.0; 24]);
    let contents: Vec<f32> = (0..24).map(|i| i as f32).collect();
    session.restore(state, &contents).unwrap();
    assert_eq!(session.snapshot(state).unwrap(), contents);
    assert!(session.restore(state, &contents[1..]).is_err());
    session.grow_state(state, 7).unwrap();
    let grown = session.snapshot(state).unwrap();
    assert_eq!((&grown[..24], &grown[24..]), (&contents[..], &[0.0; 18][..]));
    let error = session.grow_state(state, usize::MAX / 8).unwrap_err();
    assert!(matches!(error, DeviceError::OutOfMemory { .. }), "{error}");
    session.grow_state(state, 2).unwrap();
    assert_eq!(session.snapshot(state).unwrap(), grown);
    session.drop_state(state);
    assert!(session.snapshot(state).is_err() && session.grow_state(state, 8).is_err());
    assert_eq!(session.memory(), before);
    let error = session.create_state(&decl, usize::MAX / 8).unwrap_err();
    assert!(matches!(error, DeviceError::OutOfMemory { .. }), "{error}");
}

#[test]
fn states_of_halves_take_half_the_memory_and_round() {
    let mut session = device(1).open(&Policy::exact()).unwrap();
    let rows = 1 << 14;
    let decl = StateDecl::new("cache", [2, 4]);
    let floats = session.create_state(&decl, rows).unwrap();
    let with_floats = session.memory();
    let halves = session.create_state(&decl.stored_as(StateElem::F16), rows).unwrap();
    let taken = session.memory() - with_floats;
    assert_eq!(taken, 2 * 8 * rows);
    let mut contents = vec![0.0; 8 * rows];
    contents[..3].copy_from_slice(&[1.0 + 2f32.powi(-12), 1e6, -0.25]);
    session.restore(floats, &contents).unwrap();
    session.restore(halves, &contents).unwrap();
    let kept = session.snapshot(halves).unwrap();
    assert_eq!(kept[..4], [1.0, 65504.0, -0.25, 0.0]);
    // What came from halves goes back unchanged.
    session.restore(halves, &kept).unwrap();
    session.grow_state(halves, rows + 1).unwrap();
    let grown = session.snapshot(halves).unwrap();
    assert_eq!((&grown[..8 * rows], &grown[8 * rows..]), (&kept[..], &[0.0; 8][..]));
    assert_eq!(session.snapshot(floats).unwrap(), contents);

    let mut b = GraphBuilder::new("sums");
    let state = b.state("cache", [2, 4]);
    let row = b.input("row", ElemType::I32, [1]);
    let y = b.op(Op::StateGather(state), &[row]);
    b.output("y", y);
    let program = session.compile(&naive_plan(&b.finish().unwrap())).unwrap();
    let inputs = [Data::I32(&[0])];
    let mut run = |states| session.run(program, &RunArgs { inputs: &inputs, states, ..RunArgs::default() });
    let (whole, half) = ([floats], [halves]);
    assert!(run(&whole).is_ok());
    let error = run(&half).unwrap_err();
    assert!(matches!(error, DeviceError::Arguments { .. }), "{error}");
}

#[test]
fn memory_that_cannot_be_had_is_an_error_when_compiling() {
    let mut b = GraphBuilder::new("huge");
    let x = b.input("x", ElemType::F32, [1 << 22, 1 << 22]);
    let y = b.unary(Activation::Relu, x);
    b.output("y", y);
    let plan = naive_plan(&b.finish().unwrap());
    let mut session = device(1).open(&Policy::exact()).unwrap();
    let error = session.compile(&plan).unwrap_err();
    assert!(
        matches!(error, DeviceError::OutOfMemory { wanted, .. } if wanted == plan.arena_bytes),
        "{error}"
    );
}
