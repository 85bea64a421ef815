//! Means over stretches of rows.

use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;

struct Segments {
    x: Operand,
    out: Target,
    time: usize,
    width: usize,
    len: usize,
    isa: Isa,
}

/// Compiles the means.
pub(crate) fn compile(bind: &Bind<'_>, len: usize) -> Result<Box<dyn Kernel>, DeviceError> {
    let (x, out, shape) = (bind.operand(0)?, bind.target()?, bind.shape(0));
    Ok(Box::new(Segments { x, out, time: shape.dims()[1], width: shape.last(), len, isa: bind.isa() }))
}

impl Kernel for Segments {
    fn name(&self) -> String {
        format!("segment_mean/{}", self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, width) = (launch.read(&self.x), launch.output(&self.out), self.width);
        let each = self.time.div_ceil(self.len);
        launch.pool().run(out.len().checked_div(width).unwrap_or(0), &|task| {
            let (sequence, segment) = (task.index / each, task.index % each);
            let first = segment * self.len;
            let rows = self.len.min(self.time - first);
            let x = &x[(sequence * self.time + first) * width..][..rows * width];
            // SAFETY: each task has a row of its own; the isa was checked by the device.
            unsafe { mean(self.isa, x, out.slice(task.index * width..(task.index + 1) * width)) };
        })?;
        Ok(())
    }
}

dispatch! {
    /// The mean of the rows of `x`, each as long as `y`.
    fn mean(x: &[f32], y: &mut [f32]) = mean_body;
}

/// Rows whose sum joins the total at once: sums of sums keep rounding errors small.
const TOGETHER: usize = 64;

#[inline(always)]
unsafe fn mean_body<S: Simd>(s: S, x: &[f32], y: &mut [f32]) {
    let width = y.len();
    let rows = x.len() / width;
    let share = s.splat(1.0 / rows as f32);
    let mut at = 0;
    while at < width {
        let n = S::LANES.min(width - at);
        let mut total = s.zero();
        let mut first = 0;
        while first < rows {
            let end = rows.min(first + TOGETHER);
            let mut sum = s.zero();
            let mut row = first;
            while row < end {
                // SAFETY: `n` elements of each row follow.
                let x = unsafe {
                    let p = x.as_ptr().add(row * width + at);
                    if n == S::LANES { s.load(p) } else { s.load_some(p, n) }
                };
                sum = s.add(sum, x);
                row += 1;
            }
            total = s.add(total, sum);
            first = end;
        }
        // SAFETY: `n` elements of `y` follow.
        unsafe {
            let (y, mean) = (y.as_mut_ptr().add(at), s.mul(total, share));
            if n == S::LANES { s.store(y, mean) } else { s.store_some(y, mean, n) }
        }
        at += n;
    }
}
