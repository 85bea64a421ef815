//! Few rows: each weight is read once, 16 bytes at a time, and meets every row of `x` on the way.

use super::Product;
use super::unroll::unroll;
use crate::kernels::common::{Factor, GRID, Loads};
use crate::program::Compiled;
use crate::weights::MatrixType;
use mynah_device::DeviceError;

/// Rows of `x` that this kernel takes.
pub(super) const MOST: usize = 8;

/// How the work is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    /// Rows of the weight that a workgroup multiplies.
    rows: usize,
    /// Threads of a workgroup, which share the rows' elements.
    threads: usize,
}

/// Elements of a vector of 16 bytes.
fn vector(factor: &Factor) -> usize {
    match (factor.stored(), factor.format()) {
        (_, Some(f)) if f.bits == 8 => 16,
        (_, Some(_)) => 32,
        (MatrixType::F32, _) => 4,
        _ => 8,
    }
}

/// Enough workgroups to keep a large GPU's memory busy, enough vectors a thread to pay for the sum at the end.
fn geometry(n: usize, vectors: usize, columns: usize, elements: usize) -> Geometry {
    // Each row of x is fetched again for every group of rows, and takes more memory traffic than a row of narrow levels:
    // more rows a group for those. Many columns need the registers.
    let most = match (columns, elements) {
        (1, 32) => 8,
        (1..=4, _) => 4,
        _ => 2,
    };
    let rows = n.div_ceil(256).next_power_of_two().min(most);
    let groups = n.div_ceil(rows);
    let mut threads = 32;
    while threads < 256 && 2 * threads <= vectors && (vectors > 8 * threads || groups * threads < 1 << 16) {
        threads *= 2;
    }
    Geometry { rows, threads }
}

/// Whether rows suit this kernel.
pub(super) fn suits(product: &Product<'_, '_>) -> bool {
    product.m <= MOST && product.k > 0 && product.k.is_multiple_of(vector(&product.factor))
}

/// The product with at most [`MOST`] rows.
pub(super) fn compile(product: &Product<'_, '_>) -> Result<Compiled, DeviceError> {
    let factor = &product.factor;
    let elements = vector(factor);
    let vectors = product.k / elements;
    let Geometry { rows, mut threads } = geometry(product.n, vectors, product.m, elements);
    let outputs = rows * product.m;
    let caps = product.bind.caps();
    // Sums meet in workgroup memory: one of each subgroup, or one of each thread.
    let share =
        |threads: usize| caps.subgroup.map_or(threads, |[min, _]| threads.div_ceil(min.max(1) as usize));
    while threads > 32 && 4 * share(threads) * outputs > 16 << 10 {
        threads /= 2;
    }
    let mut k = product.bind.kernel();
    k.bind("x", "vec4<f32>", &product.x);
    factor.declare(&mut k, Loads::Vectors);
    product.store(&mut k)?;
    k.param("n", product.n).param("vectors", vectors).param("x_stride", product.k / 4);
    let bits = factor.format().map_or(32, |f| f.bits);
    let nibbles = if bits < 8 { 2 } else { 1 };
    let groups = if bits == 6 { 2 } else { 1 };
    let words = elements / 4 / nibbles / groups;
    let source = k.source();
    source.flag("SCALE_LAST", factor.format().is_some_and(|f| !f.mins));
    source.flag("SUBGROUPS", caps.subgroup.is_some());
    for (name, value) in [
        ("ROWS", rows),
        ("OUTPUTS", outputs),
        ("PARTIALS", share(threads) * outputs),
        ("VECTOR_QUADS", elements / 4),
        ("WORDS", words),
        ("NIBBLES", nibbles),
    ] {
        source.constant(name, value as u32);
    }
    source.define("VECTOR", if factor.stored() == MatrixType::F32 { "vec4<f32>" } else { "vec4<u32>" });
    source.include(GRID);
    let counts =
        [("ROWS", rows), ("COLUMNS", product.m), ("GROUPS", groups), ("WORDS", words), ("NIBBLES", nibbles)];
    let code = unroll(include_str!("matvec.wgsl"), &counts);
    let grid = k.grid(product.n.div_ceil(rows));
    let name = format!("matvec {} {}x{rows}x{threads}", factor.name(), product.m);
    Ok(Compiled::one(k.finish(name, &code, [threads as u32, 1, 1], grid)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_spread_over_many_workgroups() {
        // The shapes of a feed-forward layer, of a narrow projection, and of a single row.
        assert_eq!(geometry(14336, 256, 1, 16), Geometry { rows: 4, threads: 32 });
        assert_eq!(geometry(14336, 128, 1, 32), Geometry { rows: 8, threads: 64 });
        assert_eq!(geometry(1024, 256, 1, 16), Geometry { rows: 4, threads: 256 });
        assert_eq!(geometry(1, 8, 1, 16), Geometry { rows: 1, threads: 32 });
        assert_eq!(geometry(4096, 1024, 8, 16).rows, 2);
    }
}
