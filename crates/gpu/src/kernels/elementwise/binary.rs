//! Functions of two elements, the second operand broadcast to the first.

use super::THREADS;
use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::BinaryOp;
use mynah_tensor::MAX_RANK;

/// Names of the immediates: extents of the first operand, strides of the second.
const EXTENTS: [&str; 4] = ["d0", "d1", "d2", "d3"];
const STRIDES: [&str; 4] = ["s0", "s1", "s2", "s3"];
const _: () = assert!(MAX_RANK <= 4);

/// `a op b`.
pub(in crate::kernels) fn compile_binary(bind: &Bind<'_>, op: BinaryOp) -> Result<Compiled, DeviceError> {
    let (a, b) = (bind.shape(0), bind.shape(1));
    let len = a.numel();
    let mut extents = [1; 4];
    let mut strides = [0; 4];
    let first = 4 - a.rank();
    extents[first..].copy_from_slice(a.dims());
    let mut stride = 1;
    for (axis, &extent) in b.dims().iter().enumerate().rev() {
        let axis = 4 - b.rank() + axis;
        strides[axis] = if extent == 1 { 0 } else { stride };
        stride *= extent;
    }
    let mut k = bind.kernel();
    k.bind("a", "f32", &bind.operand(0)?).bind("b", "f32", &bind.operand(1)?);
    k.bind("y", "f32", &bind.target()?);
    k.param("len", len);
    k.source().flag("SAME", a == b);
    if a != b {
        for axis in 0..4 {
            k.param(EXTENTS[axis], extents[axis]).param(STRIDES[axis], strides[axis]);
        }
    }
    let (name, sign) = match op {
        BinaryOp::Add => ("add", "+"),
        BinaryOp::Sub => ("sub", "-"),
        BinaryOp::Mul => ("mul", "*"),
        BinaryOp::Div => ("div", "/"),
    };
    k.source().define("SIGN", sign);
    k.source().include(GRID);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish(name, include_str!("binary.wgsl"), [THREADS, 1, 1], groups)?))
}
