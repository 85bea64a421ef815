//! What a product does to its sums before it stores them, fused into matrix products and convolutions.

use crate::memory::{Input, Output};
use crate::program::{Bind, Launch, Operand};
use crate::simd::Simd;
use crate::simd::math::activate;
use mynah_device::DeviceError;
use mynah_graph::{Activation, Epilogue};

/// An epilogue bound to its operands.
#[derive(Debug)]
pub(crate) struct BoundEpilogue {
    bias: Option<Operand>,
    residual: Option<Operand>,
    activation: Option<Activation>,
    scale: f32,
}

/// An epilogue during a run.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    bias: Option<&'a [f32]>,
    /// Of the output's shape; may be the output's memory.
    residual: Option<Input<'a, f32>>,
    activation: Option<Activation>,
    scale: f32,
}

impl BoundEpilogue {
    /// Binds the operands that follow `own` operands of the op.
    pub(crate) fn new(bind: &Bind<'_>, e: &Epilogue, own: usize) -> Result<Self, DeviceError> {
        let (bias, residual) = bind.epilogue(e, own)?;
        Ok(Self { bias, residual, activation: e.activation, scale: e.scale })
    }

    /// Resolves the operands.
    pub(crate) fn at<'a>(&'a self, launch: &'a Launch<'_>) -> Finish<'a> {
        Finish {
            bias: self.bias.as_ref().map(|b| launch.read(b)),
            residual: self.residual.as_ref().map(|r| launch.view(r)),
            activation: self.activation,
            scale: self.scale,
        }
    }
}

impl Finish<'_> {
    /// The sums as they are.
    pub(crate) fn plain() -> Self {
        Self { bias: None, residual: None, activation: None, scale: 1.0 }
    }

    /// Finishes `len` sums and writes them to `out[at..]`; they belong to the channels from `channel` on.
    ///
    /// # Safety
    /// `sums` must cover `len` elements, and nobody else may touch that stretch of the output.
    #[inline(always)]
    pub(crate) unsafe fn store<S: Simd>(
        &self,
        s: S,
        sums: *const f32,
        channel: usize,
        len: usize,
        out: &Output<'_, f32>,
        at: usize,
    ) {
        let end = out.at(at + len);
        let bias = self.bias.map(|b| b[channel..channel + len].as_ptr());
        let residual = self.residual.as_ref().map(|r| {
            r.at(at + len);
            r.at(at)
        });
        // SAFETY: all four stretches are `len` long; a residual that is the output is read before it is written.
        unsafe {
            let out = end.sub(len);
            let mut i = 0;
            while i + S::LANES <= len {
                let mut y = s.load(sums.add(i));
                if let Some(bias) = bias {
                    y = s.add(y, s.load(bias.add(i)));
                }
                y = self.finish(s, y);
                if let Some(residual) = residual {
                    y = s.add(y, s.load(residual.add(i)));
                }
                s.store(out.add(i), y);
                i += S::LANES;
            }
            let rest = len - i;
            if rest > 0 {
                let mut y = s.load_some(sums.add(i), rest);
                if let Some(bias) = bias {
                    y = s.add(y, s.load_some(bias.add(i), rest));
                }
                y = self.finish(s, y);
                if let Some(residual) = residual {
                    y = s.add(y, s.load_some(residual.add(i), rest));
                }
                s.store_some(out.add(i), y, rest);
            }
        }
    }

    /// Finishes a tile: `rows` rows of `len` sums, `stride` apart, to the rows of `out` that begin at `at` and are
    /// `row` elements apart.
    ///
    /// # Safety
    /// `sums` must cover the rows, and nobody else may touch those stretches of the output.
    #[inline(always)]
    pub(crate) unsafe fn store_tile<S: Simd>(
        &self,
        s: S,
        (sums, stride): (*const f32, usize),
        rows: usize,
        channel: usize,
        len: usize,
        out: &Output<'_, f32>,
        (at, row): (usize, usize),
    ) {
        let whole = 2 * S::LANES;
        if len != whole || rows == 0 {
            let mut r = 0;
            while r < rows {
                // SAFETY: passed on to the caller.
                unsafe { self.store(s, sums.add(r * stride), channel, len, out, at + r * row) };
                r += 1;
            }
            return;
        }
        let bias = self.bias.map(|b| b[channel..channel + len].as_ptr());
        let end = at + (rows - 1) * row + len;
        // The last element's place is checked, those before it are nearer.
        let out = out.at(end);
        let residual = self.residual.as_ref().map(|r| r.at(end));
        // SAFETY: the stretches end where was just checked; a residual that is the output is read before it is
        // written.
        unsafe {
            let (low, high) = match bias {
                Some(bias) => (s.load(bias), s.load(bias.add(S::LANES))),
                None => (s.zero(), s.zero()),
            };
            let mut r = 0;
            while r < rows {
                let sums = sums.add(r * stride);
                let before = (rows - 1 - r) * row + len;
                let (mut y, mut z) = (s.load(sums), s.load(sums.add(S::LANES)));
                if bias.is_some() {
                    (y, z) = (s.add(y, low), s.add(z, high));
                }
                (y, z) = (self.finish(s, y), self.finish(s, z));
                if let Some(residual) = residual {
                    let residual = residual.sub(before);
                    (y, z) = (s.add(y, s.load(residual)), s.add(z, s.load(residual.add(S::LANES))));
                }
                let out = out.sub(before);
                s.store(out, y);
                s.store(out.add(S::LANES), z);
                r += 1;
            }
        }
    }

    /// What comes between bias and residual.
    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, sum: S::F) -> S::F {
        let y = match self.activation {
            Some(f) => activate(s, f, sum),
            None => sum,
        };
        if self.scale == 1.0 { y } else { s.mul(y, s.splat(self.scale)) }
    }
}
