//! One model on a GPU: its weights, programs and states.

use crate::backend::Backend;
use crate::program::{Memory, Program, Results};
use crate::state::States;
use crate::weights::Store;
use mynah_device::{
    DeviceError, Plan, Policy, ProgramId, RunArgs, Session, StateHandle, StepTime, WeightBytes, WeightUse,
};
use mynah_graph::{ElemType, StateDecl};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A [`Session`] of the GPU device.
pub(crate) struct GpuSession<B: Backend> {
    backend: Arc<B>,
    policy: Policy,
    store: Arc<Store<B>>,
    memory: Memory<B>,
    programs: HashMap<u32, Program<B>>,
    states: States<B>,
    next_id: u32,
    /// The program that ran last, and whether its results were collected.
    last: Option<(u32, bool)>,
    profiling: bool,
}

impl<B: Backend> GpuSession<B> {
    pub(crate) fn new(backend: Arc<B>, policy: Policy, store: Arc<Store<B>>) -> Result<Self, DeviceError> {
        let memory = Memory::new(backend.as_ref())?;
        Ok(Self {
            backend,
            policy,
            store,
            memory,
            programs: HashMap::new(),
            states: States::default(),
            next_id: 0,
            last: None,
            profiling: false,
        })
    }

    fn new_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    fn output(&mut self, program: ProgramId, index: usize, elem: ElemType) -> Result<&[u32], DeviceError> {
        let found = self.programs.get_mut(&program.0).ok_or_else(|| no_program(program))?;
        let wrong = |graph: &str, reason: String| DeviceError::Arguments { graph: graph.to_owned(), reason };
        match self.last {
            Some((id, collected)) if id == program.0 => {
                if !collected {
                    found.collect(self.backend.as_ref())?;
                    self.last = Some((id, true));
                }
            }
            _ => {
                let reason = "outputs were asked for that no run has left, or another run has replaced";
                return Err(wrong(&found.graph, reason.into()));
            }
        }
        let Some(port) = found.outputs.get(index) else {
            return Err(wrong(&found.graph, format!("there is no output {index}")));
        };
        if port.elem != elem {
            let reason = format!("output '{}' holds {:?}, not {elem:?}", port.name, port.elem);
            return Err(wrong(&found.graph, reason));
        }
        let first = found.outputs[..index].iter().map(|p| p.bytes as usize / 4).sum::<usize>();
        let words = found.results.as_ref().map_or(&[][..], Results::words);
        Ok(words.get(first..first + port.bytes as usize / 4).unwrap_or(&[]))
    }
}

fn no_program(program: ProgramId) -> DeviceError {
    let reason = "it was never compiled, or is forgotten".to_owned();
    DeviceError::Arguments { graph: format!("program {}", program.0), reason }
}

impl<B: Backend> Session for GpuSession<B> {
    fn fork(&self) -> Result<Box<dyn Session>, DeviceError> {
        let fork = Self::new(Arc::clone(&self.backend), self.policy.clone(), Arc::clone(&self.store))?;
        Ok(Box::new(fork))
    }

    fn prepare(&mut self, weight: &WeightBytes<'_>, use_: WeightUse) -> Result<bool, DeviceError> {
        self.store.prepare(self.backend.as_ref(), weight, use_, &self.policy)
    }

    fn is_prepared(&self, name: &str, use_: WeightUse) -> bool {
        self.store.get(name, use_).is_some()
    }

    fn compile(&mut self, plan: &Plan) -> Result<ProgramId, DeviceError> {
        let program = Program::compile(plan, self.backend.as_ref(), &self.store, &self.policy)?;
        self.memory.grow(self.backend.as_ref(), program.arena_bytes, program.scratch_bytes)?;
        tracing::debug!(graph = program.graph, dispatches = program.dispatches(), "compiled for the GPU");
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
        let mut states = Vec::with_capacity(args.states.len());
        for (&handle, decl) in args.states.iter().zip(&found.states) {
            let (name, row, elem) = (&decl.name, decl.row.numel(), decl.elem);
            let state =
                self.states.get(handle).filter(|s| (s.row, s.elem) == (row, elem)).ok_or_else(|| {
                    wrong(format!("state tensor {} is not one of '{name}', rows of {row} {elem:?}", handle.0))
                })?;
            states.push((handle.0, state));
        }
        self.last = None;
        let (backend, store, memory) = (self.backend.as_ref(), &self.store, &self.memory);
        found.run(backend, store, memory, args, &states, self.profiling)?;
        self.last = Some((program.0, false));
        Ok(())
    }

    fn output_f32(&mut self, program: ProgramId, index: usize) -> Result<&[f32], DeviceError> {
        self.output(program, index, ElemType::F32).map(bytemuck::cast_slice)
    }

    fn output_i32(&mut self, program: ProgramId, index: usize) -> Result<&[i32], DeviceError> {
        self.output(program, index, ElemType::I32).map(bytemuck::cast_slice)
    }

    fn create_state(&mut self, decl: &StateDecl, rows: usize) -> Result<StateHandle, DeviceError> {
        let id = self.new_id();
        self.states.create(self.backend.as_ref(), id, rows, decl)?;
        Ok(StateHandle(id))
    }

    fn grow_state(&mut self, state: StateHandle, rows: usize) -> Result<(), DeviceError> {
        if self.states.grow(self.backend.as_ref(), state, rows)? {
            // What is bound for it is the old buffer.
            self.programs.values_mut().for_each(|p| p.forget_state(state.0));
        }
        Ok(())
    }

    fn drop_state(&mut self, state: StateHandle) {
        self.programs.values_mut().for_each(|p| p.forget_state(state.0));
        self.states.remove(state);
    }

    fn snapshot(&mut self, state: StateHandle) -> Result<Vec<f32>, DeviceError> {
        self.states.snapshot(self.backend.as_ref(), state)
    }

    fn restore(&mut self, state: StateHandle, contents: &[f32]) -> Result<(), DeviceError> {
        self.states.restore(self.backend.as_ref(), state, contents)
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
        let mut programs: Vec<(&u32, &Program<B>)> = self.programs.iter().collect();
        programs.sort_unstable_by_key(|(id, _)| **id);
        let steps = programs.into_iter().flat_map(|(_, program)| &program.steps);
        let time = |step: &crate::program::Step| StepTime {
            node: step.node.clone(),
            op: step.op,
            kernel: step.kernel.clone(),
            runs: step.runs,
            time: step.time,
        };
        steps.map(time).collect()
    }

    fn memory(&self) -> usize {
        let bytes =
            self.store.bytes() + self.memory.arena_bytes + self.memory.scratch_bytes + self.states.bytes();
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
