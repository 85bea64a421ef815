//! Joins tensors along one axis.

use super::around;
use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;

struct Concat {
    /// Each with the elements it gives to one outer index.
    parts: Vec<(Operand, usize)>,
    out: Target,
    outer: usize,
}

/// Compiles a concatenation.
pub(crate) fn compile(bind: &Bind<'_>, axis: usize) -> Result<Box<dyn Kernel>, DeviceError> {
    let part = |i: usize| {
        let (_, extent, inner) = around(bind.shape(i), axis);
        Ok((bind.operand(i)?, extent * inner))
    };
    let parts = (0..bind.operands()).map(part).collect::<Result<_, DeviceError>>()?;
    let (outer, _, _) = around(bind.out_shape(), axis);
    Ok(Box::new(Concat { parts, out: bind.target()?, outer }))
}

impl Kernel for Concat {
    fn name(&self) -> String {
        "concat".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let out = launch.output(&self.out);
        let parts: Vec<(&[f32], usize)> = self.parts.iter().map(|(x, len)| (launch.read(x), *len)).collect();
        let stride: usize = parts.iter().map(|(_, len)| len).sum();
        launch.pool().run_chunks(self.outer, rows_per_task(stride), &|range| {
            for index in range {
                let mut at = index * stride;
                for &(x, len) in &parts {
                    // SAFETY: outer indices are disjoint.
                    unsafe { out.slice(at..at + len) }.copy_from_slice(&x[index * len..(index + 1) * len]);
                    at += len;
                }
            }
        })?;
        Ok(())
    }
}
