//! Kernels stay within their operands: every case of the suite runs in an arena full of markers, with room around each value
//! that bindings cover too.
//!
//! Afterwards nothing but the outputs may have changed, and they must be what they are without the markers, which are no numbers:
//! a kernel that reads beside its operands gives itself away. Row numbers that a kernel computed are the other way to leave a
//! tensor; bad ones must come back as errors and leave everything else alone.
//!
//! Without an adapter the tests say so and pass; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

mod altered;

use altered::{Altered, ROOM};
use mynah_device::{
    Data, Device, DeviceError, Location, Plan, Policy, RunArgs, Session, WeightSource, weight_use,
};
use mynah_gpu::{GpuDevice, WgpuBackend, list};
use mynah_graph::{
    Activation, ElemType, ExpertGateUp, ExpertWeights, Graph, GraphBuilder, Op, RouterScore, Start, ValueId,
    ValueSource, WeightSpec,
};
use mynah_lab::{Arguments, Elements, Expect, OpCase, Program, cases, generated, naive_plan};
use mynah_plan::MemoryWeights;
use mynah_tensor::{DType, HostTensor, Shape};
use std::collections::HashMap;

/// What the arena's word `i` holds before a run: no number, and another one in every place, since sums with one of them often
/// are that one again.
fn marker(i: usize) -> u32 {
    0x7fc0_0000 | (i as u32 & 0x1f_ffff)
}
/// Kernels access whole vectors of so many bytes, which may reach past the end of a value.
const VECTOR: usize = 16;

fn adapters() -> Vec<GpuDevice<Altered<WgpuBackend>>> {
    let found: Vec<_> = list()
        .into_iter()
        .map(|info| GpuDevice::new(Altered::roomy(WgpuBackend::open(info.choice).unwrap())))
        .collect();
    if found.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
    }
    found
}

/// A graph's plan with room around every value; its first input and last output is the whole arena.
struct Marked {
    plan: Plan,
    /// Words of the arena.
    words: usize,
    /// First byte and length of what nodes may write.
    written: Vec<(usize, usize)>,
}

impl Marked {
    fn of(graph: &Graph) -> Self {
        let naive = naive_plan(graph);
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut end = ROOM;
        let mut spread = |location: Location| match location {
            Location::Arena { offset, bytes } => {
                let first = *places.entry(offset).or_insert_with(|| {
                    let first = end;
                    end += bytes + ROOM;
                    first
                });
                Location::Arena { offset: first, bytes }
            }
            other => other,
        };
        let old: Vec<Location> = naive.locations.iter().map(|&location| spread(location)).collect();
        let words = end / 4;
        let mut b = GraphBuilder::new(graph.name.clone());
        let arena = b.input("arena", ElemType::I32, [words]);
        let mut ids: HashMap<ValueId, ValueId> = HashMap::new();
        for &id in graph.inputs() {
            let value = graph.value(id);
            ids.insert(id, b.input(&value.name, value.elem, value.shape));
        }
        for decl in graph.states() {
            b.declare(decl);
        }
        for slot in graph.slots() {
            b.slot(slot);
        }
        for node in graph.nodes() {
            let mut operand = |id: &ValueId| match graph.weight(*id) {
                Some(spec) => *ids.entry(*id).or_insert_with(|| b.weight(spec)),
                None => ids[id],
            };
            let operands: Vec<ValueId> = node.inputs.iter().map(&mut operand).collect();
            ids.insert(node.output, b.op(node.op.clone(), &operands));
        }
        graph.outputs().iter().for_each(|(name, id)| b.output(name, ids[id]));
        b.output("arena", arena);
        let new = b.finish().unwrap();
        let mut locations = vec![Location::Unused; new.values().len()];
        locations[arena.0 as usize] = Location::Arena { offset: 0, bytes: end };
        let mut written = Vec::new();
        for (from, to) in &ids {
            locations[to.0 as usize] = old[from.0 as usize];
            if let (Location::Arena { offset, .. }, ValueSource::Node) =
                (old[from.0 as usize], &graph.value(*from).source)
            {
                let bytes = 4 * graph.shape(*from).numel();
                written.push((offset, bytes.next_multiple_of(VECTOR)));
            }
        }
        Self { plan: Plan { graph: new, locations, steps: naive.steps, arena_bytes: end }, words, written }
    }

    /// Asserts that words outside of what nodes write are the markers still, and inputs what they were.
    fn assert_kept(&self, name: &str, arena: &[u32], inputs: &[Elements]) {
        let mut free = vec![true; self.words];
        for (offset, bytes) in &self.written {
            free[offset / 4..(offset + bytes) / 4].fill(false);
        }
        let mut wanted: Vec<u32> = (0..self.words).map(marker).collect();
        for (id, data) in self.plan.graph.inputs().iter().skip(1).zip(inputs) {
            if let Location::Arena { offset, .. } = self.plan.location(*id) {
                let bits = data.bits();
                wanted[offset / 4..offset / 4 + bits.len()].copy_from_slice(&bits);
            }
        }
        let found = (0..self.words).find(|&i| free[i] && arena[i] != wanted[i]);
        assert!(
            found.is_none(),
            "{name} wrote word {found:?} of the arena; nodes may write {:?}",
            self.written
        );
    }
}

fn prepare(session: &mut dyn Session, graph: &Graph, weights: &dyn WeightSource) {
    for node in graph.nodes() {
        for (operand, id) in node.inputs.iter().enumerate() {
            if let Some(spec) = graph.weight(*id) {
                session.prepare(&weights.read(&spec.name).unwrap(), weight_use(node, operand)).unwrap();
            }
        }
    }
}

/// The words of each output.
type Outputs = Vec<Vec<u32>>;

/// Runs a marked plan: the words of the outputs, the arena last, or the error; and in any case what the states hold.
fn run_marked(
    device: &dyn Device,
    policy: &Policy,
    marked: &Marked,
    weights: &dyn WeightSource,
    arguments: &Arguments,
) -> (Result<Outputs, DeviceError>, Vec<Vec<f32>>) {
    let graph = &marked.plan.graph;
    let mut session = device.open(policy).unwrap();
    prepare(session.as_mut(), graph, weights);
    let program = session.compile(&marked.plan).unwrap();
    let mut states = Vec::new();
    for (decl, contents) in graph.states().iter().zip(&arguments.states) {
        let state = session.create_state(decl, contents.len() / decl.row.numel()).unwrap();
        session.restore(state, contents).unwrap();
        states.push(state);
    }
    let arena: Vec<i32> = (0..marked.words).map(|i| marker(i).cast_signed()).collect();
    let mut inputs = vec![Data::I32(&arena)];
    inputs.extend(arguments.inputs.iter().map(Elements::data));
    let args = RunArgs { inputs: &inputs, slots: &arguments.slots, states: &states, repeats: 0 };
    let mut outputs = Vec::new();
    let mut result = session.run(program, &args);
    for (index, (_, id)) in graph.outputs().iter().enumerate() {
        let found = match graph.value(*id).elem {
            ElemType::F32 => {
                session.output_f32(program, index).map(|v| v.iter().map(|x| x.to_bits()).collect())
            }
            ElemType::I32 => {
                session.output_i32(program, index).map(|v| v.iter().map(|x| x.cast_unsigned()).collect())
            }
        };
        match found {
            Ok(words) => outputs.push(words),
            Err(e) => result = result.and(Err(e)),
        }
    }
    let states = states.into_iter().map(|s| session.snapshot(s).unwrap()).collect();
    (result.map(|()| outputs), states)
}

fn check(device: &dyn Device, policy: &Policy, case: &OpCase) {
    let marked = Marked::of(&case.graph);
    let (outputs, states) = run_marked(device, policy, &marked, case.weights.as_ref(), &case.arguments);
    let mut outputs = outputs.unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let arena = outputs.pop().unwrap();
    marked.assert_kept(&case.name, &arena, &case.arguments.inputs);
    let mut program = Program::new(&case.graph, case.weights.as_ref(), device, policy).unwrap();
    let plain = program.run(&case.arguments).unwrap();
    let plain_outputs: Vec<_> = plain.outputs.iter().map(Elements::bits).collect();
    assert!(outputs == plain_outputs && states == plain.states, "{} reads beside its operands", case.name);
}

#[test]
fn kernels_stay_within_their_operands() {
    let mut suite = cases().unwrap();
    suite.extend(generated(11, 60).unwrap());
    if let Ok(op) = std::env::var("MYNAH_GPU_OP") {
        suite.retain(|case| case.op == op);
    }
    for device in adapters() {
        for policy in [Policy::exact(), Policy::default()] {
            // What can't be run fails the op suite.
            let runs =
                |c: &&OpCase| c.graph.nodes().iter().all(|node| device.supports(&c.graph, node).is_ok());
            for case in suite.iter().filter(|c| c.expect == Expect::Values).filter(runs) {
                check(&device, &policy, case);
            }
        }
    }
}

/// A graph in which a kernel computes the numbers that the last op reads: a slice of an input, which no host check sees through.
struct Computed {
    b: GraphBuilder,
    arguments: Arguments,
    numbers: ValueId,
}

impl Computed {
    /// `numbers` after one that is skipped.
    fn new(numbers: &[i32]) -> Self {
        let mut b = GraphBuilder::new("computed numbers");
        let given = b.input("numbers", ElemType::I32, [numbers.len() + 1]);
        let slice = Op::Slice { axis: 0, start: Start::Fixed(1), len: numbers.len() };
        let numbers_ = b.op(slice, &[given]);
        let inputs = vec![Elements::I32([&[0], numbers].concat())];
        Self { b, arguments: Arguments { inputs, ..Arguments::default() }, numbers: numbers_ }
    }

    fn value(&mut self, shape: &[usize]) -> ValueId {
        let shape = Shape::new(shape).unwrap();
        self.arguments.inputs.push(Elements::F32((0..shape.numel()).map(|i| 0.5 + i as f32).collect()));
        self.b.input("value", ElemType::F32, shape)
    }

    /// Runs, wants an error for a number out of range, and gives back what the states hold.
    fn refused(
        mut self,
        device: &dyn Device,
        weights: &MemoryWeights,
        output: ValueId,
        bad: i32,
    ) -> Vec<Vec<f32>> {
        self.b.output("y", output);
        let marked = Marked::of(&self.b.finish().unwrap());
        let (outputs, states) = run_marked(device, &Policy::exact(), &marked, weights, &self.arguments);
        let last = marked.plan.graph.nodes().last().map(|node| node.output).unwrap();
        match outputs {
            Err(DeviceError::OutOfRange { node, found, .. }) => {
                let wanted = (marked.plan.graph.value(last).name.as_str(), i64::from(bad));
                assert_eq!((node.as_str(), found), wanted);
            }
            Err(other) => panic!("{bad} is refused with {other}"),
            Ok(_) => panic!("{bad} is taken"),
        }
        states
    }
}

const ROWS: usize = 3;
const WIDTH: usize = 5;

fn contents() -> Vec<f32> {
    (0..ROWS * WIDTH).map(|i| -1.0 - i as f32).collect()
}

#[test]
fn computed_row_numbers_of_states_are_guarded() {
    for device in adapters() {
        for bad in [3, -1, i32::MAX, i32::MIN] {
            for scatter in [false, true] {
                let mut c = Computed::new(&[1, bad]);
                let state = c.b.state("state", [WIDTH]);
                c.arguments.states.push(contents());
                let value = c.value(&[2, WIDTH]);
                let y = match scatter {
                    false => c.b.op(Op::StateGather(state), &[c.numbers]),
                    true => c.b.op(Op::StateScatter(state), &[c.numbers, value]),
                };
                let states = c.refused(&device, &MemoryWeights::default(), y, bad);
                // The good row was written, if any; no other.
                let mut wanted = contents();
                if scatter {
                    wanted[WIDTH..2 * WIDTH].iter_mut().enumerate().for_each(|(i, v)| *v = 0.5 + i as f32);
                }
                assert_eq!(states, [wanted], "{bad}");
            }
        }
        let mut c = Computed::new(&[2, 0, 2]);
        let state = c.b.state("state", [WIDTH]);
        c.arguments.states.push(contents());
        let value = c.value(&[3, WIDTH]);
        let y = c.b.op(Op::StateScatter(state), &[c.numbers, value]);
        c.refused(&device, &MemoryWeights::default(), y, 2);
    }
}

#[test]
fn computed_lengths_and_ids_are_guarded() {
    let table: Vec<f32> = (0..ROWS * WIDTH).map(|i| i as f32).collect();
    let shape = Shape::from([ROWS, WIDTH]);
    for device in adapters() {
        for bad in [7, -1, i32::MAX, i32::MIN] {
            let mut c = Computed::new(&[1, bad]);
            let value = c.value(&[2, 6, 3]);
            let y = c.b.op(Op::MaskRows, &[value, c.numbers]);
            c.refused(&device, &MemoryWeights::default(), y, bad);

            let mut c = Computed::new(&[1, bad]);
            let logits = c.value(&[2, 6]);
            let ids = c.b.op(Op::Reshape(vec![2, 1]), &[c.numbers]);
            let weigh = ExpertWeights { score: RouterScore::Sigmoid, normalise: None, scale: 1.0 };
            let y = c.b.op(Op::ExpertWeights(weigh), &[logits, ids]);
            c.refused(&device, &MemoryWeights::default(), y, bad);

            // Rows that are whole vectors, and others.
            for width in [8, 5] {
                let mut weights = MemoryWeights::default();
                let stack = Shape::from([ROWS, 2, width]);
                let numbers: Vec<f32> = (0..stack.numel()).map(|i| i as f32).collect();
                weights.insert("stack", HostTensor::from_f32(stack, &numbers).unwrap());
                let mut c = Computed::new(&[1, bad]);
                let value = c.value(&[2, width]);
                let ids = c.b.op(Op::Reshape(vec![2, 1]), &[c.numbers]);
                let spec = WeightSpec { name: "stack".into(), shape: stack, dtype: DType::F32 };
                let held = c.b.weight(&spec);
                let unit = ExpertGateUp { activation: Activation::Silu, limit: None, fused: true };
                let y = c.b.op(Op::ExpertGateUp(unit), &[value, ids, held]);
                c.refused(&device, &weights, y, bad);
            }

            let mut weights = MemoryWeights::default();
            weights.insert("table", HostTensor::from_f32(shape, &table).unwrap());
            let mut c = Computed::new(&[1, bad]);
            let spec = WeightSpec { name: "table".into(), shape, dtype: DType::F32 };
            let held = c.b.weight(&spec);
            let y = c.b.op(Op::Gather, &[held, c.numbers]);
            c.refused(&device, &weights, y, bad);
        }
    }
}

#[test]
fn the_best_of_more_entries_than_a_table_has_is_refused() {
    let table: Vec<f32> = (0..ROWS * WIDTH).map(|i| i as f32).collect();
    let shape = Shape::from([ROWS, WIDTH]);
    let mut weights = MemoryWeights::default();
    weights.insert("table", HostTensor::from_f32(shape, &table).unwrap());
    for device in adapters() {
        let mut c = Computed::new(&[0]);
        let logits = c.value(&[2, 9]);
        let best = c.b.op(Op::Argmax, &[logits]);
        let spec = WeightSpec { name: "table".into(), shape, dtype: DType::F32 };
        let held = c.b.weight(&spec);
        let y = c.b.op(Op::Gather, &[held, best]);
        // The values grow, so the last of nine entries is the best.
        c.refused(&device, &weights, y, 8);
    }
}
