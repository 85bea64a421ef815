//! The two ways through a gated delta net, token by token and in chunks, give the same, whatever the inputs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is a failure here")]

use mynah_cpu::{CpuDevice, CpuOptions, SimdLevel};
use mynah_device::{Device, Policy};
use mynah_lab::{Elements, OpCase, Program, Values, cases, compare};
use mynah_tensor::Rng;

/// Inputs of one kind.
struct Kind {
    name: &'static str,
    /// Bounds of the log decays and of beta.
    decay: [f32; 2],
    beta: [f32; 2],
    /// The length of keys and queries.
    length: f32,
    /// Whether all keys are the same one.
    same: bool,
    /// Normalised mean square error that chunks may have: of floats, and of bfloat16.
    bounds: [f64; 2],
}

const PLAIN: Kind = Kind {
    name: "plain",
    decay: [-1.0, -1e-3],
    beta: [0.0, 1.0],
    length: 1.0,
    same: false,
    bounds: [1e-11, 3e-5],
};

const KINDS: [Kind; 9] = [
    PLAIN,
    Kind { name: "nothing decays", decay: [0.0, 0.0], ..PLAIN },
    Kind { name: "everything decays", decay: [-120.0, -80.0], ..PLAIN },
    Kind { name: "decays of all sizes", decay: [-20.0, -1e-4], ..PLAIN },
    Kind { name: "no updates", beta: [0.0, 0.0], decay: [-0.01, 0.0], ..PLAIN },
    Kind { name: "whole updates", beta: [1.0, 1.0], decay: [-0.01, 0.0], ..PLAIN },
    Kind { name: "reflections", beta: [2.0, 2.0], decay: [-0.01, 0.0], bounds: [1e-10, 1e-3], ..PLAIN },
    Kind {
        name: "one key",
        beta: [0.9, 1.0],
        decay: [-0.01, 0.0],
        same: true,
        bounds: [1e-10, 1e-3],
        ..PLAIN
    },
    Kind {
        name: "long keys",
        beta: [0.1, 0.2],
        decay: [-0.1, 0.0],
        length: 3.0,
        bounds: [1e-10, 1e-3],
        ..PLAIN
    },
];

/// Fills the inputs of a case: q, k, v, log decays, beta.
fn filled(case: &OpCase, kind: &Kind, seed: u64) -> OpCase {
    let mut case = case.clone();
    let mut rng = Rng::new(seed);
    let size = case.graph.shape(case.graph.inputs()[0]).last();
    for (i, elements) in case.arguments.inputs.iter_mut().enumerate() {
        let Elements::F32(x) = elements else { continue };
        match i {
            0 | 1 => {
                rng.fill_normal(x, 1.0);
                for head in x.chunks_exact_mut(size) {
                    let square: f32 = head.iter().map(|x| x * x).sum();
                    head.iter_mut().for_each(|x| *x *= kind.length / square.sqrt());
                }
                if kind.same && i == 1 {
                    let first = x[..size].to_vec();
                    x.chunks_exact_mut(size).for_each(|head| head.copy_from_slice(&first));
                }
            }
            2 => rng.fill_normal(x, 1.0),
            _ => {
                let [low, high] = if i == 3 { kind.decay } else { kind.beta };
                rng.fill_normal(x, 1.0);
                // Far from normal, but within the bounds and different everywhere.
                x.iter_mut().for_each(|x| *x = low + (high - low) * x.abs().fract());
            }
        }
    }
    case
}

fn run(case: &OpCase, device: &dyn Device, routes: &str) -> Values {
    let mut policy = Policy::default();
    policy.switch(routes, device.routes()).unwrap();
    let mut program = Program::new(&case.graph, case.weights.as_ref(), device, &policy).unwrap();
    program.run(&case.arguments).unwrap()
}

/// All numbers of a run, outputs and states.
fn numbers(values: &Values) -> Vec<f64> {
    let outputs = values.outputs.iter().flat_map(|e| match e {
        Elements::F32(x) => x.clone(),
        Elements::I32(_) => Vec::new(),
    });
    outputs.chain(values.states.iter().flatten().copied()).map(f64::from).collect()
}

#[test]
fn chunks_give_what_tokens_give() {
    let wanted = ["chunk/", "prompt/", "unequal/"];
    let all = cases().unwrap();
    let all: Vec<_> = all
        .iter()
        .filter(|c| c.op == "gated_delta_net" && c.name.contains("/head/"))
        .filter(|c| wanted.iter().any(|tag| c.name.contains(tag)))
        .collect();
    assert!(all.len() > 15, "{} cases", all.len());
    for level in SimdLevel::available() {
        let device = CpuDevice::new(CpuOptions { threads: Some(2), simd: Some(level) }).unwrap();
        for (seed, kind) in KINDS.iter().enumerate() {
            for case in &all {
                let case = filled(case, kind, seed as u64);
                let tokens = numbers(&run(&case, &device, "delta-chunks=off"));
                for (routes, bound) in [("bf16-dot=off", kind.bounds[0]), ("delta-chunks=on", kind.bounds[1])]
                {
                    let chunks = numbers(&run(&case, &device, routes));
                    assert!(tokens.iter().chain(&chunks).all(|x| x.is_finite()), "{}", case.name);
                    let error = compare(&chunks, &tokens).nmse;
                    let name = kind.name;
                    assert!(error <= bound, "{level:?}, {routes}, {name}, {}: {error:e}", case.name);
                }
            }
        }
    }
}
