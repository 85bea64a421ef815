//! Axes in another order.
//!
//! Axes that stay beside each other are one. Where the last axis then stays last, whole runs are moved; where it doesn't, tiles
//! of the two axes that are contiguous before and after are turned in workgroup memory, so that both sides are accessed in
//! runs.

use super::{THREADS, width};
use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_tensor::MAX_RANK;

const EXTENTS: [&str; MAX_RANK] = ["d0", "d1", "d2", "d3"];
const STRIDES: [&str; MAX_RANK] = ["s0", "s1", "s2", "s3"];
const LAST: usize = MAX_RANK - 1;

/// Rows and columns of a tile.
const TILE: usize = 32;
/// Threads along a tile's other side.
const ROWS: u32 = 8;
/// Shorter axes would leave most of a tile empty.
const SHORTEST: usize = 8;

/// An axis of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    extent: usize,
    /// Words from one entry to the next in the operand.
    stride: usize,
}

/// Dimension `i` of the output is dimension `perm[i]` of the operand.
pub(in crate::kernels) fn compile_permute(bind: &Bind<'_>, perm: &[usize]) -> Result<Compiled, DeviceError> {
    let axes = merged(bind.shape(0).dims(), perm);
    let contiguous = axes.iter().position(|axis| axis.stride == 1 && axis.extent > 1);
    match contiguous {
        Some(from) if from != LAST && axes[from].extent.min(axes[LAST].extent) >= SHORTEST => {
            turn(bind, &axes, from)
        }
        _ => runs(bind, &axes),
    }
}

/// The axes of the output, those of one entry left out and those that stay beside each other taken together; the last come
/// last, axes of one entry before them.
fn merged(from: &[usize], perm: &[usize]) -> [Axis; MAX_RANK] {
    let stride = |axis: usize| from[axis + 1..].iter().product::<usize>();
    let mut axes: Vec<Axis> = Vec::with_capacity(MAX_RANK);
    for &axis in perm.iter().rev() {
        let axis = Axis { extent: from[axis], stride: stride(axis) };
        match axes.last_mut() {
            _ if axis.extent == 1 => {}
            Some(inner) if axis.stride == inner.stride * inner.extent => inner.extent *= axis.extent,
            _ => axes.push(axis),
        }
    }
    let mut all = [Axis { extent: 1, stride: 0 }; MAX_RANK];
    for (i, axis) in axes.into_iter().enumerate() {
        all[LAST - i] = axis;
    }
    all
}

/// Every thread finds where its words come from.
fn runs(bind: &Bind<'_>, axes: &[Axis; MAX_RANK]) -> Result<Compiled, DeviceError> {
    let [outer @ .., last] = *axes;
    // Without an axis of more than one entry there is a single word.
    let extents = if last.stride == 1 { last.extent } else { 1 };
    let (element, lanes) = width(outer.iter().map(|axis| axis.stride).chain([extents]));
    let len = bind.out_shape().numel() / lanes;
    let mut k = bind.kernel();
    k.bind("x", element, &bind.operand(0)?).bind("y", element, &bind.target()?);
    k.param("len", len);
    for (i, axis) in outer.iter().enumerate() {
        k.param(EXTENTS[i], axis.extent).param(STRIDES[i], axis.stride / lanes);
    }
    k.param(EXTENTS[LAST], last.extent / lanes).param(STRIDES[LAST], last.stride);
    k.source().include(GRID);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish("permute", include_str!("permute.wgsl"), [THREADS, 1, 1], groups)?))
}

/// Tiles of the axis `from`, contiguous in the operand, and of the last.
fn turn(bind: &Bind<'_>, axes: &[Axis; MAX_RANK], from: usize) -> Result<Compiled, DeviceError> {
    let to_stride = |axis: usize| axes[axis + 1..].iter().map(|a| a.extent).product::<usize>();
    let others: Vec<usize> = (0..LAST).filter(|axis| *axis != from).collect();
    let &[outer, inner] = others.as_slice() else {
        return Err(bind.unsupported(format!("axis {from} of {MAX_RANK} is turned")));
    };
    let tiles = [axes[from].extent.div_ceil(TILE), axes[LAST].extent.div_ceil(TILE)];
    let count = tiles[0] * tiles[1] * axes[outer].extent * axes[inner].extent;
    let mut k = bind.kernel();
    k.bind("x", "u32", &bind.operand(0)?).bind("y", "u32", &bind.target()?);
    k.param("count", count).param("tiles_from", tiles[0]).param("tiles_to", tiles[1]);
    k.param("from_extent", axes[from].extent).param("to_extent", axes[LAST].extent);
    k.param("x_pitch", axes[LAST].stride).param("y_pitch", to_stride(from));
    k.param("inner", axes[inner].extent);
    k.param("x_outer", axes[outer].stride).param("x_inner", axes[inner].stride);
    k.param("y_outer", to_stride(outer)).param("y_inner", to_stride(inner));
    k.source().constant("TILE", TILE as u32);
    k.source().include(GRID);
    let groups = k.grid(count);
    let code = include_str!("transpose.wgsl");
    Ok(Compiled::one(k.finish("permute turned", code, [TILE as u32, ROWS, 1], groups)?))
}

#[cfg(test)]
mod tests {
    use super::{Axis, merged};

    fn of(from: &[usize], perm: &[usize]) -> [(usize, usize); 4] {
        merged(from, perm).map(|Axis { extent, stride }| (extent, stride))
    }

    #[test]
    fn axes_that_stay_together_are_one() {
        assert_eq!(of(&[5, 7], &[0, 1]), [(1, 0), (1, 0), (1, 0), (35, 1)]);
        assert_eq!(of(&[5, 7], &[1, 0]), [(1, 0), (1, 0), (7, 1), (5, 7)]);
        // A batch of one is no axis.
        assert_eq!(of(&[1, 17, 16, 256], &[0, 1, 3, 2]), [(1, 0), (17, 4096), (256, 1), (16, 256)]);
        assert_eq!(of(&[2, 3, 4, 5], &[2, 3, 0, 1]), [(1, 0), (1, 0), (20, 1), (6, 20)]);
        assert_eq!(of(&[3, 5, 2, 7], &[3, 2, 1, 0]), [(7, 1), (2, 7), (5, 14), (3, 70)]);
    }
}
