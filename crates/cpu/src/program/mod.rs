//! A compiled plan: kernels bound to their memory, replayed step by step.

mod bind;
mod compile;
mod launch;
mod run;

pub(crate) use bind::{Bind, Operand, Target};
pub(crate) use compile::{compile, supports};
pub(crate) use launch::{Fault, Launch, StateView};
pub(crate) use run::{Program, RunMemory, Step};

use crate::memory::ScratchNeed;

/// An operand that a kernel brought into a layout of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leftover {
    pub(crate) operand: Operand,
    /// Sizes that decide the layout.
    pub(crate) layout: [usize; 6],
}

/// One step's computation with everything resolved but the arena's address.
pub(crate) trait Kernel: Send + Sync {
    /// Kernel and route, for example `gemm-f32/avx512`.
    fn name(&self) -> String;

    /// Scratch wanted during the run.
    fn scratch(&self) -> ScratchNeed {
        ScratchNeed::default()
    }

    /// What it leaves at the start of the shared scratch for a step right behind it.
    fn leaves(&self) -> Option<Leftover> {
        None
    }

    /// Takes what the step before has left instead of making it again.
    fn reuse(&mut self) {}

    /// Does it.
    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault>;
}
