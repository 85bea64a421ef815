//! Heads of a layer become one op that computes the same and leaves the same states, where the device has it and nothing else needs
//! what is in between.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
#![allow(dead_code, reason = "a part of what the tests share is enough here")]

mod support;

use mynah_graph::interp::{self, Env, Tensor64};
use mynah_graph::{
    Activation, BinaryOp, CausalAttention, CausalConv1d, ElemType, GatedDeltaNet, Graph, GraphBuilder, Op,
    Rope, ValueId, WeightSpec,
};
use mynah_plan::rewrite::Outcome;
use mynah_tensor::{DType, Rng, Shape};

fn weight(g: &mut GraphBuilder, name: &str, shape: impl Into<Shape>) -> ValueId {
    g.weight(&WeightSpec { name: name.to_owned(), shape: shape.into(), dtype: DType::F32 })
}

/// Two sequences of two tokens, two key heads and four value heads of 3; `change` may read more of what is in between. Behind a
/// convolution that keeps inputs for so many snapshots, unless that is 0.
fn delta_behind(conv: usize, change: impl Fn(&mut GraphBuilder, [ValueId; 4])) -> Graph {
    let (batch, time, heads, key_heads, width, snapshots) = (2, 2, 4, 2, 3, 2);
    let keys = key_heads * width;
    let mut g = GraphBuilder::new("delta");
    let state = g.state("matrices", [snapshots * heads, width, width]);
    let mixed = g.input("mixed", ElemType::F32, [batch, time, 2 * keys + heads * width]);
    let [steps, beta] = ["steps", "beta"].map(|name| g.input(name, ElemType::F32, [batch, time, heads]));
    let z = g.input("z", ElemType::F32, [batch, time, heads, width]);
    let sequences = g.input("sequences", ElemType::I32, [batch, 3]);
    let (rates, gain) = (weight(&mut g, "rates", [heads]), weight(&mut g, "gain", [width]));
    let mixed = match conv {
        0 => mixed,
        snapshots => {
            let state = g.state("inputs", [1 + snapshots, 24]);
            let kernel = weight(&mut g, "kernel", [24, 1, 3]);
            let op = CausalConv1d { state, snapshots, activation: Some(Activation::Silu) };
            g.op(Op::CausalConv1d(op), &[mixed, kernel, sequences])
        }
    };
    let mut part = |from: usize, count: usize| {
        let part = g.slice(mixed, 2, from, count * width);
        g.reshape(part, &[batch, time, count, width])
    };
    let (q, k, v) = (part(0, key_heads), part(keys, key_heads), part(2 * keys, heads));
    let [q, k] = [q, k].map(|x| g.l2_norm(x, 0.25));
    let decay = g.mul(steps, rates);
    let y = g.op(Op::GatedDeltaNet(GatedDeltaNet { state, snapshots }), &[q, k, v, decay, beta, sequences]);
    change(&mut g, [q, decay, y, z]);
    let y = g.rms_norm(y, gain, 0.5);
    let y = g.gated(Activation::Silu, y, z);
    g.output("y", y);
    g.finish().unwrap()
}

fn delta(change: impl Fn(&mut GraphBuilder, [ValueId; 4])) -> Graph {
    delta_behind(0, change)
}

/// One sequence of two tokens after one, two key heads and four query heads of 6, of which `turned` channels turn for the keys.
fn attention(turned: usize) -> Graph {
    let (time, heads, key_heads, width) = (2, 4, 2, 6);
    let mut g = GraphBuilder::new("attention");
    let [keys, values] = ["keys", "values"].map(|name| g.state(name, [key_heads, 2, width]));
    let both = g.input("both", ElemType::F32, [1, time, heads, 2 * width]);
    let [k, v] = ["k", "v"].map(|name| g.input(name, ElemType::F32, [1, time, key_heads, width]));
    let positions = g.input("positions", ElemType::I32, [1, time]);
    let sequences = g.input("sequences", ElemType::I32, [1, 2]);
    let pages = g.input("pages", ElemType::I32, [1, 2]);
    let gains = ["q_gain", "k_gain"].map(|name| weight(&mut g, name, [width]));
    let [q, gate] = [0, width].map(|from| g.slice(both, 3, from, width));
    let q = g.rms_norm(q, gains[0], 0.5);
    let q = g.rope(q, positions, Rope::new(4, 100.0));
    let k = g.rms_norm(k, gains[1], 0.5);
    let k = g.rope(k, positions, Rope::new(turned, 100.0));
    let op = CausalAttention { keys, values, scale: 0.4 };
    let y = g.op(Op::CausalAttention(op), &[q, k, v, sequences, pages]);
    let y = g.gated(Activation::Sigmoid, y, gate);
    g.output("y", y);
    g.finish().unwrap()
}

fn rewritten(graph: &Graph, missing: &[&'static str]) -> (Graph, Outcome) {
    support::rewritten(graph, missing, "fuse-heads")
}

fn normal(shape: Shape, rng: &mut Rng) -> Tensor64 {
    Tensor64::new(shape, (0..shape.numel()).map(|_| f64::from(rng.normal())).collect()).unwrap()
}

/// Outputs and states after a run with these numbers as the integer inputs, in order.
fn run(graph: &Graph, numbers: &[&[i32]], rows: usize) -> (Vec<Tensor64>, Vec<Tensor64>) {
    let (mut rng, mut numbers) = (Rng::new(3), numbers.iter());
    let inputs = graph.inputs().iter().map(|&id| match graph.value(id).elem {
        ElemType::F32 => normal(graph.shape(id), &mut rng),
        ElemType::I32 => {
            let data = numbers.next().unwrap().iter().map(|&n| f64::from(n)).collect();
            Tensor64::new(graph.shape(id), data).unwrap()
        }
    });
    let inputs = inputs.collect();
    let states = graph.states().iter().map(|decl| {
        let dims: Vec<usize> = [rows].into_iter().chain(decl.row.dims().iter().copied()).collect();
        normal(Shape::new(&dims).unwrap(), &mut rng)
    });
    let states = states.collect();
    let weights = |spec: &WeightSpec| Some(normal(spec.shape, &mut Rng::new(spec.name.len() as u64)));
    let mut env = Env { inputs, weights: &weights, slots: vec![], states };
    let outputs = interp::run(graph, &mut env).unwrap();
    (outputs, env.states)
}

#[test]
fn heads_are_one_op_with_the_same_meaning() {
    let cases: [(Graph, &str, &[&[i32]], usize); 3] = [
        (delta_behind(2, |_, _| ()), "delta_heads", &[&[2, 2, 1, 0, 1, 0]], 3),
        (delta(|_, _| ()), "delta_heads", &[&[2, 2, 1, 0, 1, 0]], 3),
        (attention(4), "attention_heads", &[&[70, 71], &[1, 2], &[3, 1]], 4),
    ];
    for (graph, name, numbers, rows) in cases {
        let (one, outcome) = rewritten(&graph, &[]);
        assert_eq!(outcome.fired, 1, "{outcome:?}");
        let names: Vec<_> = one.nodes().iter().map(|node| node.op.name()).collect();
        assert_eq!(names, [name]);
        assert!(run(&one, numbers, rows) == run(&graph, numbers, rows), "{name} computes something else");
        let (left, outcome) = rewritten(&graph, &[name]);
        assert_eq!(left.nodes().len(), graph.nodes().len());
        assert_eq!(outcome.refused[0].1, "the device has no kernel for all of it at once");
    }
}

#[test]
fn what_something_else_needs_is_left() {
    let reason = |graph: &Graph| {
        let (_, outcome) = rewritten(graph, &[]);
        assert_eq!(outcome.fired, 0);
        outcome.refused[0].1
    };
    for which in 0..3 {
        let read = delta(|g, between| g.output("between", between[which]));
        assert_eq!(reason(&read), "a value in between has other users");
    }
    let write = delta(|g, [.., z]| {
        let state = g.state("more", [2, 4, 3]);
        let slot = g.slot("at");
        g.op(Op::StateAppend { state, at: slot }, &[z]);
    });
    assert_eq!(reason(&write), "another op uses a state in between");
    assert_eq!(reason(&attention(6)), "queries and keys differ in more than their gains");
}

#[test]
fn a_convolution_that_keeps_something_else_stays() {
    let (graph, outcome) = rewritten(&delta_behind(3, |_, _| ()), &[]);
    assert_eq!(outcome.fired, 1);
    let names: Vec<_> = graph.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(names, ["causal_conv1d", "delta_heads"]);
}

#[test]
fn other_gates_are_not_looked_at() {
    let mut g = GraphBuilder::new("swiglu");
    let [a, b] = ["a", "b"].map(|name| g.input(name, ElemType::F32, [2, 4]));
    let a = g.op(Op::Binary(BinaryOp::Add), &[a, b]);
    let y = g.gated(Activation::Silu, a, b);
    g.output("y", y);
    let (_, outcome) = rewritten(&g.finish().unwrap(), &[]);
    assert_eq!(outcome, Outcome::default());
}
