//! The debug ladder, `MYNAH_DEBUG=1..5`: every rung also says what those below it say.
//!
//! 1. time by op after the run
//! 2. graphs planned, with nodes, steps and memory
//! 3. rewrites that fired, and where they did not and why
//! 4. time by kernel: which route each op took
//! 5. a checksum of every tensor

mod log;
mod times;

use crate::exit::Usage;
use crate::notes;
use mynah_plan::Executor;

/// The rung asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Debug {
    level: u8,
}

impl Debug {
    /// Reads `MYNAH_DEBUG` and starts the log it asks for.
    ///
    /// # Errors
    /// [`Usage`] for something else than 0 to 5.
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let value = std::env::var("MYNAH_DEBUG").unwrap_or_default();
        let level = match value.as_str() {
            "" => 0,
            text => text.parse().ok().filter(|n| *n <= 5).ok_or_else(|| {
                let ladder = "1 times, 2 plans, 3 rewrites, 4 kernels, 5 checksums";
                Usage::new(format!("MYNAH_DEBUG is '{value}', not 0 to 5"), ladder)
            })?,
        };
        if level >= 2 {
            log::start(level);
        }
        Ok(Self { level })
    }

    /// Before a model's work.
    pub(crate) fn begin(self, executor: &mut Executor) {
        if self.level >= 1 {
            executor.profile(true);
        }
    }

    /// After it.
    pub(crate) fn end(self, executor: &Executor) {
        if self.level == 0 {
            return;
        }
        let steps = executor.step_times();
        notes::raw(&times::by_op(&steps));
        if self.level >= 4 {
            notes::raw(&times::by_kernel(&steps));
        }
        notes::raw(&format!("on the device: {}\n", crate::units::bytes(executor.memory() as u64)));
    }
}
