//! The periodic activation of BigVGAN and HiFT: `x + sin²(alpha·x) / (alpha + 1e-9)`, a frequency for each channel.
//!
//! Vectors run along the channels. A vector's frequencies and their reciprocals stay in registers for all rows of a task, so that
//! nothing is divided per element.

use super::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::trigonometry::sin_squared;
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;

/// Keeps the reciprocal of a frequency of zero finite; that of the reference implementations.
const LEAST: f32 = 1e-9;

struct Snake {
    x: Operand,
    alpha: Operand,
    out: Target,
    width: usize,
    isa: Isa,
}

/// Compiles the activation.
pub(crate) fn compile(bind: &Bind<'_>) -> Result<Box<dyn Kernel>, DeviceError> {
    let (x, alpha, out) = (bind.operand_in_place(0)?, bind.operand(1)?, bind.target()?);
    Ok(Box::new(Snake { x, alpha, out, width: bind.out_shape().last(), isa: bind.isa() }))
}

impl Kernel for Snake {
    fn name(&self) -> String {
        format!("snake/{}", self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, width) = (launch.view(&self.x), launch.output(&self.out), self.width);
        let alpha = launch.read(&self.alpha);
        let rows = out.len().checked_div(width).unwrap_or(0);
        launch.pool().run_chunks(rows, rows_per_task(4 * width), &|range| {
            let (from, to) = (range.start * width, range.end * width);
            x.at(to);
            out.at(to);
            // SAFETY: rows are disjoint and were just checked against both views.
            unsafe { wave(self.isa, x.at(from), out.at(from), range.len(), alpha) };
        })?;
        Ok(())
    }
}

dispatch! {
    /// The activation of `rows` rows; `y` may be `x`.
    fn wave(x: *const f32, y: *mut f32, rows: usize, alpha: &[f32]) = wave_body;
}

#[inline(always)]
fn of<S: Simd>(s: S, x: S::F, alpha: S::F, inverse: S::F) -> S::F {
    s.fma(sin_squared(s, s.mul(alpha, x)), inverse, x)
}

#[inline(always)]
unsafe fn wave_body<S: Simd>(s: S, x: *const f32, y: *mut f32, rows: usize, alpha: &[f32]) {
    let width = alpha.len();
    let mut channel = 0;
    while channel < width {
        let n = S::LANES.min(width - channel);
        // SAFETY: the caller's pointers cover the rows, of which `n` channels follow.
        unsafe {
            let at = alpha.as_ptr().add(channel);
            let alpha = if n == S::LANES { s.load(at) } else { s.load_some(at, n) };
            let inverse = s.div(s.splat(1.0), s.add(alpha, s.splat(LEAST)));
            let mut row = 0;
            while row < rows {
                let (x, y) = (x.add(row * width + channel), y.add(row * width + channel));
                if n == S::LANES {
                    s.store(y, of(s, s.load(x), alpha, inverse));
                } else {
                    s.store_some(y, of(s, s.load_some(x, n), alpha, inverse), n);
                }
                row += 1;
            }
        }
        channel += n;
    }
}
