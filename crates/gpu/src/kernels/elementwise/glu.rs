//! Gated linear units: the first half of each row times a function of the second.

use super::THREADS;
use crate::kernels::common::{ACTIVATIONS, GRID};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// `x[.., :C] · sigmoid(x[.., C:])`.
pub(in crate::kernels) fn compile_glu(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let out = bind.out_shape();
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("y", "f32", &bind.target()?);
    k.param("len", out.numel()).param("width", out.last());
    k.source().include(GRID);
    k.source().include(ACTIVATIONS);
    let groups = k.grid(out.numel().div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish("glu", include_str!("glu.wgsl"), [THREADS, 1, 1], groups)?))
}
