//! A norm or a gated unit becomes part of the products that read it, where the device has that and nothing else reads it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
#![allow(dead_code, reason = "a part of what the tests share is enough here")]

mod support;

use mynah_graph::interp::{self, Env, Tensor64};
use mynah_graph::{Activation, ElemType, Graph, GraphBuilder, Op, ValueId, WeightSpec};
use mynah_plan::rewrite::Outcome;
use mynah_tensor::{DType, Rng, Shape};

fn weight(g: &mut GraphBuilder, name: &str, shape: impl Into<Shape>) -> ValueId {
    g.weight(&WeightSpec { name: name.to_owned(), shape: shape.into(), dtype: DType::F32 })
}

/// Two rows of 6 through `before`, then through two products, the first with a residual, the second with a bias; `change` may read more.
fn layer(
    before: impl Fn(&mut GraphBuilder, ValueId) -> ValueId,
    change: impl Fn(&mut GraphBuilder, ValueId),
) -> Graph {
    let mut g = GraphBuilder::new("layer");
    let x = g.input("x", ElemType::F32, [2, 6]);
    let value = before(&mut g, x);
    let (w0, w1, bias) =
        (weight(&mut g, "w0", [6, 6]), weight(&mut g, "w10", [3, 6]), weight(&mut g, "b", [3]));
    let y0 = g.matmul(value, w0);
    let y0 = g.add(y0, x);
    let y1 = g.matmul(value, w1);
    let y1 = g.add(y1, bias);
    change(&mut g, value);
    g.output("y0", y0);
    g.output("y1", y1);
    g.finish().unwrap()
}

fn rms(g: &mut GraphBuilder, x: ValueId) -> ValueId {
    let gain = weight(g, "gain", [6]);
    g.rms_norm(x, gain, 0.5)
}

fn layer_norm(g: &mut GraphBuilder, x: ValueId) -> ValueId {
    let (gain, bias) = (weight(g, "gain", [6]), weight(g, "shift", [6]));
    g.op(Op::LayerNorm { eps: 0.5 }, &[x, gain, bias])
}

fn gated(g: &mut GraphBuilder, x: ValueId) -> ValueId {
    let by = g.input("by", ElemType::F32, [2, 6]);
    g.gated(Activation::Silu, x, by)
}

fn rewritten(graph: &Graph, missing: &[&'static str]) -> (Graph, Outcome) {
    support::rewritten(graph, missing, "fuse-prologue")
}

fn run(graph: &Graph) -> Vec<Tensor64> {
    let mut rng = Rng::new(3);
    let mut normal = |shape: Shape| {
        Tensor64::new(shape, (0..shape.numel()).map(|_| f64::from(rng.normal())).collect()).unwrap()
    };
    let inputs = graph.inputs().iter().map(|&id| normal(graph.shape(id))).collect();
    let weights = |spec: &WeightSpec| {
        let mut rng = Rng::new(spec.name.len() as u64);
        let data = (0..spec.shape.numel()).map(|_| f64::from(rng.normal())).collect();
        Some(Tensor64::new(spec.shape, data).unwrap())
    };
    interp::run(graph, &mut Env { inputs, weights: &weights, slots: vec![], states: vec![] }).unwrap()
}

#[test]
fn both_products_take_it_with_the_same_meaning() {
    type Before = fn(&mut GraphBuilder, ValueId) -> ValueId;
    let all: [(Before, &str); 3] =
        [(rms, "rms_norm_matmul"), (layer_norm, "layer_norm_matmul"), (gated, "gated_matmul")];
    for (before, name) in all {
        let graph = layer(before, |_, _| ());
        let (one, outcome) = rewritten(&graph, &[]);
        assert_eq!(outcome.fired, 1, "{outcome:?}");
        let names: Vec<_> = one.nodes().iter().map(|node| node.op.name()).collect();
        assert_eq!(names, [name, name]);
        assert!(run(&one) == run(&graph), "{name} computes something else");
        let (left, outcome) = rewritten(&graph, &[name]);
        assert_eq!(left.nodes().len(), 3, "with the epilogues fused");
        assert_eq!(outcome.refused[0].1, "the device has no kernel for both at once");
    }
}

#[test]
fn what_something_else_reads_is_left() {
    let reason = |graph: &Graph| {
        let (_, outcome) = rewritten(graph, &[]);
        assert_eq!(outcome.fired, 0);
        outcome.refused[0].1
    };
    let given = layer(rms, |g, value| g.output("normed", value));
    assert_eq!(reason(&given), "something other than a product reads it");
    let read = layer(gated, |g, value| {
        let other = g.relu(value);
        g.output("other", other);
    });
    assert_eq!(reason(&read), "something other than a product reads it");
    // As the factor on the right it is no operand of rows.
    let right = layer(rms, |g, value| {
        let x = g.input("z", ElemType::F32, [5, 6]);
        let y = g.matmul(x, value);
        g.output("right", y);
    });
    assert_eq!(reason(&right), "something other than a product reads it");
}
