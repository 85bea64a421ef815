//! Functions of two elements, the second operand broadcast to the first.

use super::{THREADS, VECTOR};
use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::BinaryOp;
use mynah_tensor::{MAX_RANK, Shape};

/// Names of the immediates: extents of the first operand, strides of the second.
const EXTENTS: [&str; MAX_RANK] = ["d0", "d1", "d2", "d3"];
const STRIDES: [&str; MAX_RANK] = ["s0", "s1", "s2", "s3"];
/// The last axis.
const LAST: usize = MAX_RANK - 1;

/// How a thread reads its operands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// Both as they lie.
    Same,
    /// Vectors of both.
    Vectors,
    /// A vector of the first, one element of the second.
    Splat,
    /// One element of each.
    Scalar,
}

/// `a op b`.
pub(in crate::kernels) fn compile_binary(bind: &Bind<'_>, op: BinaryOp) -> Result<Compiled, DeviceError> {
    let (a, b) = (bind.shape(0), bind.shape(1));
    let (mut extents, mut strides) = merged(a, b);
    let whole = extents[LAST].is_multiple_of(VECTOR);
    let variant = match strides[LAST] {
        _ if a == b => Variant::Same,
        1 if whole && strides[..LAST].iter().all(|s| s.is_multiple_of(VECTOR)) => Variant::Vectors,
        0 if whole => Variant::Splat,
        _ => Variant::Scalar,
    };
    let vector = "vec4<f32>";
    let (left, right, lanes) = match variant {
        Variant::Same | Variant::Vectors => (vector, vector, VECTOR),
        Variant::Splat => (vector, "f32", VECTOR),
        Variant::Scalar => ("f32", "f32", 1),
    };
    let len = a.numel().div_ceil(lanes);
    extents[LAST] /= lanes;
    if variant == Variant::Vectors {
        strides[..LAST].iter_mut().for_each(|s| *s /= VECTOR);
    }
    let mut k = bind.kernel();
    k.bind("a", left, &bind.operand(0)?).bind("b", right, &bind.operand(1)?);
    k.bind("y", left, &bind.target()?);
    k.param("len", len);
    k.source().flag("SAME", variant == Variant::Same);
    if variant != Variant::Same {
        for axis in 0..MAX_RANK {
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

/// The extents of `a` and for each the stride of `b`, axes that `b` steps through alike taken together, so that the last is
/// as long as can be.
fn merged(a: Shape, b: Shape) -> ([usize; MAX_RANK], [usize; MAX_RANK]) {
    let mut axes: Vec<(usize, usize)> = Vec::with_capacity(MAX_RANK);
    let mut step = 1;
    let b_extents = b.dims().iter().rev().copied().chain(std::iter::repeat(1));
    for (&extent, of_b) in a.dims().iter().rev().zip(b_extents) {
        let stride = if of_b == 1 { 0 } else { step };
        step *= of_b;
        match axes.last_mut() {
            _ if extent == 1 => {}
            Some((inner, inner_stride)) if stride == *inner_stride * *inner => *inner *= extent,
            _ => axes.push((extent, stride)),
        }
    }
    let (mut extents, mut strides) = ([1; MAX_RANK], [0; MAX_RANK]);
    for (i, (extent, stride)) in axes.into_iter().enumerate() {
        (extents[LAST - i], strides[LAST - i]) = (extent, stride);
    }
    (extents, strides)
}

#[cfg(test)]
mod tests {
    use super::merged;
    use mynah_tensor::Shape;

    fn of(a: &[usize], b: &[usize]) -> ([usize; 4], [usize; 4]) {
        merged(Shape::new(a).unwrap(), Shape::new(b).unwrap())
    }

    #[test]
    fn axes_stepped_through_alike_are_one() {
        // A bias: every row starts again.
        assert_eq!(of(&[2, 17, 512], &[512]), ([1, 1, 34, 512], [0, 0, 0, 1]));
        assert_eq!(of(&[2, 17, 33], &[17, 1]), ([1, 2, 17, 33], [0, 0, 1, 0]));
        assert_eq!(of(&[3, 5, 31], &[3, 1, 1]), ([1, 1, 3, 155], [0, 0, 1, 0]));
        assert_eq!(of(&[3, 5, 31], &[3, 1, 31]), ([1, 3, 5, 31], [0, 31, 0, 1]));
        assert_eq!(of(&[7, 19], &[]), ([1, 1, 1, 133], [0, 0, 0, 0]));
        assert_eq!(of(&[2, 3, 4, 5], &[3, 1, 5]), ([2, 3, 4, 5], [0, 5, 0, 1]));
        assert_eq!(of(&[2, 1, 6], &[2, 1, 6]), ([1, 1, 1, 12], [0, 0, 0, 1]));
    }
}
