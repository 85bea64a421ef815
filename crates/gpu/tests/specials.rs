//! Functions of one element at the ends of f32: what is no number stays none, infinities give limits, and the largest and
//! smallest results are reached.
//!
//! Without an adapter the test says so and passes; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

use mynah_device::{Device, Policy};
use mynah_gpu::{list, open};
use mynah_graph::{Activation, ElemType, GraphBuilder, Op};
use mynah_lab::{Arguments, Elements, Program};
use mynah_plan::MemoryWeights;

const INFINITY: f32 = f32::INFINITY;

/// A function, its argument and its value.
const LIMITS: [(Activation, f32, f32); 19] = [
    (Activation::Relu, -INFINITY, 0.0),
    (Activation::Relu, INFINITY, INFINITY),
    (Activation::Sigmoid, -INFINITY, 0.0),
    (Activation::Sigmoid, -200.0, 0.0),
    (Activation::Sigmoid, 200.0, 1.0),
    (Activation::Sigmoid, INFINITY, 1.0),
    (Activation::Tanh, -INFINITY, -1.0),
    (Activation::Tanh, -100.0, -1.0),
    (Activation::Tanh, 0.0, 0.0),
    (Activation::Tanh, INFINITY, 1.0),
    (Activation::Exp, -INFINITY, 0.0),
    (Activation::Exp, -1e30, 0.0),
    (Activation::Exp, 0.0, 1.0),
    (Activation::Exp, 89.0, INFINITY),
    (Activation::Exp, 1e30, INFINITY),
    (Activation::Exp, INFINITY, INFINITY),
    (Activation::Softplus, -200.0, 0.0),
    (Activation::Softplus, 200.0, 200.0),
    (Activation::Softplus, INFINITY, INFINITY),
];

const ALL: [Activation; 9] = [
    Activation::Relu,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Exp,
    Activation::Softplus,
    Activation::Rsqrt,
];

fn value(device: &dyn Device, policy: &Policy, f: Activation, x: f32) -> f32 {
    let mut b = GraphBuilder::new(f.name());
    let given = b.input("x", ElemType::F32, [1]);
    let y = b.op(Op::Unary(f), &[given]);
    b.output("y", y);
    let mut program = Program::new(&b.finish().unwrap(), &MemoryWeights::default(), device, policy).unwrap();
    let arguments = Arguments { inputs: vec![Elements::F32(vec![x])], ..Arguments::default() };
    match program.run(&arguments).unwrap().outputs.as_slice() {
        [Elements::F32(y)] => y[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn functions_at_the_ends_of_f32() {
    let adapters = list();
    if adapters.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
    }
    for info in adapters {
        let device = open(info.choice).unwrap();
        for f in ALL {
            let y = value(&device, &Policy::exact(), f, f32::NAN);
            assert!(y.is_nan(), "{} of what is no number is {y}", f.name());
        }
        for (f, x, wanted) in LIMITS {
            let y = value(&device, &Policy::exact(), f, x);
            assert!(y == wanted, "{}({x}) is {y}, not {wanted}", f.name());
        }
        // The largest and smallest normal results, which a single power of two would miss.
        for x in [88.7f32, -87.3] {
            let (y, wanted) = (value(&device, &Policy::exact(), Activation::Exp, x), f64::from(x).exp());
            assert!((f64::from(y) / wanted - 1.0).abs() < 1e-6, "exp({x}) is {y}, not {wanted}");
        }
    }
}
