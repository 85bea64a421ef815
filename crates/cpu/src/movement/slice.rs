//! Cuts entries out of one axis.

use super::around;
use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;
use mynah_graph::Start;

struct Slice {
    x: Operand,
    out: Target,
    outer: usize,
    extent: usize,
    inner: usize,
    start: Start,
    len: usize,
}

/// Compiles a slice.
pub(crate) fn compile(
    bind: &Bind<'_>,
    axis: usize,
    start: Start,
    len: usize,
) -> Result<Box<dyn Kernel>, DeviceError> {
    let (outer, extent, inner) = around(bind.shape(0), axis);
    Ok(Box::new(Slice { x: bind.operand(0)?, out: bind.target()?, outer, extent, inner, start, len }))
}

impl Kernel for Slice {
    fn name(&self) -> String {
        "slice".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out) = (launch.read(&self.x), launch.output(&self.out));
        let start = match self.start {
            Start::Fixed(n) => n,
            Start::Slot(slot) => {
                Fault::check("slice start", launch.slot(slot.0), (self.extent + 1).saturating_sub(self.len))?
            }
        };
        let run = self.len * self.inner;
        launch.pool().run_chunks(self.outer, rows_per_task(run), &|range| {
            for index in range {
                let first = (index * self.extent + start) * self.inner;
                // SAFETY: outer indices are disjoint.
                unsafe { out.slice(index * run..(index + 1) * run) }.copy_from_slice(&x[first..first + run]);
            }
        })?;
        Ok(())
    }
}
