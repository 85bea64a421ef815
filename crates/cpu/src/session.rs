//! One model on the CPU: its weights, programs and states.

use crate::device::Shared;
use crate::program::{Program, RunMemory, compile};
use crate::state::StateTensor;
use crate::weights::Store;
use mynah_device::{
    DeviceError, Plan, Policy, ProgramId, RunArgs, Session, StateHandle, StepTime, WeightBytes, WeightUse,
};
use mynah_graph::{ElemType, StateDecl};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A [`Session`] of the CPU device.
pub(crate) struct CpuSession {
    device: Arc<Shared>,
    policy: Policy,
    store: Arc<Store>,
    memory: RunMemory,
    programs: HashMap<u32, Program>,
    states: HashMap<u32, StateTensor>,
    next_id: u32,
    /// The program whose outputs the arena holds.
    last: Option<u32>,
    profiling: bool,
}

impl CpuSession {
    pub(crate) fn new(device: Arc<Shared>, policy: Policy, store: Arc<Store>) -> Result<Self, DeviceError> {
        Ok(Self {
            device,
            policy,
            store,
            memory: RunMemory::new()?,
            programs: HashMap::new(),
            states: HashMap::new(),
            next_id: 0,
            last: None,
            profiling: false,
        })
    }

    fn new_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    fn output(&self, program: ProgramId, index: usize, elem: ElemType) -> Result<&[f32], DeviceError> {
        let found = self.programs.get(&program.0).ok_or_else(|| no_program(program))?;
        let wrong = |reason: String| DeviceError::Arguments { graph: found.graph.clone(), reason };
        if self.last != Some(program.0) {
            return Err(wrong(
                "outputs were asked for that no run has left, or another run has replaced".into(),
            ));
        }
        let port = found.outputs.get(index).ok_or_else(|| wrong(format!("there is no output {index}")))?;
        if port.elem != elem {
            return Err(wrong(format!("output '{}' holds {:?}, not {elem:?}", port.name, port.elem)));
        }
        Ok(self.memory.output(port))
    }

    fn state(&mut self, handle: StateHandle) -> Result<&mut StateTensor, DeviceError> {
        self.states.get_mut(&handle.0).ok_or_else(|| DeviceError::Arguments {
            graph: "state".to_owned(),
            reason: format!("there is no state tensor {}", handle.0),
        })
    }
}

fn no_program(program: ProgramId) -> DeviceError {
    let reason = "it was never compiled, or is forgotten".to_owned();
    DeviceError::Arguments { graph: format!("program {}", program.0), reason }
}

impl Session for CpuSession {
    fn fork(&self) -> Result<Box<dyn Session>, DeviceError> {
        let fork = Self::new(Arc::clone(&self.device), self.policy.clone(), Arc::clone(&self.store))?;
        Ok(Box::new(fork))
    }

    fn prepare(&mut self, weight: &WeightBytes<'_>, use_: WeightUse) -> Result<bool, DeviceError> {
        let bf16 = crate::bf16_dot(&self.policy, self.device.level);
        self.store.prepare(weight, use_, self.device.level.isa(), bf16, &self.device.pool)
    }

    fn is_prepared(&self, name: &str, use_: WeightUse) -> bool {
        self.store.has(name, use_)
    }

    fn compile(&mut self, plan: &Plan) -> Result<ProgramId, DeviceError> {
        let threads = self.device.pool.threads();
        let program = compile(plan, &self.store, &self.policy, self.device.level, threads)?;
        // Memory that can't be had is better reported now than at the first run.
        self.memory.grow(program.arena_bytes, program.scratch, threads)?;
        self.last = None;
        let id = self.new_id();
        self.programs.insert(id, program);
        Ok(ProgramId(id))
    }

    fn forget(&mut self, program: ProgramId) {
        self.programs.remove(&program.0);
    }

    fn run(&mut self, program: ProgramId, args: &RunArgs<'_>) -> Result<(), DeviceError> {
        let found = self.programs.get_mut(&program.0).ok_or_else(|| no_program(program))?;
        let wrong = |reason: String| DeviceError::Arguments { graph: found.graph.clone(), reason };
        if args.slots.len() != found.slots {
            return Err(wrong(format!("{} slots are wanted, {} were given", found.slots, args.slots.len())));
        }
        if args.states.len() != found.states.len() {
            let (wanted, given) = (found.states.len(), args.states.len());
            return Err(wrong(format!("{wanted} state tensors are wanted, {given} were given")));
        }
        let mut views = Vec::with_capacity(args.states.len());
        for (&handle, decl) in args.states.iter().zip(&found.states) {
            let (name, row, elem) = (&decl.name, decl.row.numel(), decl.elem);
            let state = self.states.get_mut(&handle.0).filter(|s| s.is_of(row, elem)).ok_or_else(|| {
                wrong(format!("state tensor {} is not one of '{name}', rows of {row} {elem:?}", handle.0))
            })?;
            // SAFETY: the session is borrowed for the run, and states are only told apart by their handles: a run that is given one
            // twice sees it twice, as it would through one view.
            views.push(unsafe { state.unbound() });
        }
        self.last = None;
        let (timed, checked) = (self.profiling, self.device.checksums);
        found.run(&mut self.memory, &self.device.pool, args, &views, timed, checked)?;
        self.last = Some(program.0);
        Ok(())
    }

    fn output_f32(&mut self, program: ProgramId, index: usize) -> Result<&[f32], DeviceError> {
        self.output(program, index, ElemType::F32)
    }

    fn output_i32(&mut self, program: ProgramId, index: usize) -> Result<&[i32], DeviceError> {
        self.output(program, index, ElemType::I32).map(bytemuck::cast_slice)
    }

    fn create_state(&mut self, decl: &StateDecl, rows: usize) -> Result<StateHandle, DeviceError> {
        let tensor = StateTensor::zeroed(decl, rows)?;
        let id = self.new_id();
        self.states.insert(id, tensor);
        Ok(StateHandle(id))
    }

    fn grow_state(&mut self, state: StateHandle, rows: usize) -> Result<(), DeviceError> {
        self.state(state)?.grow(rows)
    }

    fn drop_state(&mut self, state: StateHandle) {
        self.states.remove(&state.0);
    }

    fn snapshot(&mut self, state: StateHandle) -> Result<Vec<f32>, DeviceError> {
        Ok(self.state(state)?.contents())
    }

    fn restore(&mut self, state: StateHandle, contents: &[f32]) -> Result<(), DeviceError> {
        self.state(state)?.restore(contents)
    }

    fn profile(&mut self, on: bool) {
        if on && !self.profiling {
            for step in self.programs.values_mut().flat_map(|p| &mut p.steps) {
                (step.runs, step.time) = (0, Duration::ZERO);
            }
        }
        self.profiling = on;
    }

    fn step_times(&self) -> Vec<StepTime> {
        let mut programs: Vec<(&u32, &Program)> = self.programs.iter().collect();
        programs.sort_unstable_by_key(|(id, _)| **id);
        let steps = programs.into_iter().flat_map(|(_, program)| &program.steps);
        let time = |step: &crate::program::Step| StepTime {
            node: step.node.clone(),
            op: step.op,
            kernel: step.kernel.name(),
            runs: step.runs,
            time: step.time,
        };
        steps.map(time).collect()
    }

    fn memory(&self) -> usize {
        let states: usize = self.states.values().map(StateTensor::bytes).sum();
        self.store.bytes() + self.memory.bytes() + states
    }
}
