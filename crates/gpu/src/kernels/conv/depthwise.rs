//! Depthwise convolutions over time: a channel and a few frames to a thread.
//!
//! Every frame that a thread needs is read once and stays in a register until the last output that needs it is done: the
//! registers are a ring whose places are fixed by writing out as many taps as it has. A workgroup's kernels lie behind each
//! other, so they come through workgroup memory in whole runs.

use super::{THREADS, epilogue};
use crate::kernels::common::{GRID, bind_result};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Epilogue;
use std::fmt::Write as _;

/// Most channels of a workgroup.
const LANES: usize = 64;
/// Frames of a thread where there are enough of them to keep a large adapter busy, and where there aren't.
const FRAMES: [usize; 2] = [8, 4];
/// Workgroups that do.
const BUSY: usize = 1024;
/// Bytes of workgroup memory that kernels may take.
const STAGED: usize = 16 << 10;

/// `x [B, T, C]` with a kernel `[C, 1, K]`, padded by zero frames on both sides.
pub(in crate::kernels) fn compile_depthwise(
    bind: &Bind<'_>,
    pad: [usize; 2],
    e: &Epilogue,
) -> Result<Compiled, DeviceError> {
    let (x, y) = (bind.shape(0), bind.out_shape());
    let (&[_, time, channels], &[batch, time_out, _]) = (x.dims(), y.dims()) else {
        return Err(bind.unsupported("operands of another rank".into()));
    };
    let taps = bind.shape(1).last();
    if taps == 0 {
        return Err(bind.unsupported("a kernel without taps".into()));
    }
    let lanes = channels.next_power_of_two().min(LANES);
    let rows = THREADS as usize / lanes;
    let blocks = channels.div_ceil(lanes);
    let count = |frames: usize| batch * time_out.div_ceil(frames * rows) * blocks;
    let frames = if count(FRAMES[0]) >= BUSY { FRAMES[0] } else { FRAMES[1] };
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("w", "f32", &bind.operand(1)?);
    let kept = bind_result(&mut k, bind, "f32")?;
    k.param("batch", batch).param("time", time).param("time_out", time_out).param("channels", channels);
    k.param("left", pad[0]).param("blocks", blocks).param("chunks", time_out.div_ceil(frames * rows));
    epilogue::attach(&mut k, bind, e)?;
    let source = k.source();
    source.constant("TAPS", taps as u32);
    source.constant("FRAMES", frames as u32);
    // An odd pitch puts the same tap of all channels into different banks.
    source.flag("STAGED", 4 * lanes * (taps | 1) <= STAGED);
    source.define("WINDOW", window(frames));
    source.define("ROUND", round(frames, frames, "tap"));
    source.define("REST", round(frames, taps % frames, "ROUNDS"));
    source.define("STORE", store(frames, kept));
    source.include(GRID);
    let groups = k.grid(count(frames));
    let (code, size) = (include_str!("depthwise.wgsl"), [lanes as u32, rows as u32, 1]);
    Ok(Compiled::one(k.finish("depthwise_conv1d", code, size, groups)?))
}

/// The sums, and all frames of the first window but the last. Writing to a String can't fail, here and below.
fn window(frames: usize) -> String {
    let mut code = String::new();
    for i in 0..frames {
        let _ = writeln!(code, "var sum{i} = 0.0;");
    }
    for i in 0..frames - 1 {
        let _ = writeln!(code, "var f{i} = frame(start, first + {i}u);");
    }
    let _ = writeln!(code, "var f{} = 0.0;", frames - 1);
    code
}

/// `taps` taps from `tap` on, no more than the window has frames.
fn round(frames: usize, taps: usize, tap: &str) -> String {
    let mut code = String::new();
    for i in 0..taps {
        let last = (i + frames - 1) % frames;
        let _ = writeln!(code, "f{last} = frame(start, first + {tap} + {}u);", i + frames - 1);
        let _ = writeln!(code, "let w{i} = kernel(channel, lane.x, {tap} + {i}u);");
        for sum in 0..frames {
            let _ = writeln!(code, "sum{sum} += w{i} * f{};", (i + sum) % frames);
        }
    }
    code
}

fn store(frames: usize, kept: &str) -> String {
    let mut code = String::new();
    for i in 0..frames {
        let _ = writeln!(code, "if first + {i}u < p.time_out {{ let at = to + {i}u * p.channels;");
        let _ = writeln!(code, "y[at] = {kept}(finish(sum{i}, at, channel)); }}");
    }
    code
}
