//! Softmax and its logarithm over the last dimension.

use super::sum_of;
use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::math::exp;
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;

struct Softmax {
    x: Operand,
    out: Target,
    width: usize,
    log: bool,
    isa: Isa,
}

/// Compiles a softmax, or its logarithm.
pub(crate) fn compile(bind: &Bind<'_>, log: bool) -> Result<Box<dyn Kernel>, DeviceError> {
    let (x, out) = (bind.operand_in_place(0)?, bind.target()?);
    Ok(Box::new(Softmax { x, out, width: bind.out_shape().last(), log, isa: bind.isa() }))
}

impl Kernel for Softmax {
    fn name(&self) -> String {
        format!("{}softmax/{}", if self.log { "log_" } else { "" }, self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, width) = (launch.view(&self.x), launch.output(&self.out), self.width);
        let rows = out.len().checked_div(width).unwrap_or(0);
        launch.pool().run_chunks(rows, rows_per_task(4 * width), &|range| {
            for row in range {
                x.at((row + 1) * width);
                out.at((row + 1) * width);
                // SAFETY: rows are disjoint and were just checked against both views.
                unsafe { softmax(self.isa, self.log, x.at(row * width), out.at(row * width), width) };
            }
        })?;
        Ok(())
    }
}

dispatch! {
    /// The (log) softmax of `n` elements; `y` may be `x`.
    fn softmax(log: bool, x: *const f32, y: *mut f32, n: usize) = softmax_body;
}

#[inline(always)]
unsafe fn softmax_body<S: Simd>(s: S, log: bool, x: *const f32, y: *mut f32, n: usize) {
    // SAFETY: the caller's pointers cover n elements.
    unsafe {
        let top = s.splat(largest(s, x, n));
        let sum = sum_of(
            s,
            x,
            n,
            #[inline(always)]
            |x| exp(s, s.sub(x, top)),
        );
        let (shift, factor) = (s.splat(sum.ln()), s.splat(1.0 / sum));
        let mut i = 0;
        while i + S::LANES <= n {
            let d = s.sub(s.load(x.add(i)), top);
            s.store(y.add(i), if log { s.sub(d, shift) } else { s.mul(exp(s, d), factor) });
            i += S::LANES;
        }
        if i < n {
            let d = s.sub(s.load_some(x.add(i), n - i), top);
            let d = if log { s.sub(d, shift) } else { s.mul(exp(s, d), factor) };
            s.store_some(y.add(i), d, n - i);
        }
    }
}

/// The largest of `n` elements, negative infinity for none.
#[inline(always)]
unsafe fn largest<S: Simd>(s: S, x: *const f32, n: usize) -> f32 {
    // SAFETY: the caller's pointer covers n elements.
    unsafe {
        let mut top = s.splat(f32::NEG_INFINITY);
        let mut i = 0;
        while i + S::LANES <= n {
            top = s.max(top, s.load(x.add(i)));
            i += S::LANES;
        }
        (i..n).fold(s.largest(top), |top, i| top.max(*x.add(i)))
    }
}
