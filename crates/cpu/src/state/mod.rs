//! Reads and writes of state tensors, which outlive a run.

mod numbers;
mod tensor;

pub(crate) use numbers::compile as compile_numbers;
pub(crate) use tensor::StateTensor;

use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;
use std::collections::HashSet;

/// Which rows of the state tensor are meant.
enum Access {
    /// Those named by an operand are read.
    Gather { rows: Operand },
    /// Those named by an operand are written.
    Scatter { rows: Operand, value: Operand },
    /// Those from a slot's value on are written.
    Append { slot: u32, value: Operand },
}

struct State {
    state: u32,
    access: Access,
    out: Target,
}

/// Compiles a read of rows.
pub(crate) fn compile_gather(bind: &Bind<'_>, state: u32) -> Result<Box<dyn Kernel>, DeviceError> {
    let access = Access::Gather { rows: bind.operand(0)? };
    Ok(Box::new(State { state, access, out: bind.target()? }))
}

/// Compiles a write of rows.
pub(crate) fn compile_scatter(bind: &Bind<'_>, state: u32) -> Result<Box<dyn Kernel>, DeviceError> {
    let access = Access::Scatter { rows: bind.operand(0)?, value: bind.operand_in_place(1)? };
    Ok(Box::new(State { state, access, out: bind.target()? }))
}

/// Compiles a write of consecutive rows.
pub(crate) fn compile_append(bind: &Bind<'_>, state: u32, slot: u32) -> Result<Box<dyn Kernel>, DeviceError> {
    let access = Access::Append { slot, value: bind.operand_in_place(0)? };
    Ok(Box::new(State { state, access, out: bind.target()? }))
}

impl Kernel for State {
    fn name(&self) -> String {
        let name = match &self.access {
            Access::Gather { .. } => "state_gather",
            Access::Scatter { .. } => "state_scatter",
            Access::Append { .. } => "state_append",
        };
        name.to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (state, out) = (launch.state(self.state), launch.output(&self.out));
        let row = state.row;
        // SAFETY of the slices below: one thread runs; a state's memory is none of the arena's.
        match &self.access {
            Access::Gather { rows } => {
                for (i, &from) in launch.read_i32(rows).iter().enumerate() {
                    let from = Fault::check("state row", i64::from(from), state.rows)?;
                    // SAFETY: as above.
                    unsafe { state.read(from * row, out.slice(i * row..(i + 1) * row)) };
                }
            }
            Access::Scatter { rows, value } => {
                let rows = launch.read_i32(rows);
                let mut seen = HashSet::with_capacity(rows.len());
                for &to in rows {
                    Fault::check("state row", i64::from(to), state.rows)?;
                    if !seen.insert(to) {
                        return Err(Fault::Twice { what: "state row", found: i64::from(to) });
                    }
                }
                let value = launch.view(value);
                for (i, &to) in rows.iter().enumerate() {
                    let to = to as usize;
                    // SAFETY: as above.
                    unsafe { state.write(to * row, value.slice(i * row..(i + 1) * row)) };
                }
                self.pass_on(launch);
            }
            Access::Append { slot, value } => {
                let value = launch.view(value);
                let rows = value.len().checked_div(row).unwrap_or(0);
                let limit = (state.rows + 1).saturating_sub(rows);
                let first = Fault::check("state row", launch.slot(*slot), limit)?;
                // SAFETY: as above.
                unsafe { state.write(first * row, value.slice(0..rows * row)) };
                self.pass_on(launch);
            }
        }
        Ok(())
    }
}

impl State {
    /// A write's result is the value written.
    fn pass_on(&self, launch: &Launch<'_>) {
        if let Access::Scatter { value, .. } | Access::Append { value, .. } = &self.access
            && !value.in_place()
        {
            let (value, out) = (launch.read(value), launch.output(&self.out));
            // SAFETY: one thread runs, and the operand is other memory than the output.
            unsafe { out.slice(0..out.len()) }.copy_from_slice(value);
        }
    }
}
