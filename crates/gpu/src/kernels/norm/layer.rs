//! Normalisation of rows by their own statistics.

use super::rows::Rows;
use crate::kernels::common::bind_result;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// `(x − mean) / sqrt(variance + eps) · gain + bias`.
pub(in crate::kernels) fn compile_layer(bind: &Bind<'_>, eps: f32) -> Result<Compiled, DeviceError> {
    compile(bind, "layer_norm", include_str!("layer.wgsl"), eps, true)
}

/// `x / sqrt(mean of x² + eps) · gain`.
pub(in crate::kernels) fn compile_rms(bind: &Bind<'_>, eps: f32) -> Result<Compiled, DeviceError> {
    compile(bind, "rms_norm", include_str!("rms.wgsl"), eps, false)
}

/// `x / sqrt(sum of x² + eps)`.
pub(in crate::kernels) fn compile_l2(bind: &Bind<'_>, eps: f32) -> Result<Compiled, DeviceError> {
    let shape = bind.out_shape();
    let rows = Rows::new(shape.numel() / shape.last(), shape.last(), bind.caps());
    let mut k = bind.kernel();
    k.bind("x", rows.element(), &bind.operand(0)?).bind("y", rows.element(), &bind.target()?);
    k.param_f32("eps", eps);
    let (workgroup, groups) = rows.declare(&mut k);
    Ok(Compiled::one(k.finish("l2_norm", include_str!("l2.wgsl"), workgroup, groups)?))
}

fn compile(bind: &Bind<'_>, name: &str, code: &str, eps: f32, bias: bool) -> Result<Compiled, DeviceError> {
    let shape = bind.out_shape();
    let rows = Rows::new(shape.numel() / shape.last(), shape.last(), bind.caps());
    let mut k = bind.kernel();
    k.bind("x", rows.element(), &bind.operand(0)?).bind("gain", rows.element(), &bind.operand(1)?);
    if bias {
        k.bind("bias", rows.element(), &bind.operand(2)?);
    }
    bind_result(&mut k, bind, rows.element())?;
    k.param_f32("width", rows.width as f32).param_f32("eps", eps);
    let (workgroup, groups) = rows.declare(&mut k);
    Ok(Compiled::one(k.finish(name, code, workgroup, groups)?))
}
