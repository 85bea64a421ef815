//! Layer and root-mean-square normalisation of rows.

use super::sum_of;
use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;

struct Norm {
    x: Operand,
    gain: Operand,
    /// Layer normalisation has one, root-mean-square normalisation doesn't.
    bias: Option<Operand>,
    out: Target,
    width: usize,
    eps: f32,
    isa: Isa,
}

/// Compiles a layer normalisation.
pub(crate) fn compile_layer(bind: &Bind<'_>, eps: f32) -> Result<Box<dyn Kernel>, DeviceError> {
    compile(bind, eps, Some(bind.operand(2)?))
}

/// Compiles a root-mean-square normalisation.
pub(crate) fn compile_rms(bind: &Bind<'_>, eps: f32) -> Result<Box<dyn Kernel>, DeviceError> {
    compile(bind, eps, None)
}

fn compile(bind: &Bind<'_>, eps: f32, bias: Option<Operand>) -> Result<Box<dyn Kernel>, DeviceError> {
    let (x, gain, out) = (bind.operand_in_place(0)?, bind.operand(1)?, bind.target()?);
    Ok(Box::new(Norm { x, gain, bias, out, width: bind.out_shape().last(), eps, isa: bind.isa() }))
}

impl Kernel for Norm {
    fn name(&self) -> String {
        let op = if self.bias.is_some() { "layer_norm" } else { "rms_norm" };
        format!("{op}/{}", self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, width) = (launch.view(&self.x), launch.output(&self.out), self.width);
        let (gain, bias) = (launch.read(&self.gain), self.bias.as_ref().map(|b| launch.read(b)));
        let rows = out.len().checked_div(width).unwrap_or(0);
        launch.pool().run_chunks(rows, rows_per_task(2 * width), &|range| {
            for row in range {
                x.at((row + 1) * width);
                out.at((row + 1) * width);
                // SAFETY: rows are disjoint and were just checked against both views.
                unsafe { normalise(self.isa, x.at(row * width), gain, bias, self.eps, out.at(row * width)) };
            }
        })?;
        Ok(())
    }
}

dispatch! {
    /// Normalises one row of `gain.len()` elements; `y` may be `x`.
    fn normalise(x: *const f32, gain: &[f32], bias: Option<&[f32]>, eps: f32, y: *mut f32) = normalise_body;
}

#[inline(always)]
unsafe fn normalise_body<S: Simd>(
    s: S,
    x: *const f32,
    gain: &[f32],
    bias: Option<&[f32]>,
    eps: f32,
    y: *mut f32,
) {
    let n = gain.len();
    // SAFETY: the caller's pointers cover n elements, and so do the slices.
    unsafe {
        // Two passes: the mean first, then the squares about it, so that a large mean costs no digits.
        let mean = if bias.is_some() {
            sum_of(
                s,
                x,
                n,
                #[inline(always)]
                |x| x,
            ) / n as f32
        } else {
            0.0
        };
        let middle = s.splat(mean);
        let squares = sum_of(
            s,
            x,
            n,
            #[inline(always)]
            |x| s.mul(s.sub(x, middle), s.sub(x, middle)),
        );
        let inverse = s.splat(1.0 / (squares / n as f32 + eps).sqrt());
        let (gain, bias) = (gain.as_ptr(), bias.map(<[f32]>::as_ptr));
        let mut i = 0;
        while i + S::LANES <= n {
            let z = s.mul(s.sub(s.load(x.add(i)), middle), inverse);
            let bias = if let Some(bias) = bias { s.load(bias.add(i)) } else { s.zero() };
            s.store(y.add(i), s.fma(z, s.load(gain.add(i)), bias));
            i += S::LANES;
        }
        let rest = n - i;
        if rest > 0 {
            let z = s.mul(s.sub(s.load_some(x.add(i), rest), middle), inverse);
            let bias = if let Some(bias) = bias { s.load_some(bias.add(i), rest) } else { s.zero() };
            s.store_some(y.add(i), s.fma(z, s.load_some(gain.add(i), rest), bias), rest);
        }
    }
}
