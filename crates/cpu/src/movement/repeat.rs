//! Rows several times over: upsampling to the nearest.

use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;

struct Repeat {
    x: Operand,
    out: Target,
    width: usize,
    times: usize,
}

/// Compiles a repetition.
pub(crate) fn compile(bind: &Bind<'_>, times: usize) -> Result<Box<dyn Kernel>, DeviceError> {
    let (x, out) = (bind.operand(0)?, bind.target()?);
    Ok(Box::new(Repeat { x, out, width: bind.shape(0).last(), times }))
}

impl Kernel for Repeat {
    fn name(&self) -> String {
        "repeat_rows".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, width) = (launch.read(&self.x), launch.output(&self.out), self.width);
        let rows = out.len().checked_div(width).unwrap_or(0);
        launch.pool().run_chunks(rows, rows_per_task(width), &|range| {
            for row in range {
                let from = row / self.times * width;
                // SAFETY: rows are disjoint.
                unsafe { out.slice(row * width..(row + 1) * width) }.copy_from_slice(&x[from..from + width]);
            }
        })?;
        Ok(())
    }
}
