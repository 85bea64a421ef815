//! Rows repeated, one after the other.

use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// Threads of a workgroup, each with one element or vector.
const THREADS: usize = 256;

/// `x [B, T, C]` → `[B, T·times, C]`.
pub(in crate::kernels) fn compile_repeat(bind: &Bind<'_>, times: usize) -> Result<Compiled, DeviceError> {
    let out = bind.out_shape();
    let (element, lanes) = if out.last().is_multiple_of(4) { ("vec4<f32>", 4) } else { ("f32", 1) };
    let len = out.numel() / lanes;
    let mut k = bind.kernel();
    k.bind("x", element, &bind.operand(0)?).bind("y", element, &bind.target()?);
    k.param("len", len).param("width", out.last() / lanes).param("times", times);
    k.source().include(GRID);
    let groups = k.grid(len.div_ceil(THREADS));
    let code = include_str!("repeat.wgsl");
    Ok(Compiled::one(k.finish("repeat_rows", code, [THREADS as u32, 1, 1], groups)?))
}
