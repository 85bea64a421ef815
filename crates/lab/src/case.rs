//! One case of the op suite: a tiny graph, everything it reads, and what may come out.

use crate::bounds::Bounds;
use crate::elements::{Arguments, Elements, Values};
use crate::error::LabError;
use mynah_device::WeightSource;
use mynah_graph::interp::{Env, Tensor64, run};
use mynah_graph::{
    ElemType, Graph, GraphBuilder, GraphError, Op, SlotId, StateDecl, StateElem, StateId, ValueId, WeightSpec,
};
use mynah_plan::MemoryWeights;
use mynah_tensor::{DType, HostTensor, Rng, Shape, decode_row};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// What a run of a case must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Give values within the bound.
    Values,
    /// Be refused with an error: an id, length, row or slot is out of range.
    Refusal,
}

/// One case.
#[derive(Clone, Debug)]
pub struct OpCase {
    /// Op, shapes and types, unique in the suite.
    pub name: String,
    /// The op under test, or `composite`.
    pub op: &'static str,
    /// A single op, or a few.
    pub graph: Graph,
    /// Inputs, slots and states before the run.
    pub arguments: Arguments,
    /// The weights the graph names.
    pub weights: Arc<MemoryWeights>,
    /// How far a device may be off.
    pub bounds: Bounds,
    /// What a run must do.
    pub expect: Expect,
    reference: OnceLock<Result<Reference, GraphError>>,
}

/// What the interpreter computes for a case.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) outputs: Vec<Tensor64>,
    pub(crate) states: Vec<Tensor64>,
}

impl OpCase {
    /// The f64 reference, computed once.
    pub(crate) fn reference(&self) -> Result<&Reference, GraphError> {
        let found =
            self.reference.get_or_init(|| reference(&self.graph, self.weights.as_ref(), &self.arguments));
        found.as_ref().map_err(Clone::clone)
    }

    /// The same case with other arguments.
    pub(crate) fn with_arguments(&self, arguments: Arguments) -> Self {
        Self { arguments, reference: OnceLock::new(), ..self.clone() }
    }

    /// The same ops over inputs of other shapes.
    pub(crate) fn with_inputs(&self, inputs: Vec<(Shape, Elements)>) -> Result<Self, LabError> {
        let shapes: Vec<Shape> = inputs.iter().map(|(shape, _)| *shape).collect();
        let mut b = GraphBuilder::new(self.graph.name.clone());
        rebuild(&mut b, &self.graph, &shapes);
        let inputs = inputs.into_iter().map(|(_, elements)| elements).collect();
        let arguments = Arguments { inputs, ..self.arguments.clone() };
        Ok(Self { graph: b.finish()?, arguments, reference: OnceLock::new(), ..self.clone() })
    }
}

/// Adds everything of a graph to a builder, with inputs of these shapes.
pub(crate) fn rebuild(b: &mut GraphBuilder, graph: &Graph, inputs: &[Shape]) {
    let mut ids = HashMap::new();
    for (&id, shape) in graph.inputs().iter().zip(inputs) {
        let value = graph.value(id);
        ids.insert(id, b.input(&value.name, value.elem, *shape));
    }
    for decl in graph.states() {
        b.declare(decl);
    }
    for slot in graph.slots() {
        b.slot(slot);
    }
    for node in graph.nodes() {
        let mut operands = Vec::new();
        for &id in &node.inputs {
            let known = ids.get(&id).copied();
            let weight = graph.weight(id).map(|spec| b.weight(spec));
            operands.extend(known.or(weight));
        }
        ids.insert(node.output, b.op(node.op.clone(), &operands));
    }
    for (name, id) in graph.outputs() {
        let weight = graph.weight(*id).map(|spec| b.weight(spec));
        if let Some(id) = ids.get(id).copied().or(weight) {
            b.output(name, id);
        }
    }
}

/// Runs a graph on the interpreter.
pub(crate) fn reference(
    graph: &Graph,
    weights: &dyn WeightSource,
    arguments: &Arguments,
) -> Result<Reference, GraphError> {
    let given = graph.inputs().iter().zip(&arguments.inputs);
    let inputs = given.map(|(&id, e)| e.to_tensor64(graph.shape(id))).collect::<Result<_, _>>()?;
    let mut states = Vec::new();
    for (decl, contents) in graph.states().iter().zip(&arguments.states) {
        let data = contents.iter().map(|&v| f64::from(v)).collect();
        states.push(Tensor64::new(state_shape(decl.row, contents.len())?, data)?);
    }
    let load = |spec: &WeightSpec| elements_of(weights, spec);
    let mut env = Env { inputs, weights: &load, slots: arguments.slots.clone(), states };
    let outputs = run(graph, &mut env)?;
    Ok(Reference { outputs, states: env.states })
}

/// The elements of a weight, decoded.
fn elements_of(weights: &dyn WeightSource, spec: &WeightSpec) -> Option<Tensor64> {
    let found = weights.read(&spec.name).ok()?;
    let mut decoded = vec![0.0; found.shape.numel()];
    decode_row(found.dtype, found.bytes, &mut decoded).ok()?;
    Tensor64::new(found.shape, decoded.into_iter().map(f64::from).collect()).ok()
}

/// `[rows, row shape]` for a state of `elements` elements.
pub(crate) fn state_shape(row: Shape, elements: usize) -> Result<Shape, GraphError> {
    let mut dims = vec![elements.checked_div(row.numel()).unwrap_or(0)];
    dims.extend_from_slice(row.dims());
    Shape::new(&dims).map_err(|e| GraphError::Argument {
        kind: "state",
        name: String::new(),
        reason: e.to_string(),
    })
}

impl Reference {
    /// Outputs, then states, each as a list.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[f64]> {
        self.outputs.iter().chain(&self.states).map(|t| t.data.as_slice())
    }
}

impl Values {
    /// Outputs, then states, each as a list.
    pub(crate) fn parts(&self) -> Vec<Vec<f64>> {
        let states = self.states.iter().map(|s| s.iter().map(|&v| f64::from(v)).collect());
        self.outputs.iter().map(Elements::to_f64).chain(states).collect()
    }
}

/// How the elements of an operand are drawn. None of these gives a zero but by chance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fill {
    /// Normal with this deviation.
    Normal(f32),
    /// Normal with deviation 1 around this mean.
    Around(f32),
    /// Uniform in this range.
    Within(f32, f32),
    /// Every row holds one value, another in each.
    EqualRows,
}

/// Normal draws have 16 bits after the point, so sums of two would be exact. This factor fills the lower bits.
const FILL_SIGNIFICAND: f32 = 0.999_912_3;

impl Fill {
    fn draw(self, rng: &mut Rng, shape: Shape) -> Vec<f32> {
        let mut data = vec![0.0; shape.numel()];
        match self {
            Self::Normal(deviation) => rng.fill_normal(&mut data, deviation * FILL_SIGNIFICAND),
            Self::Around(mean) => data.iter_mut().for_each(|v| *v = mean + rng.normal() * FILL_SIGNIFICAND),
            Self::Within(low, high) => data.iter_mut().for_each(|v| *v = rng.range(low, high)),
            Self::EqualRows => {
                data.chunks_mut(shape.last().max(1)).for_each(|row| row.fill(rng.range(0.5, 4.0)));
            }
        }
        data
    }
}

/// Builds a case operand by operand.
pub(crate) struct CaseBuilder {
    name: String,
    op: &'static str,
    graph: GraphBuilder,
    arguments: Arguments,
    weights: MemoryWeights,
    pub(crate) rng: Rng,
    error: Option<LabError>,
}

impl CaseBuilder {
    /// A case of `op`; what its name adds to the op's must make it unique.
    pub(crate) fn new(op: &'static str, detail: &str) -> Self {
        let name = format!("{op}/{detail}");
        // A seed of its own for each name, so that adding a case changes no other.
        let seed = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Self {
            graph: GraphBuilder::new(name.clone()),
            name,
            op,
            arguments: Arguments::default(),
            weights: MemoryWeights::default(),
            rng: Rng::new(seed),
            error: None,
        }
    }

    pub(crate) fn input(&mut self, name: &str, dims: &[usize], fill: Fill) -> ValueId {
        let shape = self.shape(dims);
        let data = fill.draw(&mut self.rng, shape);
        self.given(name, shape, Elements::F32(data))
    }

    pub(crate) fn ints(&mut self, name: &str, dims: &[usize], values: &[i32]) -> ValueId {
        let shape = self.shape(dims);
        self.given(name, shape, Elements::I32(values.to_vec()))
    }

    pub(crate) fn floats(&mut self, name: &str, dims: &[usize], values: Vec<f32>) -> ValueId {
        let shape = self.shape(dims);
        self.given(name, shape, Elements::F32(values))
    }

    pub(crate) fn given(&mut self, name: &str, shape: Shape, elements: Elements) -> ValueId {
        let id = self.graph.input(name, elements.elem(), shape);
        self.arguments.inputs.push(elements);
        id
    }

    pub(crate) fn weight(&mut self, name: &str, dims: &[usize], dtype: DType, fill: Fill) -> ValueId {
        let shape = self.shape(dims);
        let data = fill.draw(&mut self.rng, shape);
        let tensor = HostTensor::from_f32(shape, &data).and_then(|t| t.to_dtype(dtype));
        match tensor {
            Ok(tensor) => self.weights.insert(name, tensor),
            Err(e) => self.fail(e.into()),
        }
        self.graph.weight(&WeightSpec { name: name.to_owned(), shape, dtype })
    }

    /// A weight that is there already.
    pub(crate) fn stored(&mut self, name: &str, tensor: HostTensor) -> ValueId {
        let spec = WeightSpec { name: name.to_owned(), shape: tensor.shape(), dtype: tensor.dtype() };
        self.weights.insert(name, tensor);
        self.graph.weight(&spec)
    }

    pub(crate) fn state(&mut self, name: &str, rows: usize, row: &[usize]) -> StateId {
        let row = self.shape(row);
        let data = Fill::Normal(1.0).draw(&mut self.rng, Shape::from([rows, row.numel()]));
        self.arguments.states.push(data);
        self.graph.state(name, row)
    }

    /// A state tensor stored so; what it holds at first is what it can hold.
    pub(crate) fn stored_state(
        &mut self,
        name: &str,
        rows: usize,
        row: &[usize],
        elem: StateElem,
    ) -> StateId {
        let row = self.shape(row);
        let data = Fill::Normal(1.0).draw(&mut self.rng, Shape::from([rows, row.numel()]));
        self.arguments.states.push(elem.decode(&elem.encode(&data)));
        self.graph.declare(&StateDecl::new(name, row).stored_as(elem))
    }

    /// A state tensor that holds these rows.
    pub(crate) fn state_of(&mut self, name: &str, row: &[usize], contents: Vec<f32>) -> StateId {
        let row = self.shape(row);
        self.arguments.states.push(contents);
        self.graph.state(name, row)
    }

    pub(crate) fn slot(&mut self, name: &str, value: i64) -> SlotId {
        self.arguments.slots.push(value);
        self.graph.slot(name)
    }

    pub(crate) fn op(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        self.graph.op(op, inputs)
    }

    /// The case with `outputs`.
    pub(crate) fn finish(mut self, outputs: &[ValueId], bounds: Bounds) -> Result<OpCase, LabError> {
        for (i, &id) in outputs.iter().enumerate() {
            self.graph.output(&format!("y{i}"), id);
        }
        if let Some(e) = self.error {
            return Err(e);
        }
        let graph = self.graph.finish()?;
        // The bounds hold for the mean over many elements; a few may all be sums that cancel.
        let elements: usize = outputs.iter().map(|id| graph.shape(*id).numel()).sum();
        let bounds = if elements < 16 { bounds.times(100.0) } else { bounds };
        Ok(OpCase {
            name: self.name,
            op: self.op,
            graph,
            arguments: self.arguments,
            weights: Arc::new(self.weights),
            bounds,
            expect: Expect::Values,
            reference: OnceLock::new(),
        })
    }

    fn shape(&mut self, dims: &[usize]) -> Shape {
        Shape::new(dims).unwrap_or_else(|e| {
            self.fail(e.into());
            Shape::from([1])
        })
    }

    fn fail(&mut self, error: LabError) {
        self.error.get_or_insert(error);
    }
}

/// The element type is part of what a graph says of an output.
pub(crate) fn output_elem(graph: &Graph, index: usize) -> Option<ElemType> {
    graph.outputs().get(index).map(|(_, id)| graph.value(*id).elem)
}
