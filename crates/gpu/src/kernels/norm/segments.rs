//! Means of stretches of rows: a workgroup has a segment and some channels, which several threads share row by row.

use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// Channels of a workgroup, and threads to a channel.
const SIDE: [usize; 2] = [32, 8];

/// `x [B, T, C]` → `[B, ⌈T/len⌉, C]`.
pub(in crate::kernels) fn compile_segments(bind: &Bind<'_>, len: usize) -> Result<Compiled, DeviceError> {
    let &[_, time, width] = bind.shape(0).dims() else {
        return Err(bind.unsupported("an operand of another rank".into()));
    };
    let out = bind.out_shape();
    let blocks = width.div_ceil(SIDE[0]);
    let rows = out.numel() / width.max(1);
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("y", "f32", &bind.target()?);
    k.param("rows", rows).param("segments", time.div_ceil(len)).param("time", time);
    // One segment may be longer than numbers go.
    k.param("width", width).param("blocks", blocks).param("len", len.min(time));
    k.source().include(GRID);
    let groups = k.grid(rows * blocks);
    let size = [SIDE[0] as u32, SIDE[1] as u32, 1];
    Ok(Compiled::one(k.finish("segment_mean", include_str!("segments.wgsl"), size, groups)?))
}
