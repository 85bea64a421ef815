//! Ops that move elements: table rows, reshape, permute, slice, concat.

use super::{Cases, WEIGHT_TYPES, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Op, Start};
use mynah_tensor::DType;

/// Rows of a table of this type; the first and last row are always among them.
pub(super) fn gather(tag: &str, table: [usize; 2], dtype: DType, ids: &[usize]) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("gather", &format!("{tag}/{}/{dtype}/{}", by(&table), by(ids)));
    let weight = b.weight("table", &table, dtype, Fill::Normal(1.0));
    let count: usize = ids.iter().product();
    let mut values: Vec<i32> = (0..count).map(|_| b.rng.below(table[0]) as i32).collect();
    if let [first, .., last] = values.as_mut_slice() {
        (*first, *last) = (0, table[0] as i32 - 1);
    }
    let ids = b.ints("ids", ids, &values);
    let y = b.op(Op::Gather, &[weight, ids]);
    // Plain floats are only moved; formats with offsets may round a product and a sum in another order.
    let bounds = if dtype.is_quantized() { Bounds::ROUNDED } else { Bounds::MOVED };
    b.finish(&[y], bounds)
}

pub(super) fn permute(tag: &str, dims: &[usize], perm: &[usize]) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("permute", &format!("{tag}/{}/{}", by(dims), by(perm)));
    let x = b.input("x", dims, Fill::Normal(1.0));
    let y = b.op(Op::Permute(perm.to_vec()), &[x]);
    b.finish(&[y], Bounds::MOVED)
}

/// A slice from a constant, or with `slot` from a slot.
pub(super) fn slice(
    tag: &str,
    dims: &[usize],
    axis: usize,
    first: usize,
    len: usize,
    slot: bool,
) -> Result<OpCase, LabError> {
    let from = if slot { "slot" } else { "" };
    let mut b = CaseBuilder::new("slice", &format!("{tag}/{}/axis{axis}/{from}{first}+{len}", by(dims)));
    let start = if slot { Start::Slot(b.slot("start", first as i64)) } else { Start::Fixed(first) };
    let x = b.input("x", dims, Fill::Normal(1.0));
    let y = b.op(Op::Slice { axis, start, len }, &[x]);
    b.finish(&[y], Bounds::MOVED)
}

pub(super) fn concat(tag: &str, dims: &[usize], axis: usize, extents: &[usize]) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("concat", &format!("{tag}/{}/axis{axis}/{}", by(dims), by(extents)));
    let mut operands = Vec::new();
    for (i, &extent) in extents.iter().enumerate() {
        let mut dims = dims.to_vec();
        dims[axis] = extent;
        operands.push(b.input(&format!("x{i}"), &dims, Fill::Normal(1.0)));
    }
    let y = b.op(Op::Concat { axis }, &operands);
    b.finish(&[y], Bounds::MOVED)
}

/// A reshape between two ops that must see the same elements.
pub(super) fn reshape(tag: &str, from: &[usize], to: &[usize]) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("reshape", &format!("{tag}/{}/{}", by(from), by(to)));
    let x = b.input("x", from, Fill::Normal(1.0));
    let doubled = b.op(Op::Scale(2.0), &[x]);
    let y = b.op(Op::Reshape(to.to_vec()), &[doubled]);
    let z = b.op(Op::Scale(0.25), &[y]);
    b.finish(&[z], Bounds::MOVED)
}

pub(super) fn cases() -> Cases {
    let mut all = Vec::new();
    for dtype in WEIGHT_TYPES {
        all.push(gather("table", [65, 512], dtype, &[2, 3])?);
    }
    for dtype in [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q5_0] {
        all.push(gather("embedding", [1025, 640], dtype, &[1])?);
        all.push(gather("embedding", [1025, 640], dtype, &[5])?);
    }
    all.push(gather("odd", [3, 17], DType::F32, &[7])?);
    all.push(gather("narrow", [31, 1], DType::F16, &[4])?);
    // Channels-last image to channel-major features, as the subsampling's flattening wants it.
    all.push(permute("flatten", &[1, 17, 16, 256], &[0, 1, 3, 2])?);
    all.push(permute("heads", &[1, 33, 8, 64], &[0, 2, 1, 3])?);
    all.push(permute("transpose", &[33, 65], &[1, 0])?);
    all.push(permute("same", &[5, 7], &[0, 1])?);
    all.push(permute("reverse", &[3, 5, 2, 7], &[3, 2, 1, 0])?);
    all.push(permute("rotate", &[31, 1, 17], &[2, 0, 1])?);
    // Tiles with edges on every side, with other axes before, between and after; axes too short for tiles.
    all.push(permute("tiles", &[33, 70], &[1, 0])?);
    all.push(permute("tiles-batch", &[3, 65, 34], &[0, 2, 1])?);
    all.push(permute("tiles-between", &[35, 3, 40], &[2, 1, 0])?);
    all.push(permute("tiles-outer", &[2, 3, 33, 9], &[1, 3, 0, 2])?);
    all.push(permute("tiles-swap", &[9, 2, 3, 33], &[3, 2, 1, 0])?);
    all.push(permute("short", &[64, 3], &[1, 0])?);
    all.push(permute("runs", &[5, 3, 36], &[1, 0, 2])?);
    all.push(permute("odd-runs", &[5, 3, 35], &[1, 0, 2])?);
    all.push(permute("one-element", &[1, 1, 1], &[2, 0, 1])?);
    all.push(slice("lstm-cell", &[3, 1280], 1, 640, 640, false)?);
    all.push(slice("frames", &[1, 138, 512], 1, 13, 40, false)?);
    all.push(slice("batch", &[5, 17, 3], 0, 4, 1, false)?);
    all.push(slice("all", &[5, 17], 1, 0, 17, false)?);
    all.push(slice("frame", &[138, 640], 0, 77, 1, true)?);
    all.push(slice("first-frame", &[138, 640], 0, 0, 1, true)?);
    all.push(slice("last-frames", &[2, 31, 5], 1, 28, 3, true)?);
    all.push(slice("odd-start", &[3, 17, 4], 1, 5, 3, false)?);
    all.push(slice("odd-run", &[5, 32], 1, 4, 9, false)?);
    all.push(slice("odd-flat", &[37], 0, 4, 5, false)?);
    all.push(slice("vectors", &[2, 31, 64], 1, 7, 9, true)?);
    all.push(slice("odd-slot", &[3, 32], 1, 3, 8, true)?);
    all.push(slice("one-element", &[1], 0, 0, 1, true)?);
    all.push(concat("many", &[3, 0, 5], 1, &[1, 2, 3, 4, 5, 6, 7, 8])?);
    all.push(concat("many-vectors", &[2, 0], 1, &[4, 8, 12, 4, 8, 16, 4])?);
    all.push(concat("one-element", &[0], 0, &[1, 1])?);
    all.push(concat("nothing", &[2, 0, 4], 1, &[3, 0, 5])?);
    all.push(concat("cache", &[1, 0, 512], 1, &[8, 33])?);
    all.push(concat("channels", &[3, 5, 0], 2, &[17, 1, 31])?);
    all.push(concat("batch", &[0, 7], 0, &[2, 3])?);
    all.push(concat("image", &[2, 3, 0, 5], 2, &[1, 4])?);
    all.push(reshape("flatten", &[1, 17, 256, 16], &[1, 17, 4096])?);
    all.push(reshape("odd", &[3, 5, 7], &[21, 5])?);
    Ok(all)
}
