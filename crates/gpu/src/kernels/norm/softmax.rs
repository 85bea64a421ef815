//! Softmax and its logarithm.

use super::rows::Rows;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// `exp(x) / Σ exp(x)` over each row, or its logarithm.
pub(in crate::kernels) fn compile_softmax(bind: &Bind<'_>, log: bool) -> Result<Compiled, DeviceError> {
    let shape = bind.out_shape();
    let rows = Rows::new(shape.numel() / shape.last(), shape.last(), bind.caps());
    let mut k = bind.kernel();
    k.bind("x", rows.element(), &bind.operand(0)?).bind("y", rows.element(), &bind.target()?);
    k.source().flag("LOG", log);
    let (int, first) = if rows.vector == 4 { ("vec4<i32>", ".x") } else { ("i32", "") };
    k.source().define("INT", int);
    k.source().define("FIRST", first);
    let (workgroup, groups) = rows.declare(&mut k);
    let name = if log { "log_softmax" } else { "softmax" };
    Ok(Compiled::one(k.finish(name, include_str!("softmax.wgsl"), workgroup, groups)?))
}
