//! Planned graphs compute what the interpreter computes, with the rewrites that should fire firing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
#![allow(dead_code, reason = "a part of what the tests share is enough here")]

mod support;

use mynah_device::{Data, Location, Policy};
use mynah_graph::interp::{self, Env, Tensor64};
use mynah_graph::{
    Activation, Conv1d, ConvTranspose1d, ElemType, Epilogue, Graph, GraphBuilder, Op, Start, StateDecl,
    ValueId, WeightSpec,
};
use mynah_plan::{Executor, MemoryWeights, Options, PlanError, PlanKey, PlanReport, plan_memory};
use mynah_tensor::{DType, HostTensor, Rng, Shape};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use support::Arena;

const KEY: PlanKey = PlanKey { graph: "block", dims: [2, 3, 0, 0] };

/// Random weights, declared as they are made.
#[derive(Default)]
struct Weights {
    memory: MemoryWeights,
    specs: Vec<(WeightSpec, Vec<f32>)>,
}

impl Weights {
    fn add(&mut self, g: &mut GraphBuilder, name: &str, shape: impl Into<Shape>, positive: bool) -> ValueId {
        let shape = shape.into();
        let mut rng = Rng::new(name.len() as u64 * 77 + shape.numel() as u64);
        let values: Vec<f32> = (0..shape.numel())
            .map(|_| rng.normal())
            .map(|x| if positive { x.abs() + 0.1 } else { x })
            .collect();
        let spec = WeightSpec { name: name.to_owned(), shape, dtype: DType::F32 };
        self.memory.insert(name, HostTensor::from_f32(shape, &values).unwrap());
        let id = g.weight(&spec);
        self.specs.push((spec, values));
        id
    }

    fn tensor(&self, spec: &WeightSpec) -> Option<Tensor64> {
        let (_, values) = self.specs.iter().find(|(s, _)| s.name == spec.name)?;
        Some(Tensor64 { shape: spec.shape, data: values.iter().map(|&x| f64::from(x)).collect() })
    }
}

/// A block with everything the rewrites look for: two linears with activation and scaled residual, and a convolution
/// module with batch norm.
fn block(weights: &mut Weights) -> Graph {
    let mut g = GraphBuilder::new("block");
    let x = g.input("x", ElemType::F32, [2, 3, 4]);
    let w1 = weights.add(&mut g, "w1", [8, 4], false);
    let b1 = weights.add(&mut g, "b1", [8], false);
    let w2 = weights.add(&mut g, "w2", [4, 8], false);
    let h = g.linear(x, w1, Some(b1));
    let h = g.silu(h);
    let h = g.linear(h, w2, None);
    let h = g.scale(h, 0.5);
    let x = g.add(x, h);
    let kernel = weights.add(&mut g, "kernel", [4, 1, 3], false);
    let conv = g.depthwise_conv1d(x, kernel, None, [1, 1]);
    let mut operands = vec![conv];
    for name in ["gain", "beta", "mean", "variance"] {
        operands.push(weights.add(&mut g, name, [4], name == "variance"));
    }
    let normed = g.op(Op::BatchNorm { eps: 1e-5 }, &operands);
    let h = g.silu(normed);
    let y = g.add(x, h);
    g.output("y", y);
    g.finish().unwrap()
}

fn input() -> Vec<f32> {
    let mut rng = Rng::new(5);
    (0..24).map(|_| rng.normal()).collect()
}

fn executor(device: Arena, fallback: Option<Arena>, weights: &Weights, options: Options) -> Executor {
    let fallback = fallback.map(|f| Arc::new(f) as Arc<dyn mynah_device::Device>);
    Executor::new(Arc::new(device), fallback, Arc::new(weights.memory.clone()), options).unwrap()
}

fn expected(graph: &Graph, weights: &Weights, x: &[f32]) -> Vec<f64> {
    let shape = graph.shape(graph.inputs()[0]);
    let inputs = vec![Tensor64 { shape, data: x.iter().map(|&v| f64::from(v)).collect() }];
    let lookup = |spec: &WeightSpec| weights.tensor(spec);
    let mut env = Env { inputs, weights: &lookup, slots: vec![], states: vec![] };
    interp::run(graph, &mut env).unwrap().remove(0).data
}

fn assert_close(found: &[f32], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (f, w) in found.iter().zip(wanted) {
        assert!((f64::from(*f) - w).abs() <= 1e-5 * (1.0 + w.abs()), "{f} is not {w}");
    }
}

fn fired(report: &PlanReport, name: &str) -> usize {
    report.rewrites.iter().find(|(n, _)| *n == name).unwrap().1.fired
}

#[test]
fn every_rewrite_fires_and_the_result_stays() {
    let mut weights = Weights::default();
    let graph = block(&mut weights);
    let wanted = expected(&graph, &weights, &input());
    let mut executor = executor(Arena::default(), None, &weights, Options::default());
    let plan = executor.plan(KEY, || Ok::<_, PlanError>(graph)).unwrap();
    executor.run(plan, &[Data::F32(&input())], &[], &[]).unwrap();
    assert_close(executor.output(plan, "y").unwrap(), &wanted);

    let report = executor.report(plan).unwrap();
    assert_eq!(fired(report, "fuse-bias"), 1);
    assert_eq!(fired(report, "fuse-activation"), 2);
    assert_eq!(fired(report, "fuse-scale"), 1);
    assert_eq!(fired(report, "fuse-residual"), 2);
    assert_eq!(fired(report, "fold-batch-norm"), 1);
    // scale, column, kernel, product, minus, bias
    assert_eq!(fired(report, "fold-constants"), 6);
    assert_eq!((report.nodes, report.steps), ([10, 3], 3));
}

#[test]
fn convolutions_over_time_take_up_what_follows_them() {
    let mut weights = Weights::default();
    let mut g = GraphBuilder::new("vocoder");
    let x = g.input("x", ElemType::F32, [2, 3, 4]);
    let [up, up_bias] = [("up", &[4, 6, 4][..]), ("up.bias", &[6])]
        .map(|(name, shape)| weights.add(&mut g, name, Shape::new(shape).unwrap(), false));
    let transpose = ConvTranspose1d { stride: 2, pad: [1, 1], epilogue: Epilogue::default() };
    let x = g.conv_transpose1d(x, up, Some(up_bias), transpose);
    let alpha = weights.add(&mut g, "alpha", [6], true);
    let [first, second] = ["first", "second"].map(|name| weights.add(&mut g, name, [6, 6, 3], false));
    let [first_bias, second_bias] =
        ["first.bias", "second.bias"].map(|name| weights.add(&mut g, name, [6], false));
    let h = g.snake(x, alpha);
    let h = g.conv1d(h, first, Some(first_bias), Conv1d { dilation: 2, ..Conv1d::padded(2, 2) });
    let h = g.unary(Activation::LeakyRelu(0.1), h);
    let h = g.conv1d(h, second, Some(second_bias), Conv1d::padded(2, 0));
    let y = g.add(x, h);
    g.output("y", y);
    let graph = g.finish().unwrap();
    let wanted = expected(&graph, &weights, &input());
    let mut executor = executor(Arena::default(), None, &weights, Options::default());
    let plan = executor.plan(KEY, || Ok::<_, PlanError>(graph)).unwrap();
    executor.run(plan, &[Data::F32(&input())], &[], &[]).unwrap();
    assert_close(executor.output(plan, "y").unwrap(), &wanted);
    let report = executor.report(plan).unwrap();
    let counts = ["fuse-bias", "fuse-activation", "fuse-residual"].map(|name| fired(report, name));
    assert_eq!((counts, report.nodes), ([3, 1, 1], [9, 4]));
}

#[test]
fn a_product_with_two_users_is_left_and_says_why() {
    let mut weights = Weights::default();
    let mut g = GraphBuilder::new("shared");
    let x = g.input("x", ElemType::F32, [2, 4]);
    let w = weights.add(&mut g, "w", [4, 4], false);
    let h = g.matmul(x, w);
    let a = g.relu(h);
    let y = g.add(h, a);
    g.output("y", y);
    let graph = g.finish().unwrap();
    let x = &input()[..8];
    let wanted = expected(&graph, &weights, x);
    let mut executor = executor(Arena::default(), None, &weights, Options::default());
    let plan = executor.plan(KEY, || Ok::<_, PlanError>(graph)).unwrap();
    executor.run(plan, &[Data::F32(x)], &[], &[]).unwrap();
    assert_close(executor.output(plan, "y").unwrap(), &wanted);
    let report = executor.report(plan).unwrap();
    let (_, outcome) = report.rewrites.iter().find(|(n, _)| *n == "fuse-activation").unwrap();
    assert_eq!(outcome.refused, [("relu".to_owned(), "its operand has other users")]);
}

#[test]
fn an_activation_is_not_moved_past_a_scale() {
    let mut weights = Weights::default();
    let mut g = GraphBuilder::new("order");
    let x = g.input("x", ElemType::F32, [2, 4]);
    let w = weights.add(&mut g, "w", [4, 4], false);
    let h = g.matmul(x, w);
    let h = g.scale(h, -2.0);
    let h = g.unary(Activation::Tanh, h);
    g.output("y", h);
    let graph = g.finish().unwrap();
    let x = &input()[..8];
    let wanted = expected(&graph, &weights, x);
    let mut executor = executor(Arena::default(), None, &weights, Options::default());
    let plan = executor.plan(KEY, || Ok::<_, PlanError>(graph)).unwrap();
    executor.run(plan, &[Data::F32(x)], &[], &[]).unwrap();
    assert_close(executor.output(plan, "y").unwrap(), &wanted);
}

#[test]
fn a_long_chain_needs_two_buffers_at_most() {
    let mut weights = Weights::default();
    let mut g = GraphBuilder::new("chain");
    let mut x = g.input("x", ElemType::F32, [16, 16]);
    for i in 0..20 {
        let w = weights.add(&mut g, &format!("w{i}"), [16, 16], false);
        x = g.matmul(x, w);
    }
    g.output("y", x);
    let plan = plan_memory(&g.finish().unwrap(), &Arena::default());
    assert!(plan.arena_bytes <= 2 * 16 * 16 * 4, "{} bytes", plan.arena_bytes);
}

#[test]
fn a_reshape_launches_nothing_and_shares_its_operands_bytes() {
    let mut g = GraphBuilder::new("view");
    let x = g.input("x", ElemType::F32, [2, 8]);
    let view = g.reshape(x, &[4, 4]);
    let y = g.relu(view);
    g.output("x again", x);
    g.output("y", y);
    let plan = plan_memory(&g.finish().unwrap(), &Arena::default());
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.location(x), plan.location(view));
    // `x` is an output, so the activation must not work in place.
    assert_ne!(plan.location(x), plan.location(y));
    assert!(matches!(plan.location(y), Location::Arena { .. }));
}

#[test]
fn slices_that_are_one_stretch_of_memory_lie_in_their_operand() {
    let mut g = GraphBuilder::new("stretches");
    let x = g.input("x", ElemType::F32, [1, 1, 192]);
    let x = g.relu(x);
    let [first, second] = [0, 64].map(|from| g.slice(x, 2, from, 64));
    // Not on a boundary, not whole, and several rows of one.
    let odd = g.slice(x, 2, 3, 64);
    let short = g.slice(x, 2, 128, 9);
    let rows = g.input("rows", ElemType::F32, [2, 128]);
    let columns = g.slice(rows, 1, 64, 64);
    let kept = g.slice(rows, 0, 1, 1);
    let sum = g.add(first, second);
    let sum = g.add(sum, odd);
    for (name, value) in
        [("sum", sum), ("second", second), ("short", short), ("columns", columns), ("kept", kept)]
    {
        g.output(name, value);
    }
    let graph = g.finish().unwrap();
    let plan = plan_memory(&graph, &Arena::default());
    let at = |value| match plan.location(value) {
        Location::Arena { offset, bytes } => (offset, bytes),
        other => panic!("{other:?}"),
    };
    assert_eq!(at(first), (at(x).0, 256));
    assert_eq!(at(second), (at(x).0 + 256, 256));
    assert_eq!(at(kept), (at(rows).0 + 512, 512));
    let inside = |value, whole| at(value).0 >= at(whole).0 && at(value).0 < at(whole).0 + at(whole).1;
    assert!(!inside(odd, x) && !inside(short, x) && !inside(columns, rows));
    // The second slice is an output: nothing may be written over it.
    assert!(!inside(sum, x));
    assert_eq!(plan.steps.len(), 6, "an activation, three slices, two sums");
}

#[test]
fn a_missing_op_cuts_the_graph_and_strict_refuses() {
    let mut weights = Weights::default();
    let graph = block(&mut weights);
    let wanted = expected(&graph, &weights, &input());
    let lacking = || Arena { missing: vec!["depthwise_conv1d"], ..Arena::default() };
    let mut cut = executor(lacking(), Some(Arena::default()), &weights, Options::default());
    let plan = cut.plan(KEY, || Ok::<_, PlanError>(graph.clone())).unwrap();
    cut.run(plan, &[Data::F32(&input())], &[], &[]).unwrap();
    assert_close(cut.output(plan, "y").unwrap(), &wanted);
    let placement = &cut.report(plan).unwrap().placement;
    assert_eq!(placement.segments, [(0..2, false), (2..3, true)]);
    assert_eq!(placement.missing[0].1.to_string(), "depthwise_conv1d: not built");

    let strict = Options { strict: true, ..Options::default() };
    let mut refusing = executor(lacking(), Some(Arena::default()), &weights, strict);
    let error = refusing.plan(KEY, || Ok::<_, PlanError>(graph.clone())).unwrap_err();
    assert!(matches!(error, PlanError::Strict { .. }), "{error}");
    let mut alone = executor(lacking(), None, &weights, Options::default());
    assert!(alone.plan(KEY, || Ok::<_, PlanError>(graph)).is_err());
}

#[test]
fn plans_are_built_once_per_key_and_the_oldest_goes() {
    let mut weights = Weights::default();
    let graph = block(&mut weights);
    let device = Arena::default();
    let compiled = Arc::clone(&device.compiled);
    let options = Options { max_plans: 2, ..Options::default() };
    let mut executor = executor(device, None, &weights, options);
    let mut plan = |n: usize| {
        let key = PlanKey { graph: "block", dims: [n, 0, 0, 0] };
        executor.plan(key, || Ok::<_, PlanError>(graph.clone())).unwrap()
    };
    let first = plan(1);
    assert_eq!(plan(1), first);
    plan(2);
    plan(1);
    plan(3);
    assert_eq!(compiled.load(Ordering::Relaxed), 3);
    assert_eq!(plan(1), first);
    plan(2);
    assert_eq!(compiled.load(Ordering::Relaxed), 4);
}

/// A delay line: appends each input row at a slot and gives back the row another slot names.
fn delay_line() -> Graph {
    let mut g = GraphBuilder::new("delay");
    let x = g.input("x", ElemType::F32, [1, 2]);
    let rows = g.input("rows", ElemType::I32, [1]);
    let state = g.state("line", [2]);
    let at = g.slot("at");
    g.op(Op::StateAppend { state, at }, &[x]);
    let y = g.op(Op::StateGather(state), &[rows]);
    g.output("y", y);
    g.finish().unwrap()
}

#[test]
fn slots_and_states_change_between_replays_of_one_plan() {
    let weights = Weights::default();
    let mut executor = executor(Arena::default(), None, &weights, Options::default());
    let plan = executor.plan(KEY, || Ok::<_, PlanError>(delay_line())).unwrap();
    let line = executor.create_state(&StateDecl::new("line", [2]), 3).unwrap();
    let mut step = |x: [f32; 2], at: i64, row: i32| {
        executor
            .run(plan, &[Data::F32(&x), Data::I32(&[row])], &[at], &[line])
            .map(|()| executor.output(plan, "y").unwrap().to_vec())
    };
    assert_eq!(step([1.0, 2.0], 0, 0).unwrap(), [1.0, 2.0]);
    assert_eq!(step([3.0, 4.0], 2, 0).unwrap(), [1.0, 2.0]);
    assert_eq!(step([5.0, 6.0], 1, 2).unwrap(), [3.0, 4.0]);
    assert!(step([5.0, 6.0], 3, 2).is_err(), "row 3 is past the end");
    let saved = executor.snapshot(line).unwrap();
    assert_eq!(saved, [1.0, 2.0, 5.0, 6.0, 3.0, 4.0]);
    executor.restore(line, &[0.0; 6]).unwrap();
    assert_eq!(executor.snapshot(line).unwrap(), [0.0; 6]);
    executor.grow_state(line, 4).unwrap();
    executor.run(plan, &[Data::F32(&[5.0, 6.0]), Data::I32(&[3])], &[3], &[line]).unwrap();
    assert_eq!(executor.snapshot(line).unwrap(), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 6.0]);
}

#[test]
fn a_slice_can_start_at_a_slot() {
    let mut g = GraphBuilder::new("slice");
    let x = g.input("x", ElemType::F32, [3, 2]);
    let slot = g.slot("start");
    let y = g.op(Op::Slice { axis: 0, start: Start::Slot(slot), len: 1 }, &[x]);
    g.output("y", y);
    let graph = g.finish().unwrap();
    let mut executor = executor(Arena::default(), None, &Weights::default(), Options::default());
    let plan = executor.plan(KEY, || Ok::<_, PlanError>(graph)).unwrap();
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    for start in 0..3 {
        executor.run(plan, &[Data::F32(&x)], &[start], &[]).unwrap();
        assert_eq!(executor.output(plan, "y").unwrap(), &x[start as usize * 2..][..2]);
    }
}

#[test]
fn a_fork_shares_weights_but_not_states() {
    let mut weights = Weights::default();
    let graph = block(&mut weights);
    let wanted = expected(&graph, &weights, &input());
    let mut first =
        executor(Arena::default(), None, &weights, Options { policy: Policy::exact(), ..Options::default() });
    let plan = first.plan(KEY, || Ok::<_, PlanError>(graph.clone())).unwrap();
    first.run(plan, &[Data::F32(&input())], &[], &[]).unwrap();
    let mut second = first.fork().unwrap();
    let plan = second.plan(KEY, || Ok::<_, PlanError>(graph)).unwrap();
    second.run(plan, &[Data::F32(&input())], &[], &[]).unwrap();
    assert_close(second.output(plan, "y").unwrap(), &wanted);
    let decl = StateDecl::new("line", [2]);
    let state = second.create_state(&decl, 1).unwrap();
    assert!(first.snapshot(state).is_err());
}

#[test]
fn dumps_name_every_fusion() {
    let mut weights = Weights::default();
    let graph = block(&mut weights);
    let mut executor = executor(Arena::default(), None, &weights, Options::default());
    let plan = executor.plan(KEY, || Ok::<_, PlanError>(graph)).unwrap();
    let plans = executor.plans(plan).unwrap();
    let steps = mynah_plan::dump_steps(plans[0]);
    assert_eq!(steps.lines().count(), 3, "{steps}");
    let text = mynah_plan::dump_plan(plans[0]);
    assert!(text.contains("matmul<+bias +silu>"), "{text}");
    assert!(text.contains("matmul<*0.5 +residual>"), "{text}");
    assert!(text.contains("depthwise_conv1d<pad=[1, 1] +bias +silu +residual>"), "{text}");
}

/// A graph that adds `len` rows of a weight table to its input.
fn table_rows(weights: &mut Weights, len: usize, start: Option<&str>) -> Graph {
    let mut g = GraphBuilder::new("rows");
    let x = g.input("x", ElemType::F32, [len, 2]);
    let table = weights.add(&mut g, "table", [4, 2], false);
    let start = start.map_or(Start::Fixed(0), |name| Start::Slot(g.slot(name)));
    let rows = g.op(Op::Slice { axis: 0, start, len }, &[table]);
    let y = g.add(x, rows);
    g.output("y", y);
    g.finish().unwrap()
}

#[test]
fn plans_of_other_shapes_fold_their_own_constants() {
    let mut weights = Weights::default();
    let graphs = [2, 4].map(|len| table_rows(&mut weights, len, None));
    let mut executor = executor(Arena::default(), None, &weights, Options::default());
    for (len, graph) in [2usize, 4].into_iter().zip(graphs) {
        let x = &input()[..2 * len];
        let wanted = expected(&graph, &weights, x);
        let key = PlanKey { graph: "rows", dims: [len, 0, 0, 0] };
        let plan = executor.plan(key, || Ok::<_, PlanError>(graph)).unwrap();
        executor.run(plan, &[Data::F32(x)], &[], &[]).unwrap();
        assert_close(executor.output(plan, "y").unwrap(), &wanted);
        assert_eq!(fired(executor.report(plan).unwrap(), "fold-constants"), 1);
    }
}

#[test]
fn what_a_slot_decides_and_what_the_caller_reads_is_not_folded() {
    let mut weights = Weights::default();
    let graph = table_rows(&mut weights, 1, Some("at"));
    let mut executor = executor(Arena::default(), None, &weights, Options::default());
    let plan = executor.plan(KEY, || Ok::<_, PlanError>(graph)).unwrap();
    let table = weights.specs[0].1.clone();
    for at in 0..4 {
        executor.run(plan, &[Data::F32(&[0.0, 0.0])], &[at], &[]).unwrap();
        assert_eq!(executor.output(plan, "y").unwrap(), &table[at as usize * 2..][..2]);
    }

    let mut g = GraphBuilder::new("constant");
    let table = weights.add(&mut g, "table", [4, 2], false);
    let y = g.relu(table);
    g.output("y", y);
    let graph = g.finish().unwrap();
    let key = PlanKey { graph: "constant", dims: [0; 4] };
    let plan = executor.plan(key, || Ok::<_, PlanError>(graph)).unwrap();
    executor.run(plan, &[], &[], &[]).unwrap();
    assert!(executor.output(plan, "y").unwrap().iter().all(|x| *x >= 0.0));
}

/// Adds a weighted input to a running sum; what lies between is larger than the input, so that its place would be taken.
fn running_sum(weights: &mut Weights, repeatable: bool) -> Graph {
    let mut g = GraphBuilder::new("sum");
    if repeatable {
        g.repeatable();
    }
    let x = g.input("x", ElemType::F32, [1, 4]);
    let rows = g.input("rows", ElemType::I32, [1]);
    let state = g.state("sum", [4]);
    let w = weights.add(&mut g, "w", [4, 4], false);
    let bent = g.silu(x);
    let wide = g.op(Op::Concat { axis: 0 }, &[bent, bent]);
    let wide = g.unary(Activation::Tanh, wide);
    let part = g.slice(wide, 0, 1, 1);
    let part = g.matmul(part, w);
    let sum = g.op(Op::StateGather(state), &[rows]);
    let sum = g.add(sum, part);
    let sum = g.op(Op::StateScatter(state), &[rows, sum]);
    g.output("sum", sum);
    g.finish().unwrap()
}

#[test]
fn a_repeated_run_is_as_many_runs() {
    let x = [0.5, -1.0, 2.0, 0.25];
    let sum = |missing: Vec<&'static str>, runs: usize, repeats: usize| {
        let mut weights = Weights::default();
        let graph = running_sum(&mut weights, true);
        let device = Arena { missing, ..Arena::default() };
        let mut executor = executor(device, Some(Arena::default()), &weights, Options::default());
        let plan = executor.plan(KEY, || Ok::<_, PlanError>(graph)).unwrap();
        let state = executor.create_state(&StateDecl::new("sum", [4]), 2).unwrap();
        for _ in 0..runs {
            executor.run_repeatedly(plan, &[Data::F32(&x), Data::I32(&[1])], &[], &[state], repeats).unwrap();
        }
        let output = executor.output(plan, "sum").unwrap().to_vec();
        assert_eq!(output, executor.snapshot(state).unwrap()[4..]);
        output
    };
    let five = sum(vec![], 5, 0);
    assert!(five.iter().all(|v| v.is_finite() && *v != 0.0));
    assert_eq!(sum(vec![], 1, 4), five);
    assert_eq!(sum(vec!["tanh", "matmul"], 1, 4), five, "cut in parts");
    assert_eq!(sum(vec![], 2, 1), sum(vec![], 4, 0));
}

#[test]
fn only_a_repeatable_graph_repeats_and_keeps_its_inputs() {
    let mut weights = Weights::default();
    let graph = running_sum(&mut weights, false);
    for missing in [vec![], vec!["tanh"]] {
        let device = Arena { missing, ..Arena::default() };
        let mut executor = executor(device, Some(Arena::default()), &weights, Options::default());
        let plan = executor.plan(KEY, || Ok::<_, PlanError>(graph.clone())).unwrap();
        let state = executor.create_state(&StateDecl::new("sum", [4]), 2).unwrap();
        let inputs = [Data::F32(&[0.0; 4]), Data::I32(&[0])];
        let error = executor.run_repeatedly(plan, &inputs, &[], &[state], 1).unwrap_err().to_string();
        assert!(error.contains("not repeatable"), "{error}");
        executor.run_repeatedly(plan, &inputs, &[], &[state], 0).unwrap();
    }
    let bytes = |repeatable| {
        plan_memory(&running_sum(&mut Weights::default(), repeatable), &Arena::default()).arena_bytes
    };
    assert!(bytes(true) > bytes(false), "an input's place is not given away");
}
