//! A step of an LSTM layer between state tensors, for the sequences that are active.

use super::lstm;
use crate::memory::ScratchNeed;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::Isa;
use mynah_device::DeviceError;
use std::collections::HashSet;

struct Step {
    /// Hidden and cell state.
    states: [u32; 2],
    gates: Operand,
    rows: Operand,
    active: Operand,
    out: Target,
    hidden: usize,
    isa: Isa,
}

/// Compiles a step with the state tensors of hidden and cell state.
pub(crate) fn compile(bind: &Bind<'_>, states: [u32; 2]) -> Result<Box<dyn Kernel>, DeviceError> {
    let (gates, rows, active) = (bind.operand(0)?, bind.operand(1)?, bind.operand(2)?);
    let (out, hidden) = (bind.target()?, bind.out_shape().last());
    Ok(Box::new(Step { states, gates, rows, active, out, hidden, isa: bind.isa() }))
}

impl Kernel for Step {
    fn name(&self) -> String {
        format!("lstm_step/{}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        ScratchNeed { shared: 0, private: 4 * 2 * self.hidden }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let [hidden, cell] = self.states.map(|state| launch.state(state));
        let (gates, active, out) =
            (launch.read(&self.gates), launch.read_i32(&self.active), launch.output(&self.out));
        let rows = launch.read_i32(&self.rows);
        let (mut seen, h) = (HashSet::new(), self.hidden);
        for &row in rows {
            Fault::check("state row", i64::from(row), hidden.rows.min(cell.rows))?;
            if !seen.insert(row) {
                return Err(Fault::Twice { what: "state row", found: i64::from(row) });
            }
        }
        launch.pool().run(rows.len(), &|task| {
            let (sequence, row) = (task.index, rows[task.index] as usize);
            let private = launch.scratch().private(task.thread);
            // SAFETY: a thread's scratch memory is its own during a task; tasks have rows of their own, of the states as of the
            // output.
            unsafe {
                let next = private.slice(0..2 * h);
                let hidden = hidden.data.slice(row * h..(row + 1) * h);
                let cell = cell.data.slice(row * h..(row + 1) * h);
                if active[sequence] != 0 {
                    lstm::step(self.isa, &gates[4 * sequence * h..4 * (sequence + 1) * h], cell, next);
                    hidden.copy_from_slice(&next[..h]);
                    cell.copy_from_slice(&next[h..]);
                }
                out.slice(sequence * h..(sequence + 1) * h).copy_from_slice(hidden);
            }
        })?;
        Ok(())
    }
}
