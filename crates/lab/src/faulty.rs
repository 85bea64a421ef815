//! A device with a deliberate mistake around a sound one, to show that the instruments find it.
//!
//! Mistakes are made in the plans that the device compiles and in the results that it hands out, so any device can be
//! the sound one inside.

use mynah_device::{
    Device, DeviceError, DeviceReport, Location, Plan, Policy, ProgramId, Route, RunArgs, Session,
    StateHandle, StepTime, Unsupported, WeightBytes, WeightUse,
};
use mynah_graph::{ElemType, Graph, Node, NodeId, Op, Start, StateDecl};
use std::sync::Arc;

/// The mistake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The last element of each float output is off by this.
    Element(f32),
    /// The last element of each float output is no number.
    NotANumber,
    /// The last step is left out, so that its output is never written.
    Unwritten,
    /// One element is written right behind the last value.
    Outside,
    /// The last bit of each float output turns with this number, as if results depended on the number of threads.
    Threads(usize),
    /// Nothing but matrix products is supported.
    OnlyProducts,
    /// A route of the device inside multiplies the results of matrix products by this.
    Route {
        /// The route.
        name: &'static str,
        /// What products are off by.
        factor: f32,
    },
}

/// A device with a fault.
pub struct FaultyDevice {
    inner: Arc<dyn Device>,
    fault: Fault,
}

impl FaultyDevice {
    /// `inner` with a mistake.
    pub fn new(inner: Arc<dyn Device>, fault: Fault) -> Self {
        Self { inner, fault }
    }
}

impl Device for FaultyDevice {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn report(&self) -> DeviceReport {
        self.inner.report()
    }

    fn routes(&self) -> &[Route] {
        self.inner.routes()
    }

    fn supports(&self, graph: &Graph, node: &Node) -> Result<(), Unsupported> {
        if self.fault == Fault::OnlyProducts && !matches!(node.op, Op::MatMul(_)) {
            return Err(Unsupported { op: node.op.name(), reason: "not here".into() });
        }
        self.inner.supports(graph, node)
    }

    fn in_place(&self, graph: &Graph, node: &Node) -> Option<usize> {
        self.inner.in_place(graph, node)
    }

    fn open(&self, policy: &Policy) -> Result<Box<dyn Session>, DeviceError> {
        let fault = match self.fault {
            Fault::Route { name, .. } => {
                let taken = self.routes().iter().any(|r| r.name == name && policy.allows(r));
                taken.then_some(self.fault)
            }
            other => Some(other),
        };
        Ok(Box::new(FaultySession { inner: self.inner.open(policy)?, fault, lent: Vec::new() }))
    }
}

struct FaultySession {
    inner: Box<dyn Session>,
    fault: Option<Fault>,
    lent: Vec<f32>,
}

/// The plan with the mistake in it.
fn spoil(plan: &Plan, fault: Fault) -> Result<Plan, DeviceError> {
    let mut plan = plan.clone();
    match fault {
        Fault::Element(_) | Fault::NotANumber | Fault::Threads(_) | Fault::OnlyProducts => {}
        Fault::Unwritten => {
            plan.steps.pop();
        }
        Fault::Outside => write_outside(&mut plan)?,
        Fault::Route { factor, .. } => {
            for index in 0..plan.graph.nodes().len() {
                let Node { mut op, inputs, .. } = plan.graph.nodes()[index].clone();
                if let (Op::MatMul(_), Some(epilogue)) = (op.clone(), op.epilogue_mut()) {
                    epilogue.scale *= factor;
                    plan.graph.replace(NodeId(index as u32), op, inputs);
                }
            }
        }
    }
    Ok(plan)
}

/// Adds a step that copies the first element of the last float value to right behind its place.
fn write_outside(plan: &mut Plan) -> Result<(), DeviceError> {
    let graph = &mut plan.graph;
    let Some(value) =
        graph.nodes().iter().rev().map(|n| n.output).find(|&v| graph.value(v).elem == ElemType::F32)
    else {
        return Ok(());
    };
    let Location::Arena { offset, bytes } = plan.locations[value.0 as usize] else { return Ok(()) };
    let wrong =
        |e: mynah_graph::GraphError| DeviceError::Arguments { graph: "faulty".into(), reason: e.to_string() };
    let end = |graph: &Graph| NodeId(graph.nodes().len() as u32);
    let numel = graph.shape(value).numel();
    let flat =
        graph.insert_before(end(graph), "flat", Op::Reshape(vec![numel]), vec![value]).map_err(wrong)?;
    plan.locations.push(Location::Arena { offset, bytes });
    let slice = Op::Slice { axis: 0, start: Start::Fixed(0), len: 1 };
    graph.insert_before(end(graph), "outside", slice, vec![flat]).map_err(wrong)?;
    plan.locations.push(Location::Arena { offset: offset + bytes, bytes: 4 });
    plan.steps.push(NodeId(graph.nodes().len() as u32 - 1));
    Ok(())
}

impl Session for FaultySession {
    fn fork(&self) -> Result<Box<dyn Session>, DeviceError> {
        Ok(Box::new(Self { inner: self.inner.fork()?, fault: self.fault, lent: Vec::new() }))
    }

    fn prepare(&mut self, weight: &WeightBytes<'_>, use_: WeightUse) -> Result<bool, DeviceError> {
        self.inner.prepare(weight, use_)
    }

    fn is_prepared(&self, name: &str, use_: WeightUse) -> bool {
        self.inner.is_prepared(name, use_)
    }

    fn compile(&mut self, plan: &Plan) -> Result<ProgramId, DeviceError> {
        match self.fault {
            Some(fault) => self.inner.compile(&spoil(plan, fault)?),
            None => self.inner.compile(plan),
        }
    }

    fn forget(&mut self, program: ProgramId) {
        self.inner.forget(program);
    }

    fn run(&mut self, program: ProgramId, args: &RunArgs<'_>) -> Result<(), DeviceError> {
        self.inner.run(program, args)
    }

    fn output_f32(&mut self, program: ProgramId, index: usize) -> Result<&[f32], DeviceError> {
        self.lent = self.inner.output_f32(program, index)?.to_vec();
        if let Some(last) = self.lent.last_mut() {
            match self.fault {
                Some(Fault::Element(by)) => *last += by,
                Some(Fault::NotANumber) => *last = f32::NAN,
                Some(Fault::Threads(n)) => *last = f32::from_bits(last.to_bits() ^ (n as u32 & 1)),
                _ => {}
            }
        }
        Ok(&self.lent)
    }

    fn output_i32(&mut self, program: ProgramId, index: usize) -> Result<&[i32], DeviceError> {
        self.inner.output_i32(program, index)
    }

    fn create_state(&mut self, decl: &StateDecl, rows: usize) -> Result<StateHandle, DeviceError> {
        self.inner.create_state(decl, rows)
    }

    fn grow_state(&mut self, state: StateHandle, rows: usize) -> Result<(), DeviceError> {
        self.inner.grow_state(state, rows)
    }

    fn drop_state(&mut self, state: StateHandle) {
        self.inner.drop_state(state);
    }

    fn snapshot(&mut self, state: StateHandle) -> Result<Vec<f32>, DeviceError> {
        self.inner.snapshot(state)
    }

    fn restore(&mut self, state: StateHandle, contents: &[f32]) -> Result<(), DeviceError> {
        self.inner.restore(state, contents)
    }

    fn profile(&mut self, on: bool) {
        self.inner.profile(on);
    }

    fn step_times(&self) -> Vec<StepTime> {
        self.inner.step_times()
    }

    fn memory(&self) -> usize {
        self.inner.memory()
    }
}
