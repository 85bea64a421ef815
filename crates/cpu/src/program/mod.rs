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

/// One step's computation with everything resolved but the arena's address.
pub(crate) trait Kernel: Send + Sync {
    /// Kernel and route, for example `gemm-f32/avx512`.
    fn name(&self) -> String;

    /// Scratch wanted during the run.
    fn scratch(&self) -> ScratchNeed {
        ScratchNeed::default()
    }

    /// Does it.
    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault>;
}
