//! Normalisation by stored statistics.

use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

const THREADS: u32 = 256;

/// `(x − mean) / sqrt(variance + eps) · gain + bias`, all but `x` by channel.
pub(in crate::kernels) fn compile_batch(bind: &Bind<'_>, eps: f32) -> Result<Compiled, DeviceError> {
    let shape = bind.out_shape();
    let vector = if shape.last().is_multiple_of(4) { 4 } else { 1 };
    let element = if vector == 4 { "vec4<f32>" } else { "f32" };
    let len = shape.numel() / vector;
    let mut k = bind.kernel();
    for (operand, name) in ["x", "gain", "bias", "mean", "variance"].into_iter().enumerate() {
        k.bind(name, element, &bind.operand(operand)?);
    }
    k.bind("y", element, &bind.target()?);
    k.param("len", len).param("channels", shape.last() / vector).param_f32("eps", eps);
    k.source().include(GRID);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish("batch_norm", include_str!("batch.wgsl"), [THREADS, 1, 1], groups)?))
}

/// `gain / sqrt(variance + eps)`.
pub(in crate::kernels) fn compile_batch_scale(bind: &Bind<'_>, eps: f32) -> Result<Compiled, DeviceError> {
    let len = bind.out_shape().numel();
    let mut k = bind.kernel();
    k.bind("gain", "f32", &bind.operand(0)?).bind("variance", "f32", &bind.operand(1)?);
    k.bind("y", "f32", &bind.target()?);
    k.param("len", len).param_f32("eps", eps);
    k.source().include(GRID);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    let code = include_str!("batch_scale.wgsl");
    Ok(Compiled::one(k.finish("batch_norm_scale", code, [THREADS, 1, 1], groups)?))
}
