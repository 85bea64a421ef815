//! Few rows: each weight is read once and meets every row of `x` on the way.
//!
//! Neighbouring lanes read neighbouring vectors of the weight, and so the elements of `x` that lie a vector's elements apart: with
//! vectors of 16 bytes of narrow levels, most of what a load of `x` moves would be thrown away, and those loads, not the
//! weight's, would take the time. So a vector is what goes with two loads of `x`.

use super::unroll::unroll;
use super::{Product, prologue};
use crate::kernels::common::{Factor, GRID, Loads};
use crate::program::{Compiled, Joins};
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
    /// Vectors of each row that a thread fetches together.
    pieces: usize,
}

/// Elements of a vector.
fn vector(factor: &Factor) -> usize {
    if factor.stored() == MatrixType::F32 { 4 } else { 8 }
}

/// Enough workgroups to keep a large GPU's memory busy, enough vectors a thread to pay for the sum at the end.
fn geometry(n: usize, vectors: usize, columns: usize, words: usize) -> Geometry {
    // Each row of x is fetched again for every group of rows, and takes more memory traffic than a row of narrow levels:
    // more rows a group for those. Many columns need the registers.
    let most = if columns <= 4 { 4 } else { 2 };
    let rows = n.div_ceil(256).next_power_of_two().min(most);
    let groups = n.div_ceil(rows);
    let pieces = if columns == 1 { 4 / words } else { 1 };
    let mut threads = 32;
    while threads < 256
        && 2 * threads * pieces <= vectors
        && (vectors > 4 * threads * pieces || groups * threads < 1 << 16)
    {
        threads *= 2;
    }
    Geometry { rows, threads, pieces }
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
    let bits = factor.format().map_or(16, |f| f.bits);
    let words = match bits {
        16 => 4,
        8 => 2,
        _ => 1,
    };
    let Geometry { rows, mut threads, pieces } = geometry(product.n, vectors, product.m, words);
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
    factor.declare(&mut k, Loads::Vectors(words));
    prologue::declare(product, &mut k)?;
    product.store(&mut k)?;
    k.param("n", product.n).param("vectors", vectors).param("x_stride", product.k / 4);
    let source = k.source();
    source.flag("SCALE_LAST", factor.format().is_some_and(|f| !f.mins));
    source.flag("HIGH", bits == 5 || bits == 6);
    source.flag("SUBGROUPS", caps.subgroup.is_some());
    // Where each thread has all its vectors at once, fetching more would only be in the way.
    source.flag("ONCE", vectors <= pieces * threads);
    for (name, value) in [
        ("ROWS", rows),
        ("OUTPUTS", outputs),
        ("SHARES", share(threads)),
        ("PIECES", pieces),
        ("QUADS", elements / 4),
        // Vectors whose upper bits share a word.
        ("HIGH_VECTORS", if bits == 5 { 4 } else { 2 }),
    ] {
        source.constant(name, value as u32);
    }
    let vector = match (factor.stored(), words) {
        (MatrixType::F32, _) => "vec4<f32>",
        (_, 4) => "vec4<u32>",
        (_, 2) => "vec2<u32>",
        _ => "u32",
    };
    source.define("VECTOR", vector);
    source.include(GRID);
    let counts = [("ROWS", rows), ("COLUMNS", product.m), ("PIECES", pieces), ("QUADS", elements / 4)];
    let code = unroll(include_str!("matvec.wgsl"), &counts);
    let grid = k.grid(product.n.div_ceil(rows));
    let before = product.prologue.map_or("", prologue::name);
    let name = format!("matvec {before}{} {}x{rows}x{threads}x{pieces}", factor.name(), product.m);
    let mut dispatch = k.finish(name, &code, [threads as u32, 1, 1], grid)?;
    dispatch.joins = Joins::Any;
    Ok(Compiled::one(dispatch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_spread_over_many_workgroups() {
        // The shapes of a feed-forward layer, of a narrow projection, and of a single row.
        assert_eq!(geometry(14336, 512, 1, 2), Geometry { rows: 4, threads: 64, pieces: 2 });
        assert_eq!(geometry(14336, 512, 1, 1), Geometry { rows: 4, threads: 32, pieces: 4 });
        assert_eq!(geometry(1024, 512, 1, 4), Geometry { rows: 4, threads: 256, pieces: 1 });
        assert_eq!(geometry(1, 16, 1, 2), Geometry { rows: 1, threads: 32, pieces: 2 });
        assert_eq!(geometry(4096, 1024, 8, 2).rows, 2);
    }
}
