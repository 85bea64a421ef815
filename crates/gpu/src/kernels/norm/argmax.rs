//! The index of the largest element of each row.

use super::rows::Rows;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// The first index of the largest element; what is no number is never the largest.
pub(in crate::kernels) fn compile_argmax(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let rows = Rows::new(bind.out_shape().numel(), bind.shape(0).last(), bind.caps());
    let mut k = bind.kernel();
    k.bind("x", rows.element(), &bind.operand(0)?).bind("y", "i32", &bind.target()?);
    let (workgroup, groups) = rows.declare(&mut k);
    Ok(Compiled::one(k.finish("argmax", include_str!("argmax.wgsl"), workgroup, groups)?))
}
