//! Convolutions with few terms or few channels to a group: an element of the output to a thread.

use super::geometry::Geometry;
use super::{THREADS, epilogue};
use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Conv2d;

pub(super) fn compile(bind: &Bind<'_>, c: &Conv2d, g: &Geometry) -> Result<Compiled, DeviceError> {
    let len = bind.out_shape().numel();
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("w", "f32", &bind.operand(1)?);
    k.bind("y", "f32", &bind.target()?);
    k.param("len", len).param("group_in", g.group_in);
    g.params(&mut k, c);
    k.source().constant("KERNEL_Y", g.kernel[0] as u32);
    k.source().constant("KERNEL_X", g.kernel[1] as u32);
    epilogue::attach(&mut k, bind, &c.epilogue)?;
    k.source().include(GRID);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    let code = include_str!("direct.wgsl");
    Ok(Compiled::one(k.finish("conv2d direct", code, [THREADS, 1, 1], groups)?))
}
