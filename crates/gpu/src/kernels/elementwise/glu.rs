//! Gated units: one tensor times a function of another, or the first half of each row times one of the second.

use super::{THREADS, VECTOR, each, width};
use crate::kernels::common::{GRID, function, include_activations};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Activation;

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

/// `a · act(b)`. What the last vector reads beyond the end lies in the padding of its place.
pub(in crate::kernels) fn compile_gated(bind: &Bind<'_>, act: Activation) -> Result<Compiled, DeviceError> {
    let len = bind.out_shape().numel().div_ceil(VECTOR);
    let mut k = bind.kernel();
    for (operand, name) in ["a", "b"].into_iter().enumerate() {
        k.bind(name, "vec4<f32>", &bind.operand(operand)?);
    }
    k.bind("y", "vec4<f32>", &bind.target()?);
    k.param("len", len);
    k.source().include(GRID);
    include_activations(&mut k, bind);
    let gate = each(function(k.source(), act), VECTOR);
    k.source().define("GATE", gate);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish("gated", include_str!("gated.wgsl"), [THREADS, 1, 1], groups)?))
}
