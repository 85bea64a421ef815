//! The transpose of a convolution over time: each frame of the output gathers the taps that reach it.

use crate::epilogue::{BoundEpilogue, Finish};
use crate::memory::{Output, ScratchNeed};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::{Isa, Simd, dispatch};
use crate::weights::ConvKernel;
use mynah_device::DeviceError;
use mynah_graph::ConvTranspose1d;
use std::sync::Arc;

struct Transpose {
    op: ConvTranspose1d,
    x: Operand,
    kernel: Arc<ConvKernel>,
    out: Target,
    epilogue: BoundEpilogue,
    time: usize,
    frames: usize,
    isa: Isa,
}

/// Compiles the convolution.
pub(crate) fn compile(bind: &Bind<'_>, op: &ConvTranspose1d) -> Result<Box<dyn Kernel>, DeviceError> {
    let (kernel, x, y) = (bind.conv_kernel(1)?, bind.shape(0), bind.out_shape());
    if [kernel.inputs, kernel.channels] != [x.last(), y.last()] {
        return Err(bind.misplaced("the prepared weight has another shape"));
    }
    Ok(Box::new(Transpose {
        op: *op,
        x: bind.operand(0)?,
        kernel,
        out: bind.target()?,
        epilogue: BoundEpilogue::new(bind, &op.epilogue, 2)?,
        time: x.dims()[1],
        frames: y.dims()[1],
        isa: bind.isa(),
    }))
}

impl Kernel for Transpose {
    fn name(&self) -> String {
        format!("conv-transpose/{}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        ScratchNeed { shared: 0, private: 4 * self.kernel.channels }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, finish) = (launch.read(&self.x), launch.output(&self.out), self.epilogue.at(launch));
        let (inputs, channels) = (self.kernel.inputs, self.kernel.channels);
        let rows = out.len().checked_div(channels).unwrap_or(0);
        launch.pool().run(rows, &|task| {
            let private = launch.scratch().private(task.thread);
            let (batch, frame) = (task.index / self.frames, task.index % self.frames + self.op.pad[0]);
            let x = &x[batch * self.time * inputs..][..self.time * inputs];
            // SAFETY: each task has a row of its own, the private part belongs to this thread, the isa was checked by the device.
            unsafe {
                let sums = private.slice(0..channels);
                row(self.isa, x, &self.kernel, self.op.stride, frame, sums);
                store(self.isa, &finish, sums, &out, task.index * channels);
            }
        })?;
        Ok(())
    }
}

dispatch! {
    /// The sums of one frame.
    fn row(x: &[f32], kernel: &ConvKernel, stride: usize, frame: usize, sums: &mut [f32]) = row_body;
    /// Finishes them.
    fn store(finish: &Finish<'_>, sums: &[f32], out: &Output<'_, f32>, at: usize) = store_body;
}

#[inline(always)]
unsafe fn row_body<S: Simd>(
    s: S,
    x: &[f32],
    kernel: &ConvKernel,
    stride: usize,
    frame: usize,
    sums: &mut [f32],
) {
    let (inputs, channels) = (kernel.inputs, kernel.channels);
    sums.fill(0.0);
    let mut tap = frame % stride;
    while tap < kernel.taps() && tap <= frame {
        let from = (frame - tap) / stride * inputs;
        if let Some(x) = x.get(from..from + inputs) {
            let weights = &kernel.as_f32()[tap * inputs * channels..][..inputs * channels];
            for (&x, weights) in x.iter().zip(weights.chunks_exact(channels)) {
                let mut at = 0;
                while at < channels {
                    let n = S::LANES.min(channels - at);
                    // SAFETY: `n` channels follow in both.
                    unsafe {
                        let (w, y) = (weights.as_ptr().add(at), sums.as_mut_ptr().add(at));
                        if n == S::LANES {
                            s.store(y, s.fma(s.splat(x), s.load(w), s.load(y)));
                        } else {
                            s.store_some(y, s.fma(s.splat(x), s.load_some(w, n), s.load_some(y, n)), n);
                        }
                    }
                    at += n;
                }
            }
        }
        tap += stride;
    }
}

#[inline(always)]
unsafe fn store_body<S: Simd>(s: S, finish: &Finish<'_>, sums: &[f32], out: &Output<'_, f32>, at: usize) {
    // SAFETY: passed on to the caller.
    unsafe { finish.store(s, sums.as_ptr(), 0, sums.len(), out, at) };
}
