//! The interpreter as a device: slow, and right.
//!
//! It keeps to the plan like any other device: values live as 32-bit words at the plan's arena offsets, so a planner
//! that lets two live values share bytes gives wrong results here, whatever the kernels of real devices do. It offers
//! one fast route, to have something that drifts by a known amount.

use mynah_device::{
    Data, Device, DeviceError, DeviceReport, Location, Plan, Policy, ProgramId, Route, RunArgs, Session,
    StateHandle, StepTime, Unsupported, WeightBytes, WeightUse,
};
use mynah_graph::interp::{Tensor64, eval_node};
use mynah_graph::{ElemType, Graph, GraphError, Node, Op, StateDecl, StateElem, ValueId, ValueSource};
use mynah_tensor::{DType, HostTensor, Shape, decode_row, encode_row};
use std::collections::HashMap;
use std::time::Duration;

/// Rounds both factors of matrix products to half precision.
const F16_PRODUCT: Route = Route { name: "f16-product", about: "factors of matrix products rounded to f16" };

/// The f64 interpreter behind the contract of a device; results are rounded to f32 after each node.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceDevice;

impl Device for ReferenceDevice {
    fn name(&self) -> &str {
        "reference"
    }

    fn report(&self) -> DeviceReport {
        let description = "the f64 reference interpreter".to_owned();
        DeviceReport { description, features: Vec::new(), parallelism: 1, memory: None }
    }

    fn routes(&self) -> &[Route] {
        &[F16_PRODUCT]
    }

    fn supports(&self, _: &Graph, _: &Node) -> Result<(), Unsupported> {
        Ok(())
    }

    fn in_place(&self, _: &Graph, node: &Node) -> Option<usize> {
        // Operands are copied before anything is written, so any of them will do.
        match node.op {
            Op::StateScatter(_) => Some(1),
            Op::GatedDeltaNet(_) => Some(2),
            _ => node
                .op
                .epilogue()
                .filter(|e| e.residual)
                .map_or(Some(0), |_| node.inputs.len().checked_sub(1)),
        }
    }

    fn open(&self, policy: &Policy) -> Result<Box<dyn Session>, DeviceError> {
        Ok(Box::new(ReferenceSession {
            half: policy.allows(&F16_PRODUCT),
            weights: HashMap::new(),
            programs: Vec::new(),
            states: Vec::new(),
            stored: Vec::new(),
            profile: None,
        }))
    }
}

/// A compiled plan and the words of its arena after the last run.
#[derive(Clone)]
struct Program {
    plan: Plan,
    arena: Vec<u32>,
    /// What [`Session::output_f32`] and [`Session::output_i32`] lend out.
    lent: (Vec<f32>, Vec<i32>),
}

struct ReferenceSession {
    half: bool,
    weights: HashMap<String, Tensor64>,
    programs: Vec<Option<Program>>,
    states: Vec<Option<Tensor64>>,
    /// How each is stored.
    stored: Vec<StateElem>,
    profile: Option<HashMap<String, StepTime>>,
}

impl Session for ReferenceSession {
    fn fork(&self) -> Result<Box<dyn Session>, DeviceError> {
        Ok(Box::new(Self {
            half: self.half,
            weights: self.weights.clone(),
            programs: Vec::new(),
            states: Vec::new(),
            stored: Vec::new(),
            profile: None,
        }))
    }

    fn prepare(&mut self, weight: &WeightBytes<'_>, use_: WeightUse) -> Result<bool, DeviceError> {
        if self.is_prepared(weight.name, use_) {
            return Ok(false);
        }
        let fault = |reason: String| DeviceError::Weight { name: weight.name.to_owned(), reason };
        let tensor = HostTensor::new(weight.dtype, weight.shape, weight.bytes.to_vec());
        let tensor = tensor.map_err(|e| fault(e.to_string()))?;
        self.weights.insert(weight.name.to_owned(), Tensor64::from_host(&tensor));
        Ok(true)
    }

    fn is_prepared(&self, name: &str, _: WeightUse) -> bool {
        self.weights.contains_key(name)
    }

    fn compile(&mut self, plan: &Plan) -> Result<ProgramId, DeviceError> {
        let words = plan.arena_bytes / 4;
        let mut arena = Vec::new();
        arena.try_reserve_exact(words).map_err(|_| DeviceError::OutOfMemory {
            device: "reference".into(),
            what: format!("the arena of '{}'", plan.graph.name),
            wanted: plan.arena_bytes,
        })?;
        // Bytes that no step wrote must not look like an answer.
        arena.resize(words, f32::NAN.to_bits());
        self.programs.push(Some(Program { plan: plan.clone(), arena, lent: Default::default() }));
        Ok(ProgramId(self.programs.len() as u32 - 1))
    }

    fn forget(&mut self, program: ProgramId) {
        if let Some(p) = self.programs.get_mut(program.0 as usize) {
            *p = None;
        }
    }

    fn run(&mut self, program: ProgramId, args: &RunArgs<'_>) -> Result<(), DeviceError> {
        let Some(Some(mut p)) = self.programs.get_mut(program.0 as usize).map(Option::take) else {
            return Err(arguments("?", format!("there is no program {}", program.0)));
        };
        let result = self.replay(&mut p, args);
        self.programs[program.0 as usize] = Some(p);
        result
    }

    fn output_f32(&mut self, program: ProgramId, index: usize) -> Result<&[f32], DeviceError> {
        let (p, words) = self.output(program, index, ElemType::F32)?;
        p.lent.0 = words.into_iter().map(f32::from_bits).collect();
        Ok(&p.lent.0)
    }

    fn output_i32(&mut self, program: ProgramId, index: usize) -> Result<&[i32], DeviceError> {
        let (p, words) = self.output(program, index, ElemType::I32)?;
        p.lent.1 = words.into_iter().map(u32::cast_signed).collect();
        Ok(&p.lent.1)
    }

    fn create_state(&mut self, decl: &StateDecl, rows: usize) -> Result<StateHandle, DeviceError> {
        let mut dims = vec![rows];
        dims.extend_from_slice(decl.row.dims());
        let shape = Shape::new(&dims).map_err(|e| arguments(&decl.name, e.to_string()))?;
        let mut tensor = Tensor64 { shape, data: Vec::new() };
        lengthen(&mut tensor, shape, &decl.name)?;
        self.states.push(Some(tensor));
        self.stored.push(decl.elem);
        Ok(StateHandle(self.states.len() as u32 - 1))
    }

    fn grow_state(&mut self, state: StateHandle, rows: usize) -> Result<(), DeviceError> {
        let tensor = self.state(state)?;
        let mut dims = tensor.shape.dims().to_vec();
        if let Some(n) = dims.first_mut() {
            *n = rows.max(*n);
        }
        let shape = Shape::new(&dims).map_err(|e| arguments("grow", e.to_string()))?;
        lengthen(tensor, shape, "to grow")
    }

    fn drop_state(&mut self, state: StateHandle) {
        if let Some(s) = self.states.get_mut(state.0 as usize) {
            *s = None;
        }
    }

    fn snapshot(&mut self, state: StateHandle) -> Result<Vec<f32>, DeviceError> {
        Ok(self.state(state)?.to_f32())
    }

    fn restore(&mut self, state: StateHandle, contents: &[f32]) -> Result<(), DeviceError> {
        let elem = self.stored.get(state.0 as usize).copied().unwrap_or_default();
        let state = self.state(state)?;
        if state.data.len() != contents.len() {
            let reason = format!("{} elements for a state of {:?}", contents.len(), state.shape);
            return Err(arguments("restore", reason));
        }
        state.data.iter_mut().zip(contents).for_each(|(s, &c)| *s = elem.stored(f64::from(c)));
        Ok(())
    }

    fn profile(&mut self, on: bool) {
        self.profile = on.then(HashMap::new);
    }

    fn step_times(&self) -> Vec<StepTime> {
        self.profile.iter().flat_map(HashMap::values).cloned().collect()
    }

    fn memory(&self) -> usize {
        let arenas: usize = self.programs.iter().flatten().map(|p| p.arena.len() * 4).sum();
        let tensors = self.weights.values().chain(self.states.iter().flatten());
        arenas + tensors.map(|t| t.data.len() * 8).sum::<usize>()
    }
}

impl ReferenceSession {
    fn replay(&mut self, p: &mut Program, args: &RunArgs<'_>) -> Result<(), DeviceError> {
        let graph = &p.plan.graph;
        let fault = |reason: String| arguments(&graph.name, reason);
        if args.inputs.len() != graph.inputs().len() || args.slots.len() != graph.slots().len() {
            return Err(fault(format!(
                "{} inputs and {} slots were given",
                args.inputs.len(),
                args.slots.len()
            )));
        }
        for (&id, data) in graph.inputs().iter().zip(args.inputs) {
            let value = graph.value(id);
            let words: Vec<u32> = match (data, value.elem) {
                (Data::F32(v), ElemType::F32) => v.iter().map(|x| x.to_bits()).collect(),
                (Data::I32(v), ElemType::I32) => v.iter().map(|x| x.cast_unsigned()).collect(),
                _ => return Err(fault(format!("input '{}' must be {:?}", value.name, value.elem))),
            };
            if words.len() != value.shape.numel() {
                return Err(fault(format!("input '{}' has {} elements", value.name, words.len())));
            }
            store(&p.plan, &mut p.arena, id, &words)?;
        }
        let times = args.times(&graph.name, graph.is_repeatable())?;
        // The interpreter wants states side by side; they go back when the run ends, however it ends.
        let mut states = Vec::new();
        for handle in args.states {
            states.push(self.state(*handle)?.clone());
        }
        let mut once = |_| self.steps(&p.plan, &mut p.arena, args.slots, &mut states);
        let result = (0..times).try_for_each(&mut once);
        for (handle, state) in args.states.iter().zip(states) {
            *self.state(*handle)? = state;
        }
        result
    }

    fn steps(
        &mut self,
        plan: &Plan,
        arena: &mut [u32],
        slots: &[i64],
        states: &mut [Tensor64],
    ) -> Result<(), DeviceError> {
        for step in &plan.steps {
            let node = &plan.graph.nodes()[step.0 as usize];
            let mut operands = Vec::new();
            for &id in &node.inputs {
                operands.push(self.operand(plan, arena, id)?);
            }
            if self.half && matches!(node.op, Op::MatMul(_)) {
                operands.iter_mut().take(2).try_for_each(|t| round_to_half(t, &plan.graph.name))?;
            }
            let operands: Vec<&Tensor64> = operands.iter().collect();
            let name = &plan.graph.value(node.output).name;
            let start = std::time::Instant::now();
            let result =
                eval_node(&plan.graph, node, &operands, slots, states).map_err(|e| run_error(name, e))?;
            if let Some(times) = &mut self.profile {
                let time = times.entry(name.clone()).or_insert_with(|| StepTime {
                    node: name.clone(),
                    op: node.op.name(),
                    kernel: "interpreter".into(),
                    runs: 0,
                    time: Duration::ZERO,
                });
                time.runs += 1;
                time.time += start.elapsed();
            }
            let words: Vec<u32> = match plan.graph.value(node.output).elem {
                ElemType::F32 => result.data.iter().map(|&v| (v as f32).to_bits()).collect(),
                ElemType::I32 => result.data.iter().map(|&v| (v as i32).cast_unsigned()).collect(),
            };
            store(plan, arena, node.output, &words)?;
        }
        Ok(())
    }

    fn operand(&self, plan: &Plan, arena: &[u32], id: ValueId) -> Result<Tensor64, DeviceError> {
        let value = plan.graph.value(id);
        if let ValueSource::Weight(spec) = &value.source {
            let missing =
                || DeviceError::Weight { name: spec.name.clone(), reason: "is not prepared".into() };
            return self.weights.get(&spec.name).cloned().ok_or_else(missing);
        }
        let words = &arena[range(plan, arena.len(), id)?];
        let data = match value.elem {
            ElemType::F32 => words.iter().map(|&w| f64::from(f32::from_bits(w))).collect(),
            ElemType::I32 => words.iter().map(|&w| f64::from(w.cast_signed())).collect(),
        };
        Ok(Tensor64 { shape: value.shape, data })
    }

    fn output(
        &mut self,
        program: ProgramId,
        index: usize,
        elem: ElemType,
    ) -> Result<(&mut Program, Vec<u32>), DeviceError> {
        let Some(Some(p)) = self.programs.get_mut(program.0 as usize) else {
            return Err(arguments("?", format!("there is no program {}", program.0)));
        };
        let graph = &p.plan.graph;
        let known = graph.outputs().get(index).map(|(_, id)| *id).filter(|id| graph.value(*id).elem == elem);
        let Some(id) = known else {
            return Err(arguments(&graph.name, format!("there is no output {index} of {elem:?}")));
        };
        let words = p.arena[range(&p.plan, p.arena.len(), id)?].to_vec();
        Ok((p, words))
    }

    fn state(&mut self, handle: StateHandle) -> Result<&mut Tensor64, DeviceError> {
        let found = self.states.get_mut(handle.0 as usize).and_then(Option::as_mut);
        found.ok_or_else(|| arguments("state", format!("there is no state {}", handle.0)))
    }
}

fn arguments(graph: &str, reason: String) -> DeviceError {
    DeviceError::Arguments { graph: graph.to_owned(), reason }
}

/// The words of a value in the arena.
fn range(plan: &Plan, words: usize, id: ValueId) -> Result<std::ops::Range<usize>, DeviceError> {
    let value = plan.graph.value(id);
    let (first, len) = match plan.location(id) {
        Location::Arena { offset, bytes } if bytes >= value.shape.numel().saturating_mul(4) => {
            (offset / 4, value.shape.numel())
        }
        other => {
            return Err(arguments(&plan.graph.name, format!("value '{}' lies at {other:?}", value.name)));
        }
    };
    match first.checked_add(len) {
        Some(end) if end <= words => Ok(first..end),
        _ => Err(arguments(&plan.graph.name, format!("value '{}' lies beyond the arena", value.name))),
    }
}

fn store(plan: &Plan, arena: &mut [u32], id: ValueId, words: &[u32]) -> Result<(), DeviceError> {
    if plan.location(id) == Location::Unused {
        return Ok(());
    }
    let range = range(plan, arena.len(), id)?;
    arena[range].copy_from_slice(words);
    Ok(())
}

fn round_to_half(tensor: &mut Tensor64, graph: &str) -> Result<(), DeviceError> {
    let mut values = tensor.to_f32();
    let mut bytes = vec![0; values.len() * 2];
    let rounded = encode_row(DType::F16, &values, &mut bytes)
        .and_then(|()| decode_row(DType::F16, &bytes, &mut values));
    rounded.map_err(|e| arguments(graph, e.to_string()))?;
    tensor.data = values.into_iter().map(f64::from).collect();
    Ok(())
}

fn run_error(node: &str, error: GraphError) -> DeviceError {
    match error {
        GraphError::OutOfRange { found, limit, .. } => {
            DeviceError::OutOfRange { node: node.to_owned(), what: "index", found, limit }
        }
        other => arguments(node, other.to_string()),
    }
}

/// Gives a tensor more rows of zeros.
fn lengthen(tensor: &mut Tensor64, shape: Shape, name: &str) -> Result<(), DeviceError> {
    let more = shape.numel().saturating_sub(tensor.data.len());
    tensor.data.try_reserve_exact(more).map_err(|_| DeviceError::OutOfMemory {
        device: "reference".into(),
        what: format!("state '{name}'"),
        wanted: shape.numel().saturating_mul(8),
    })?;
    tensor.data.resize(shape.numel(), 0.0);
    tensor.shape = shape;
    Ok(())
}
