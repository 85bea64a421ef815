//! Functions of one element.

use super::THREADS;
use crate::kernels::common::{ACTIVATIONS, GRID, function};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Activation;

/// An activation.
pub(in crate::kernels) fn compile_unary(bind: &Bind<'_>, f: Activation) -> Result<Compiled, DeviceError> {
    let call = format!("{}(v)", function(f));
    compile(bind, f.name(), &call, 1.0)
}

/// A product with a constant.
pub(in crate::kernels) fn compile_scale(bind: &Bind<'_>, factor: f32) -> Result<Compiled, DeviceError> {
    compile(bind, "scale", "v * p.factor", factor)
}

fn compile(bind: &Bind<'_>, name: &str, call: &str, factor: f32) -> Result<Compiled, DeviceError> {
    let len = bind.out_shape().numel();
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("y", "f32", &bind.target()?);
    k.param("len", len).param_f32("factor", factor);
    k.source().include(GRID);
    k.source().include(ACTIVATIONS);
    k.source().define("CALL", call);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish(name, include_str!("unary.wgsl"), [THREADS, 1, 1], groups)?))
}
