//! Functions of one element.

use super::{THREADS, VECTOR, each};
use crate::kernels::common::{GRID, function, include_activations};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Activation;

/// An activation.
pub(in crate::kernels) fn compile_unary(bind: &Bind<'_>, f: Activation) -> Result<Compiled, DeviceError> {
    compile(bind, f.name(), &each(function(f), VECTOR), 1.0)
}

/// A product with a constant.
pub(in crate::kernels) fn compile_scale(bind: &Bind<'_>, factor: f32) -> Result<Compiled, DeviceError> {
    compile(bind, "scale", "v * p.factor", factor)
}

fn compile(bind: &Bind<'_>, name: &str, call: &str, factor: f32) -> Result<Compiled, DeviceError> {
    let vectors = bind.out_shape().numel().div_ceil(VECTOR);
    let mut k = bind.kernel();
    k.bind("x", "vec4<f32>", &bind.operand(0)?).bind("y", "vec4<f32>", &bind.target()?);
    k.param("len", vectors).param_f32("factor", factor);
    k.source().include(GRID);
    include_activations(&mut k, bind);
    k.source().define("CALL", call);
    let groups = k.grid(vectors.div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish(name, include_str!("unary.wgsl"), [THREADS, 1, 1], groups)?))
}
