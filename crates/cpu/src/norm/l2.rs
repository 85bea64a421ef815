//! Rows of length one.

use super::sum_of;
use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;

struct L2 {
    x: Operand,
    out: Target,
    width: usize,
    eps: f32,
    isa: Isa,
}

/// Compiles the normalisation.
pub(crate) fn compile(bind: &Bind<'_>, eps: f32) -> Result<Box<dyn Kernel>, DeviceError> {
    let (x, out) = (bind.operand_in_place(0)?, bind.target()?);
    Ok(Box::new(L2 { x, out, width: bind.out_shape().last(), eps, isa: bind.isa() }))
}

impl Kernel for L2 {
    fn name(&self) -> String {
        format!("l2_norm/{}", self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, width) = (launch.view(&self.x), launch.output(&self.out), self.width);
        let rows = out.len().checked_div(width).unwrap_or(0);
        launch.pool().run_chunks(rows, rows_per_task(2 * width), &|range| {
            for row in range {
                x.at((row + 1) * width);
                out.at((row + 1) * width);
                // SAFETY: rows are disjoint and were just checked against both views.
                unsafe { normalise(self.isa, x.at(row * width), out.at(row * width), width, self.eps) };
            }
        })?;
        Ok(())
    }
}

dispatch! {
    /// Normalises one row of `n` elements; `y` may be `x`.
    fn normalise(x: *const f32, y: *mut f32, n: usize, eps: f32) = normalise_body;
}

#[inline(always)]
unsafe fn normalise_body<S: Simd>(s: S, x: *const f32, y: *mut f32, n: usize, eps: f32) {
    // SAFETY: the caller's pointers cover n elements.
    unsafe {
        let squares = sum_of(
            s,
            x,
            n,
            #[inline(always)]
            |x| s.mul(x, x),
        );
        let inverse = s.splat(1.0 / (squares + eps).sqrt());
        let mut i = 0;
        while i + S::LANES <= n {
            s.store(y.add(i), s.mul(s.load(x.add(i)), inverse));
            i += S::LANES;
        }
        if i < n {
            s.store_some(y.add(i), s.mul(s.load_some(x.add(i), n - i), inverse), n - i);
        }
    }
}
