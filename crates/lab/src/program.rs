//! A graph compiled on a device with a naive plan, ready to be run with any arguments.

use crate::case::output_elem;
use crate::elements::{Arguments, Elements, Values};
use crate::error::LabError;
use crate::guard::Guard;
use crate::naive::naive_plan;
use mynah_device::{
    Data, Device, DeviceError, Plan, Policy, ProgramId, RunArgs, Session, StateHandle, WeightSource,
    weight_use,
};
use mynah_graph::{ElemType, Graph};

/// A session with one program.
pub struct Program {
    graph: Graph,
    session: Box<dyn Session>,
    id: ProgramId,
    guard: Option<Guard>,
}

impl Program {
    /// Prepares the weights of `graph` and compiles it with [`naive_plan`].
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] at the first node the device can't run; what preparing and compiling report.
    pub fn new(
        graph: &Graph,
        weights: &dyn WeightSource,
        device: &dyn Device,
        policy: &Policy,
    ) -> Result<Self, LabError> {
        Self::compile(naive_plan(graph), None, weights, device, policy)
    }

    /// As [`Program::new`], with sentinels around every value: a run that changes one is an error.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn guarded(
        graph: &Graph,
        weights: &dyn WeightSource,
        device: &dyn Device,
        policy: &Policy,
    ) -> Result<Self, LabError> {
        let (plan, guard) = Guard::around(graph)?;
        Self::compile(plan, Some(guard), weights, device, policy)
    }

    fn compile(
        plan: Plan,
        guard: Option<Guard>,
        weights: &dyn WeightSource,
        device: &dyn Device,
        policy: &Policy,
    ) -> Result<Self, LabError> {
        let graph = &plan.graph;
        let mut session = device.open(policy)?;
        for step in &plan.steps {
            let node = &graph.nodes()[step.0 as usize];
            device.supports(graph, node).map_err(DeviceError::from)?;
            for (operand, id) in node.inputs.iter().enumerate() {
                if let Some(spec) = graph.weight(*id) {
                    session.prepare(&weights.read(&spec.name)?, weight_use(node, operand))?;
                }
            }
        }
        let id = session.compile(&plan)?;
        Ok(Self { graph: plan.graph, session, id, guard })
    }

    /// Runs with states of their own that hold `arguments.states` before, and gives back what they hold after.
    ///
    /// # Errors
    /// What the device reports.
    pub fn run(&mut self, arguments: &Arguments) -> Result<Values, LabError> {
        let mut handles = Vec::new();
        let result = self.run_on(arguments, &mut handles);
        for handle in handles {
            self.session.drop_state(handle);
        }
        result
    }

    fn run_on(&mut self, arguments: &Arguments, handles: &mut Vec<StateHandle>) -> Result<Values, LabError> {
        for (decl, contents) in self.graph.states().iter().zip(&arguments.states) {
            let rows = contents.len().checked_div(decl.row.numel()).unwrap_or(0);
            let handle = self.session.create_state(decl, rows)?;
            handles.push(handle);
            self.session.restore(handle, contents)?;
        }
        // The sentinels come first: they fill the whole arena, and what follows is laid over them.
        let sentinels = self.guard.as_ref().map(|guard| Data::I32(guard.sentinels()));
        let inputs: Vec<_> =
            sentinels.into_iter().chain(arguments.inputs.iter().map(Elements::data)).collect();
        let args = RunArgs { inputs: &inputs, slots: &arguments.slots, states: handles, repeats: 0 };
        self.session.run(self.id, &args)?;
        let mut outputs = Vec::new();
        let own = self.graph.outputs().len() - usize::from(self.guard.is_some());
        for index in 0..own {
            outputs.push(match output_elem(&self.graph, index) {
                Some(ElemType::I32) => Elements::I32(self.session.output_i32(self.id, index)?.to_vec()),
                _ => Elements::F32(self.session.output_f32(self.id, index)?.to_vec()),
            });
        }
        if let Some(guard) = &self.guard {
            guard.check(self.session.output_i32(self.id, own)?)?;
        }
        let states = handles.iter().map(|h| self.session.snapshot(*h)).collect::<Result<_, _>>()?;
        Ok(Values { outputs, states })
    }

    /// The session, to time steps or to ask for its memory.
    pub fn session(&mut self) -> &mut dyn Session {
        self.session.as_mut()
    }
}
