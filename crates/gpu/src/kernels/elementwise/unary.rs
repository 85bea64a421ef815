//! Functions of one element.

use super::{THREADS, VECTOR, each, width};
use crate::kernels::common::{DIRECTION, GRID, TRIGONOMETRY, function, include_activations};
use crate::program::{Bind, Compiled};
use crate::shader::Source;
use mynah_device::DeviceError;
use mynah_graph::Activation;

/// An activation.
pub(in crate::kernels) fn compile_unary(bind: &Bind<'_>, f: Activation) -> Result<Compiled, DeviceError> {
    compile(bind, f.name(), |source| each(function(source, f), VECTOR), [0.0; 2])
}

/// A product with a constant.
pub(in crate::kernels) fn compile_scale(bind: &Bind<'_>, factor: f32) -> Result<Compiled, DeviceError> {
    compile(bind, "scale", |_| "v * p.first".to_owned(), [factor, 0.0])
}

/// The nearest number within two bounds.
pub(in crate::kernels) fn compile_clamp(
    bind: &Bind<'_>,
    min: f32,
    max: f32,
) -> Result<Compiled, DeviceError> {
    // Comparisons, so that what is no number stays none.
    let above = "select(v, vec4(p.first), v < vec4(p.first))";
    let call = format!("select({above}, vec4(p.second), v > vec4(p.second))");
    compile(bind, "clamp", |_| call, [min, max])
}

/// `x + sin²(alpha·x) / (alpha + 1e-9)`, alpha by channel.
pub(in crate::kernels) fn compile_snake(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let shape = bind.out_shape();
    let (element, lanes) = width(&[shape.last()]);
    let len = shape.numel() / lanes;
    let mut k = bind.kernel();
    for (operand, name) in ["x", "alpha"].into_iter().enumerate() {
        k.bind(name, element, &bind.operand(operand)?);
    }
    k.bind("y", element, &bind.target()?);
    k.param("len", len).param("width", shape.last() / lanes);
    for code in [GRID, DIRECTION, TRIGONOMETRY] {
        k.source().include(code);
    }
    k.source().define("WAVE", each("sine_squared", lanes));
    k.source().define("TYPE", element);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish("snake", include_str!("snake.wgsl"), [THREADS, 1, 1], groups)?))
}

fn compile(
    bind: &Bind<'_>,
    name: &str,
    call: impl FnOnce(&mut Source) -> String,
    [first, second]: [f32; 2],
) -> Result<Compiled, DeviceError> {
    let vectors = bind.out_shape().numel().div_ceil(VECTOR);
    let mut k = bind.kernel();
    k.bind("x", "vec4<f32>", &bind.operand(0)?).bind("y", "vec4<f32>", &bind.target()?);
    k.param("len", vectors).param_f32("first", first).param_f32("second", second);
    k.source().include(GRID);
    include_activations(&mut k, bind);
    let call = call(k.source());
    k.source().define("CALL", call);
    let groups = k.grid(vectors.div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish(name, include_str!("unary.wgsl"), [THREADS, 1, 1], groups)?))
}
