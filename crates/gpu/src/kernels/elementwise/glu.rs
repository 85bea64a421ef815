//! Gated linear units: the first half of each row times a function of the second.

use super::{THREADS, each, width};
use crate::kernels::common::{GRID, include_activations};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// `x[.., :C] · sigmoid(x[.., C:])`.
pub(in crate::kernels) fn compile_glu(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let out = bind.out_shape();
    let (element, lanes) = width(&[out.last()]);
    let len = out.numel() / lanes;
    let mut k = bind.kernel();
    k.bind("x", element, &bind.operand(0)?).bind("y", element, &bind.target()?);
    k.param("len", len).param("width", out.last() / lanes);
    k.source().include(GRID);
    include_activations(&mut k, bind);
    k.source().define("GATE", each("sigmoid", lanes));
    let groups = k.grid(len.div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish("glu", include_str!("glu.wgsl"), [THREADS, 1, 1], groups)?))
}
