//! Single whole numbers out of rows of a state tensor.

use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;
use mynah_graph::transducer::LIMIT;

struct Numbers {
    state: u32,
    column: usize,
    rows: Operand,
    out: Target,
}

/// Compiles a read of one column of rows.
pub(crate) fn compile(bind: &Bind<'_>, state: u32, column: usize) -> Result<Box<dyn Kernel>, DeviceError> {
    Ok(Box::new(Numbers { state, column, rows: bind.operand(0)?, out: bind.target()? }))
}

impl Kernel for Numbers {
    fn name(&self) -> String {
        "state_numbers".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (state, out) = (launch.state(self.state), launch.output(&self.out));
        for (i, &row) in launch.read_i32(&self.rows).iter().enumerate() {
            let at = Fault::check("state row", i64::from(row), state.rows)? * state.row + self.column;
            // SAFETY: one thread runs; a state's memory is none of the arena's; the output holds 32-bit integers.
            let (found, out) = unsafe { (state.data.slice(at..at + 1)[0], out.slice(i..i + 1)) };
            if found.fract() != 0.0 || found.abs() >= LIMIT as f32 {
                return Err(Fault::OutOfRange { what: "number", found: found as i64, limit: LIMIT });
            }
            bytemuck::cast_slice_mut(out).fill(found as i32);
        }
        Ok(())
    }
}
