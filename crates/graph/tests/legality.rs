//! What the builder keeps together, what `Graph::check` refuses after a faulty rewrite, and what `drop_dead` removes.

#![allow(clippy::unwrap_used)] // helpers of tests, where a panic is a failure

use mynah_graph::{
    Activation, ElemType, Epilogue, Graph, GraphBuilder, GraphError, NodeId, Op, ValueId, WeightSpec,
};
use mynah_tensor::DType;

fn weight(name: &str, shape: [usize; 2]) -> WeightSpec {
    WeightSpec { name: name.into(), shape: shape.into(), dtype: DType::F16 }
}

/// `relu(x·wᵀ)` beside a branch `silu(x)`, whose result is written to a state or is dead.
fn graph(writes_state: bool) -> Graph {
    let mut b = GraphBuilder::new("test");
    let x = b.input("x", ElemType::F32, [2, 3]);
    let w = b.weight(&weight("w", [4, 3]));
    let product = b.matmul(x, w);
    let branch = b.silu(x);
    if writes_state {
        let state = b.state("s", [3]);
        let at = b.slot("at");
        b.op(Op::StateAppend { state, at }, &[branch]);
    }
    let y = b.relu(product);
    b.output("y", y);
    b.finish().unwrap()
}

#[test]
fn the_first_error_is_reported() {
    let mut b = GraphBuilder::new("test");
    let x = b.input("x", ElemType::F32, [2, 3]);
    let odd = b.glu(x);
    b.layer_norm(odd, x, x, 1e-5);
    let error = b.finish().unwrap_err();
    assert!(matches!(error, GraphError::Shape { op: "glu", .. }), "{error}");
}

#[test]
fn one_name_is_one_weight_and_one_state() {
    let mut b = GraphBuilder::new("test");
    assert_eq!(b.weight(&weight("w", [4, 3])), b.weight(&weight("w", [4, 3])));
    assert_eq!(b.state("s", [3]), b.state("s", [3]));
    assert_eq!(b.slot("at"), b.slot("at"));
    assert!(b.finish().is_ok());

    let mut b = GraphBuilder::new("test");
    b.weight(&weight("w", [4, 3]));
    b.weight(&weight("w", [3, 4]));
    assert_eq!(b.finish().unwrap_err(), GraphError::Redeclared { kind: "weight", name: "w".into() });

    let mut b = GraphBuilder::new("test");
    b.state("s", [3]);
    b.state("s", [4]);
    assert_eq!(b.finish().unwrap_err(), GraphError::Redeclared { kind: "state", name: "s".into() });
}

#[test]
fn names_of_values_are_unique_and_carry_their_scope() {
    let mut b = GraphBuilder::new("test");
    let x = b.input("x", ElemType::F32, [2, 4]);
    let (first, second) = b.scope("layer", |b| {
        let first = b.scope("ff", |b| b.relu(x));
        (first, b.scope("ff", |b| b.relu(first)))
    });
    let third = b.relu(second);
    b.output("y", third);
    let graph = b.finish().unwrap();
    let names = [first, second, third].map(|v| graph.value(v).name.as_str());
    assert_eq!(names, ["layer.ff.relu", "layer.ff.relu#2", "relu"]);
}

#[test]
fn a_rewrite_that_changes_a_shape_is_caught() {
    let mut g = graph(false);
    let x = g.inputs()[0];
    g.replace(NodeId(2), Op::Unary(Activation::Relu), vec![x]);
    let error = g.check().unwrap_err();
    assert_eq!(
        error,
        GraphError::WrongShape { value: "relu".into(), found: [2, 4].into(), rule: [2, 3].into() }
    );
    assert_eq!(error.to_string(), "value 'relu' is recorded as [2, 4], its op gives [2, 3]");
}

#[test]
fn a_rewrite_that_uses_a_later_value_is_caught() {
    let mut g = graph(false);
    let relu = g.nodes()[2].output;
    let silu = g.nodes()[1].clone();
    g.replace(NodeId(1), silu.op, vec![relu]);
    assert_eq!(g.check().unwrap_err(), GraphError::NotComputed { node: "silu".into(), operand: relu.0 });
    g.replace(NodeId(1), Op::Glu, vec![ValueId(99)]);
    assert_eq!(g.check().unwrap_err(), GraphError::NotComputed { node: "silu".into(), operand: 99 });
}

#[test]
fn a_rewrite_with_operands_too_few_is_caught() {
    let mut g = graph(false);
    let n = g.nodes()[0].clone();
    g.replace(NodeId(0), Op::MatMul(Epilogue { bias: true, ..Epilogue::default() }), n.inputs);
    let error = g.check().unwrap_err();
    assert_eq!(error, GraphError::Operands { op: "matmul", wanted: 3, found: 2 });
}

#[test]
fn a_weight_must_have_the_shape_of_its_value() {
    let mut g = graph(false);
    assert!(g.check().is_ok());
    g.make_weight(NodeId(0), weight("folded", [4, 2]));
    assert_eq!(g.check().unwrap_err(), GraphError::Redeclared { kind: "weight", name: "matmul".into() });
}

#[test]
fn an_output_nothing_computes_is_caught() {
    let mut g = graph(false);
    g.add_output("extra", g.nodes()[1].output);
    assert!(g.check().is_ok());
    g.add_output("ghost", ValueId(77));
    assert_eq!(g.check().unwrap_err(), GraphError::NotComputed { node: "ghost".into(), operand: 77 });
}

#[test]
fn inserted_nodes_are_shaped_by_their_rule() {
    let mut g = graph(false);
    let product = g.nodes()[0].output;
    let scaled = g.insert_before(NodeId(2), "scaled", Op::Scale(2.0), vec![product]).unwrap();
    g.replace(NodeId(3), Op::Unary(Activation::Relu), vec![scaled]);
    g.check().unwrap();
    assert_eq!(g.shape(scaled).dims(), [2, 4]);
    assert_eq!(g.producer(scaled), Some(NodeId(2)));
    assert_eq!(g.use_counts()[scaled.0 as usize], 1);
    let before = g.clone();
    assert!(g.insert_before(NodeId(2), "bad", Op::Permute(vec![0]), vec![scaled]).is_err());
    assert_eq!(g, before);
}

#[test]
fn dead_nodes_go_and_effects_stay() {
    let mut g = graph(false);
    assert_eq!(g.drop_dead(), 1);
    let names: Vec<&str> = g.nodes().iter().map(|n| n.op.name()).collect();
    assert_eq!(names, ["matmul", "relu"]);
    assert_eq!(g.drop_dead(), 0);
    g.check().unwrap();

    let mut g = graph(true);
    assert_eq!(g.drop_dead(), 0);
    assert_eq!(g.nodes().len(), 4);
}

#[test]
fn a_chain_nobody_uses_goes_as_a_whole() {
    let mut b = GraphBuilder::new("test");
    let x = b.input("x", ElemType::F32, [2, 4]);
    let a = b.relu(x);
    let c = b.silu(a);
    b.scale(c, 2.0);
    b.output("y", a);
    let mut g = b.finish().unwrap();
    assert_eq!(g.drop_dead(), 2);
    assert_eq!(g.nodes().len(), 1);
}
