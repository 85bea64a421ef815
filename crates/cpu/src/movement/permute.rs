//! Reorders dimensions.

use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;
use mynah_tensor::MAX_RANK;

/// Rows of the output filled together.
const TOGETHER: usize = 16;

struct Permute {
    x: Operand,
    out: Target,
    /// Extent of each dimension of the output, and the step of `x` along it; unused ones come first.
    dims: [(usize, usize); MAX_RANK],
}

/// Compiles a permutation.
pub(crate) fn compile(bind: &Bind<'_>, perm: &[usize]) -> Result<Box<dyn Kernel>, DeviceError> {
    let shape = bind.shape(0);
    let step = |dim: usize| shape.dims()[dim + 1..].iter().product::<usize>();
    let mut dims = [(1, 0); MAX_RANK];
    for (slot, &from) in dims.iter_mut().rev().zip(perm.iter().rev()) {
        *slot = (shape.dims()[from], step(from));
    }
    Ok(Box::new(Permute { x: bind.operand(0)?, out: bind.target()?, dims }))
}

impl Kernel for Permute {
    fn name(&self) -> String {
        "permute".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out) = (launch.read(&self.x), launch.output(&self.out));
        let [a, b, c, (len, step)] = self.dims;
        if out.len() == 0 {
            return Ok(());
        }
        launch.pool().run_chunks(a.0 * b.0 * c.0, rows_per_task(len), &|range| {
            let mut row = range.start;
            while row < range.end {
                let first = row % c.0 * c.1 + row / c.0 % b.0 * b.1 + row / c.0 / b.0 * a.1;
                // Rows that lie side by side in `x` are filled together: it is read in whole lines.
                let block = if c.1 == 1 { TOGETHER.min(range.end - row).min(c.0 - row % c.0) } else { 1 };
                // SAFETY: rows of the output are disjoint.
                let out = unsafe { out.slice(row * len..(row + block) * len) };
                if step == 1 {
                    out.copy_from_slice(&x[first..first + block * len]);
                } else {
                    for i in 0..len {
                        let column = out[i..].iter_mut().step_by(len);
                        column.zip(&x[first + i * step..][..block]).for_each(|(out, &x)| *out = x);
                    }
                }
                row += block;
            }
        })?;
        Ok(())
    }
}
