//! The hidden layer of a transducer's joint for the next frames of each clip.

use super::{declare_cursor, tensor};
use crate::kernels::common::GRID;
use crate::kernels::guard;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::TransducerJoin;

/// Threads of a workgroup, each with one element or vector.
const THREADS: u32 = 64;

/// `predicted [B, J]`, `rows [B]` → `[B, ahead, J]`.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, op: &TransducerJoin) -> Result<Compiled, DeviceError> {
    let out = bind.out_shape();
    let (element, lanes) = if out.last().is_multiple_of(4) { ("vec4<f32>", 4) } else { ("f32", 1) };
    let mut k = bind.kernel();
    k.bind("predicted", element, &bind.operand(0)?).bind("rows", "i32", &bind.operand(1)?);
    k.bind("frames", element, &tensor(op.frames.0)).bind("cursors", "f32", &tensor(op.cursors.0));
    k.bind("y", element, &bind.target()?);
    guard::reports(&mut k);
    let len = out.numel() / lanes;
    k.param("len", len).param("width", out.last() / lanes).param("ahead", op.ahead);
    k.param("row", bind.state_row(op.cursors.0))
        .param_rows("cursor_rows", op.cursors.0)
        .param_rows("frame_rows", op.frames.0);
    declare_cursor(k.source());
    k.source().define("TYPE", element);
    k.source().include(GRID);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    let join = k.finish("transducer_join", include_str!("join.wgsl"), [THREADS, 1, 1], groups)?;
    let mut compiled = Compiled::one(join);
    guard::rows(bind, 1, op.cursors.0, false, &mut compiled)?;
    Ok(compiled)
}
