//! Rows past a sequence's length become zero.

use super::THREADS;
use crate::check::Limit;
use crate::kernels::{common::GRID, guard};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// `x [B, T, ..]` with the rows at or past `lengths[b]` set to zero.
pub(in crate::kernels) fn compile_mask(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let shape = bind.shape(0);
    let [batch, time] = [shape.dims()[0], shape.dims()[1]];
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("lengths", "i32", &bind.operand(1)?);
    k.bind("y", "f32", &bind.target()?);
    let sequence = shape.numel() / batch;
    k.param("len", shape.numel()).param("sequence", sequence).param("row", sequence / time);
    k.source().include(GRID);
    let groups = k.grid(shape.numel().div_ceil(THREADS as usize));
    let mask = k.finish("mask_rows", include_str!("mask.wgsl"), [THREADS, 1, 1], groups)?;
    let mut compiled = Compiled::one(mask);
    match bind.check(1, "length", Limit::Fixed(time + 1), false)? {
        Some(check) => compiled.checks.push(check),
        None => compiled.dispatches.insert(0, guard::compile(bind, 1, time + 1)?),
    }
    Ok(compiled)
}
