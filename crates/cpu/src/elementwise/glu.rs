//! The gated linear unit over the last dimension.

use super::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::math::sigmoid;
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;

struct Glu {
    x: Operand,
    out: Target,
    width: usize,
    isa: Isa,
}

/// Compiles a gated linear unit.
pub(crate) fn compile(bind: &Bind<'_>) -> Result<Box<dyn Kernel>, DeviceError> {
    let (x, out) = (bind.operand(0)?, bind.target()?);
    Ok(Box::new(Glu { x, out, width: bind.out_shape().last(), isa: bind.isa() }))
}

impl Kernel for Glu {
    fn name(&self) -> String {
        format!("glu/{}", self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, width) = (launch.read(&self.x), launch.output(&self.out), self.width);
        let rows = out.len().checked_div(width).unwrap_or(0);
        launch.pool().run_chunks(rows, rows_per_task(width), &|range| {
            for row in range {
                let (a, b) = x[2 * row * width..2 * (row + 1) * width].split_at(width);
                // SAFETY: rows are disjoint.
                unsafe { gate(self.isa, a, b, out.slice(row * width..(row + 1) * width)) };
            }
        })?;
        Ok(())
    }
}

dispatch! {
    /// Writes `a · sigmoid(b)`.
    fn gate(a: &[f32], b: &[f32], y: &mut [f32]) = gate_body;
}

#[inline(always)]
unsafe fn gate_body<S: Simd>(s: S, a: &[f32], b: &[f32], y: &mut [f32]) {
    let (n, a, b, y) = (y.len(), a.as_ptr(), b.as_ptr(), y.as_mut_ptr());
    // SAFETY: all three slices are n long.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= n {
            s.store(y.add(i), s.mul(s.load(a.add(i)), sigmoid(s, s.load(b.add(i)))));
            i += S::LANES;
        }
        if i < n {
            let (a, b) = (s.load_some(a.add(i), n - i), s.load_some(b.add(i), n - i));
            s.store_some(y.add(i), s.mul(a, sigmoid(s, b)), n - i);
        }
    }
}
