//! Many rows in f32: tiles of the factors in workgroup memory, a tile of sums in the registers of each thread.

use super::Product;
use super::unroll::unroll;
use crate::kernels::common::Loads;
use crate::program::Compiled;
use mynah_device::DeviceError;

/// Threads along each side of a workgroup.
const SIDE: usize = 16;
/// Rows that a workgroup's threads load at a time, four threads a row.
const LOADED: usize = 64;
/// Workgroups below which smaller tiles keep more of a GPU busy.
const FEW: usize = 256;

/// Sums of a thread, rows by columns.
fn tile(m: usize, n: usize) -> [usize; 2] {
    let groups = |[tall, wide]: [usize; 2]| m.div_ceil(SIDE * tall) * n.div_ceil(SIDE * wide);
    let sizes = [[8, 4], [4, 4], [2, 4], [2, 2]];
    let large = sizes.into_iter().find(|&size| groups(size) >= FEW && m > SIDE * (size[0] - 1));
    large.unwrap_or([2, 2])
}

/// The product of any number of rows, of any length.
pub(super) fn compile(product: &Product<'_, '_>) -> Result<Compiled, DeviceError> {
    let [tall, wide] = tile(product.m, product.n);
    let (x_rows, w_rows) = (SIDE * tall, SIDE * wide);
    let aligned = product.k.is_multiple_of(4);
    let mut k = product.bind.kernel();
    k.bind("x", if aligned { "vec4<f32>" } else { "f32" }, &product.x);
    product.factor.declare(&mut k, Loads::Quads);
    product.store(&mut k)?;
    k.param("m", product.m).param("n", product.n).param("k", product.k);
    let source = k.source();
    source.flag("X_UNPADDED", !aligned);
    source.constant("X_ROWS", x_rows as u32);
    source.constant("W_ROWS", w_rows as u32);
    let counts = [
        ("TALL", tall),
        ("WIDE", wide),
        ("X_SHARES", x_rows.div_ceil(LOADED)),
        ("W_SHARES", w_rows.div_ceil(LOADED)),
        ("K_QUADS", 4),
    ];
    let code = unroll(include_str!("tile.wgsl"), &counts);
    let groups = [product.n.div_ceil(w_rows), product.m.div_ceil(x_rows), 1];
    let name = format!("matmul {} f32 {x_rows}x{w_rows}", product.factor.name());
    Ok(Compiled::one(k.finish(name, &code, [(SIDE * SIDE) as u32, 1, 1], groups)?))
}
