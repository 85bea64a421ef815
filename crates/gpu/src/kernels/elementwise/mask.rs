//! Rows past a sequence's length become zero.

use super::{THREADS, width};
use crate::check::Limit;
use crate::kernels::{common::GRID, guard};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// `x [B, T, ..]` with the rows at or past `lengths[b]` set to zero.
pub(in crate::kernels) fn compile_mask(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let shape = bind.shape(0);
    let &[batch, time, ..] = shape.dims() else {
        return Err(bind.unsupported(format!("{shape:?} has no batch and time")));
    };
    let sequence = shape.numel().checked_div(batch).unwrap_or(0);
    let row = sequence.checked_div(time).unwrap_or(0);
    let (element, lanes) = width(&[row]);
    let len = shape.numel() / lanes;
    let mut k = bind.kernel();
    k.bind("x", element, &bind.operand(0)?).bind("lengths", "i32", &bind.operand(1)?);
    k.bind("y", element, &bind.target()?);
    k.param("len", len).param("sequence", sequence / lanes).param("row", row / lanes);
    k.source().include(GRID);
    k.source().define("TYPE", element);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    let mask = k.finish("mask_rows", include_str!("mask.wgsl"), [THREADS, 1, 1], groups)?;
    let mut compiled = Compiled::one(mask);
    match bind.check(1, "length", Limit::Fixed(time + 1), false)? {
        Some(check) => compiled.checks.push(check),
        None => compiled.dispatches.insert(0, guard::compile(bind, 1, time + 1)?),
    }
    Ok(compiled)
}
