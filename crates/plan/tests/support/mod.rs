//! A device that computes with the reference interpreter but keeps every value where the plan says.
//!
//! A value that the memory plan lets somebody overwrite too early comes out wrong here, whatever the kernels.

use mynah_device::{
    Data, Device, DeviceError, DeviceReport, Location, Plan, Policy, ProgramId, Route, RunArgs, Session,
    StateHandle, StepTime, Unsupported, WeightBytes, WeightUse,
};
use mynah_graph::interp::{Tensor64, eval_node};
use mynah_graph::{Graph, Node, StateDecl, ValueId};
use mynah_plan::rewrite::{self, Context, Outcome};
use mynah_plan::{FoldedWeights, MemoryWeights};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The device; `missing` names ops it claims not to know.
#[derive(Default)]
pub(crate) struct Arena {
    pub(crate) missing: Vec<&'static str>,
    pub(crate) compiled: Arc<AtomicUsize>,
}

impl Device for Arena {
    fn name(&self) -> &str {
        "arena"
    }

    fn report(&self) -> DeviceReport {
        DeviceReport { description: "interpreter".into(), features: Vec::new(), parallelism: 1, memory: None }
    }

    fn routes(&self) -> &[Route] {
        &[]
    }

    fn supports(&self, _: &Graph, node: &Node) -> Result<(), Unsupported> {
        let op = node.op.name();
        if self.missing.contains(&op) {
            return Err(Unsupported { op, reason: "not built".into() });
        }
        Ok(())
    }

    fn in_place(&self, graph: &Graph, node: &Node) -> Option<usize> {
        // Operands are read before the output is written, so any operand of the same size may go.
        (0..node.inputs.len()).find(|&i| graph.shape(node.inputs[i]) == graph.shape(node.output))
    }

    fn open(&self, _: &Policy) -> Result<Box<dyn Session>, DeviceError> {
        let compiled = Arc::clone(&self.compiled);
        Ok(Box::new(ArenaSession {
            compiled,
            weights: Arc::default(),
            plans: Vec::new(),
            arena: Vec::new(),
            states: Vec::new(),
        }))
    }
}

struct ArenaSession {
    compiled: Arc<AtomicUsize>,
    weights: Arc<Mutex<HashMap<String, Tensor64>>>,
    plans: Vec<Option<Plan>>,
    arena: Vec<f32>,
    states: Vec<Option<Tensor64>>,
}

impl ArenaSession {
    fn plan(&self, id: ProgramId) -> Plan {
        self.plans[id.0 as usize].clone().expect("a program that was not forgotten")
    }

    fn range(&self, plan: &Plan, value: ValueId) -> Option<std::ops::Range<usize>> {
        let Location::Arena { offset, .. } = plan.location(value) else { return None };
        Some(offset / 4..offset / 4 + plan.graph.shape(value).numel())
    }

    fn read(&self, plan: &Plan, value: ValueId) -> Tensor64 {
        if let Some(spec) = plan.graph.weight(value) {
            let mut tensor = self.weights.lock().unwrap()[&spec.name].clone();
            tensor.shape = spec.shape;
            return tensor;
        }
        let range = self.range(plan, value).expect("an operand has a place");
        let data = self.arena[range].iter().map(|&x| f64::from(x)).collect();
        Tensor64 { shape: plan.graph.shape(value), data }
    }

    fn write(&mut self, plan: &Plan, value: ValueId, elements: impl Iterator<Item = f32>) {
        let range = self.range(plan, value).expect("a result has a place");
        for (slot, x) in self.arena[range].iter_mut().zip(elements) {
            *slot = x;
        }
    }
}

impl Session for ArenaSession {
    fn fork(&self) -> Result<Box<dyn Session>, DeviceError> {
        let (compiled, weights) = (Arc::clone(&self.compiled), Arc::clone(&self.weights));
        Ok(Box::new(Self { compiled, weights, plans: Vec::new(), arena: Vec::new(), states: Vec::new() }))
    }

    fn prepare(&mut self, weight: &WeightBytes<'_>, _: WeightUse) -> Result<bool, DeviceError> {
        let mut elements = vec![0.0; weight.shape.numel()];
        mynah_tensor::decode_row(weight.dtype, weight.bytes, &mut elements).unwrap();
        let data = elements.into_iter().map(f64::from).collect();
        self.weights.lock().unwrap().insert(weight.name.to_owned(), Tensor64 { shape: weight.shape, data });
        Ok(true)
    }

    fn is_prepared(&self, name: &str, _: WeightUse) -> bool {
        self.weights.lock().unwrap().contains_key(name)
    }

    fn compile(&mut self, plan: &Plan) -> Result<ProgramId, DeviceError> {
        self.compiled.fetch_add(1, Ordering::Relaxed);
        self.plans.push(Some(plan.clone()));
        Ok(ProgramId(self.plans.len() as u32 - 1))
    }

    fn forget(&mut self, program: ProgramId) {
        self.plans[program.0 as usize] = None;
    }

    fn run(&mut self, program: ProgramId, args: &RunArgs<'_>) -> Result<(), DeviceError> {
        let plan = self.plan(program);
        // Poison: a step that reads what nothing wrote gives NaN.
        self.arena.clear();
        self.arena.resize(plan.arena_bytes / 4, f32::NAN);
        for (value, data) in plan.graph.inputs().iter().zip(args.inputs) {
            match data {
                Data::F32(x) => self.write(&plan, *value, x.iter().copied()),
                Data::I32(x) => self.write(&plan, *value, x.iter().map(|&i| i as f32)),
            }
        }
        let mut states: Vec<Tensor64> =
            args.states.iter().map(|s| self.states[s.0 as usize].clone().expect("a live state")).collect();
        let times = args.times(&plan.graph.name, plan.graph.is_repeatable())?;
        for step in (0..times).flat_map(|_| &plan.steps) {
            let node = &plan.graph.nodes()[step.0 as usize];
            let operands: Vec<Tensor64> = node.inputs.iter().map(|v| self.read(&plan, *v)).collect();
            let operands: Vec<&Tensor64> = operands.iter().collect();
            let result = eval_node(&plan.graph, node, &operands, args.slots, &mut states).map_err(|e| {
                DeviceError::Arguments { graph: plan.graph.name.clone(), reason: e.to_string() }
            })?;
            self.write(&plan, node.output, result.data.iter().map(|&x| x as f32));
        }
        for (handle, state) in args.states.iter().zip(states) {
            self.states[handle.0 as usize] = Some(state);
        }
        Ok(())
    }

    fn output_f32(&mut self, program: ProgramId, index: usize) -> Result<&[f32], DeviceError> {
        let plan = self.plan(program);
        let value = plan.graph.outputs()[index].1;
        let range = self.range(&plan, value).expect("an output has a place");
        Ok(&self.arena[range])
    }

    fn output_i32(&mut self, _: ProgramId, _: usize) -> Result<&[i32], DeviceError> {
        unreachable!("the plan tests read floats only")
    }

    fn create_state(&mut self, decl: &StateDecl, rows: usize) -> Result<StateHandle, DeviceError> {
        let mut dims = vec![rows];
        dims.extend_from_slice(decl.row.dims());
        let shape = mynah_tensor::Shape::new(&dims).unwrap();
        self.states.push(Some(Tensor64 { shape, data: vec![0.0; shape.numel()] }));
        Ok(StateHandle(self.states.len() as u32 - 1))
    }

    fn grow_state(&mut self, state: StateHandle, rows: usize) -> Result<(), DeviceError> {
        let tensor = self.states[state.0 as usize].as_mut().unwrap();
        let mut dims = tensor.shape.dims().to_vec();
        dims[0] = dims[0].max(rows);
        tensor.shape = mynah_tensor::Shape::new(&dims).unwrap();
        tensor.data.resize(tensor.shape.numel(), 0.0);
        Ok(())
    }

    fn drop_state(&mut self, state: StateHandle) {
        self.states[state.0 as usize] = None;
    }

    fn snapshot(&mut self, state: StateHandle) -> Result<Vec<f32>, DeviceError> {
        Ok(self.states[state.0 as usize].as_ref().unwrap().to_f32())
    }

    fn restore(&mut self, state: StateHandle, contents: &[f32]) -> Result<(), DeviceError> {
        let tensor = self.states[state.0 as usize].as_mut().unwrap();
        tensor.data = contents.iter().map(|&x| f64::from(x)).collect();
        Ok(())
    }

    fn profile(&mut self, _: bool) {}

    fn step_times(&self) -> Vec<StepTime> {
        Vec::new()
    }

    fn memory(&self) -> usize {
        self.arena.len() * 4
    }
}

/// A graph after the rewrites for a device that lacks some ops, and what became of one rule.
pub(crate) fn rewritten(graph: &Graph, missing: &[&'static str], rule: &str) -> (Graph, Outcome) {
    let device = Arena { missing: missing.to_vec(), ..Arena::default() };
    let (weights, folded) = (MemoryWeights::default(), FoldedWeights::default());
    let context = Context { weights: &weights, folded: &folded, device: Some(&device) };
    let mut graph = graph.clone();
    let report = rewrite::run(&mut graph, &context).unwrap();
    let (_, outcome) = report.into_iter().find(|(name, _)| *name == rule).unwrap();
    (graph, outcome)
}
