//! Convolutions over channels-last input: one channel or pixel of the output to a thread, neighbours in neighbouring lanes.
//!
//! ```text
//! Conv2d           one input channel to an output channel   per_channel: taps in registers, a row of pixels to a thread
//!                  a few                                    direct: an element to a thread
//!                  many                                     tiled: a matrix product over gathered pixels
//! Conv1d, ConvTranspose1d                                   time: a matrix product of windows of frames
//! DepthwiseConv1d                                           depthwise: a window of frames slides through registers
//! ```

mod depthwise;
mod direct;
mod epilogue;
mod geometry;
mod per_channel;
mod tiled;
mod time;

pub(super) use depthwise::compile_depthwise;
pub(super) use time::{compile_over_time, compile_transposed};

use crate::program::{Bind, Compiled};
use geometry::Geometry;
use mynah_device::DeviceError;
use mynah_graph::Conv2d;

/// Threads of a workgroup.
const THREADS: u32 = 256;

/// A 2-D convolution, by the kernel that suits its shape.
pub(super) fn compile_2d(bind: &Bind<'_>, c: &Conv2d) -> Result<Compiled, DeviceError> {
    let Some(g) = Geometry::of(bind, c) else {
        return Err(bind.unsupported("operands of another rank".into()));
    };
    if g.group_in == 1 && (1..=per_channel::MOST_TAPS).contains(&g.taps()) {
        return per_channel::compile(bind, c, &g);
    }
    if g.terms() >= tiled::LEAST_TERMS && g.group_out() >= tiled::LEAST_CHANNELS && g.pixels() > 1 {
        return tiled::compile(bind, c, &g);
    }
    direct::compile(bind, c, &g)
}
