//! The same elements at another place: a reshape that the plan didn't turn into a renaming.

use crate::elementwise::GRAIN;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;

struct Copy {
    x: Operand,
    out: Target,
}

/// Compiles a copy, which does nothing when both places are one.
pub(crate) fn compile(bind: &Bind<'_>) -> Result<Box<dyn Kernel>, DeviceError> {
    Ok(Box::new(Copy { x: bind.operand_in_place(0)?, out: bind.target()? }))
}

impl Kernel for Copy {
    fn name(&self) -> String {
        "copy".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        if self.x.in_place() {
            return Ok(());
        }
        let (x, out) = (launch.read(&self.x), launch.output(&self.out));
        launch.pool().run_chunks(out.len(), GRAIN, &|range| {
            // SAFETY: ranges are disjoint.
            unsafe { out.slice(range.clone()) }.copy_from_slice(&x[range]);
        })?;
        Ok(())
    }
}
