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
const LIMITS: [(Activation, f32, f32); 31] = [
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
    (Activation::LeakyRelu(0.5), -INFINITY, -INFINITY),
    (Activation::LeakyRelu(0.5), INFINITY, INFINITY),
    (Activation::Elu, -INFINITY, -1.0),
    (Activation::Elu, INFINITY, INFINITY),
    (Activation::Mish, -200.0, 0.0),
    (Activation::Mish, 200.0, 200.0),
    (Activation::Mish, INFINITY, INFINITY),
    (Activation::Sin, 0.0, 0.0),
    (Activation::Cos, 0.0, 1.0),
    (Activation::Sqrt, 0.0, 0.0),
    (Activation::Sqrt, INFINITY, INFINITY),
    (Activation::Abs, -INFINITY, INFINITY),
];

const ALL: [Activation; 16] = [
    Activation::Relu,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Exp,
    Activation::Softplus,
    Activation::Rsqrt,
    Activation::LeakyRelu(0.5),
    Activation::Elu,
    Activation::Mish,
    Activation::Sin,
    Activation::Cos,
    Activation::Sqrt,
    Activation::Abs,
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
        for f in [Activation::Sin, Activation::Cos] {
            assert!(value(&device, &Policy::exact(), f, -INFINITY).is_nan(), "{} of no angle", f.name());
            // On both sides of where another reduction takes over, near multiples of a quarter of a turn, and as large as there are.
            for x in [1.570_796_4, 25_734.97, -25_735.0, 25_735.002, 33_554_432.0, -1e10, 3.3e38f32] {
                let y = f64::from(value(&device, &Policy::exact(), f, x));
                let angle = f64::from(x);
                let wanted = if f == Activation::Sin { angle.sin() } else { angle.cos() };
                assert!((y - wanted).abs() <= 2e-7, "{}({x}) is {y}, not {wanted}", f.name());
            }
        }
        // The largest and smallest normal results, which a single power of two would miss.
        for x in [88.7f32, -87.3] {
            let (y, wanted) = (value(&device, &Policy::exact(), Activation::Exp, x), f64::from(x).exp());
            assert!((f64::from(y) / wanted - 1.0).abs() < 1e-6, "exp({x}) is {y}, not {wanted}");
        }
    }
}
