//! Batch normalisation with stored statistics, and the factor it is folded to.

use crate::elementwise::rows_per_task;
use crate::memory::ScratchNeed;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;

struct BatchNorm {
    x: Operand,
    /// Gain, bias, mean, variance.
    parameters: [Operand; 4],
    out: Target,
    width: usize,
    eps: f32,
    isa: Isa,
}

struct BatchNormScale {
    gain: Operand,
    variance: Operand,
    out: Target,
    eps: f32,
}

/// Compiles a batch normalisation.
pub(crate) fn compile(bind: &Bind<'_>, eps: f32) -> Result<Box<dyn Kernel>, DeviceError> {
    let parameters = [bind.operand(1)?, bind.operand(2)?, bind.operand(3)?, bind.operand(4)?];
    let (x, out, width) = (bind.operand_in_place(0)?, bind.target()?, bind.out_shape().last());
    Ok(Box::new(BatchNorm { x, parameters, out, width, eps, isa: bind.isa() }))
}

/// Compiles the factor of a folded batch normalisation.
pub(crate) fn compile_scale(bind: &Bind<'_>, eps: f32) -> Result<Box<dyn Kernel>, DeviceError> {
    let (gain, variance) = (bind.operand(0)?, bind.operand(1)?);
    Ok(Box::new(BatchNormScale { gain, variance, out: bind.target()?, eps }))
}

impl Kernel for BatchNorm {
    fn name(&self) -> String {
        format!("batch_norm/{}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        ScratchNeed { shared: 4 * self.width, private: 0 }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, width) = (launch.view(&self.x), launch.output(&self.out), self.width);
        let [gain, bias, mean, variance] = self.parameters.each_ref().map(|p| launch.read(p));
        // SAFETY: only this thread runs; the tasks below only read.
        let factor = unsafe { launch.scratch().shared(0, width).slice(0..width) };
        fold(gain, variance, self.eps, factor);
        let factor = &*factor;
        let rows = out.len().checked_div(width).unwrap_or(0);
        launch.pool().run_chunks(rows, rows_per_task(width), &|range| {
            for row in range {
                x.at((row + 1) * width);
                out.at((row + 1) * width);
                // SAFETY: rows are disjoint and were just checked against both views.
                unsafe { shift(self.isa, x.at(row * width), mean, factor, bias, out.at(row * width)) };
            }
        })?;
        Ok(())
    }
}

impl Kernel for BatchNormScale {
    fn name(&self) -> String {
        "batch_norm_scale".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let out = launch.output(&self.out);
        // SAFETY: only this thread runs.
        let out = unsafe { out.slice(0..out.len()) };
        fold(launch.read(&self.gain), launch.read(&self.variance), self.eps, out);
        Ok(())
    }
}

/// `gain / sqrt(variance + eps)`, in double precision: a small variance next to `eps` costs no digits.
fn fold(gain: &[f32], variance: &[f32], eps: f32, out: &mut [f32]) {
    for ((out, &gain), &variance) in out.iter_mut().zip(gain).zip(variance) {
        *out = (f64::from(gain) / (f64::from(variance) + f64::from(eps)).sqrt()) as f32;
    }
}

dispatch! {
    /// Writes `(x − mean) · factor + bias`; `y` may be `x`.
    fn shift(x: *const f32, mean: &[f32], factor: &[f32], bias: &[f32], y: *mut f32) = shift_body;
}

#[inline(always)]
unsafe fn shift_body<S: Simd>(s: S, x: *const f32, mean: &[f32], factor: &[f32], bias: &[f32], y: *mut f32) {
    let n = mean.len();
    let (mean, factor, bias) = (mean.as_ptr(), factor.as_ptr(), bias.as_ptr());
    // SAFETY: the caller's pointers cover n elements, and so do the slices.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= n {
            let d = s.sub(s.load(x.add(i)), s.load(mean.add(i)));
            s.store(y.add(i), s.fma(d, s.load(factor.add(i)), s.load(bias.add(i))));
            i += S::LANES;
        }
        let rest = n - i;
        if rest > 0 {
            let d = s.sub(s.load_some(x.add(i), rest), s.load_some(mean.add(i), rest));
            let (factor, bias) = (s.load_some(factor.add(i), rest), s.load_some(bias.add(i), rest));
            s.store_some(y.add(i), s.fma(d, factor, bias), rest);
        }
    }
}
