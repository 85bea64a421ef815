//! Few slots to an expert: a workgroup reads some rows of one expert and multiplies them by the slot's vector, as the products of few
//! rows do ([`crate::kernels::matmul`]).
//!
//! Where a token's slots are added up, its experts' rows are taken as one long row, which meets the token's vectors laid end to end as
//! they lie in memory: one sum, and enough to fetch at once however short an expert's rows are.

use super::product::{Finish, Product};
use crate::kernels::attention::unroll::{count, unroll};
use crate::kernels::common::{Factor, Loads};
use crate::program::Dispatch;
use crate::weights::MatrixType;
use mynah_device::DeviceError;

/// Elements of a vector: what goes with two loads of `x`.
fn vector(factor: &Factor) -> usize {
    if factor.stored() == MatrixType::F32 { 4 } else { 8 }
}

/// How the work is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    /// Rows of each matrix that a workgroup multiplies.
    rows: usize,
    /// Threads of a workgroup, which share the rows' elements.
    threads: usize,
    /// Vectors of each row that a thread fetches together.
    pieces: usize,
}

/// Enough workgroups to keep a large GPU's memory busy, enough vectors a thread to pay for the sum at the end.
fn geometry(results: usize, matrices: usize, vectors: usize, words: usize) -> Geometry {
    let rows = results.div_ceil(256).next_power_of_two().min(4 / matrices);
    let groups = results.div_ceil(rows);
    let pieces = (4 / words / matrices).max(1);
    let mut threads = 32;
    while threads < 256
        && 2 * threads * pieces <= vectors
        && (vectors > 4 * threads * pieces || groups * threads < 1 << 16)
    {
        threads *= 2;
    }
    Geometry { rows, threads, pieces }
}

/// Whether the rows are whole vectors.
pub(super) fn suits(product: &Product<'_, '_>) -> bool {
    product.k > 0 && product.k.is_multiple_of(vector(&product.stack.first))
}

/// The products of all slots, or of all tokens where their slots are added up.
pub(super) fn compile(product: &Product<'_, '_>) -> Result<Dispatch, DeviceError> {
    let Product { stack, n, slots, used, .. } = product;
    let factor = &stack.first;
    let elements = vector(factor);
    let row_vectors = product.k / elements;
    let bits = factor.format().map_or(16, |f| f.bits);
    let words = match bits {
        16 => 4,
        8 => 2,
        _ => 1,
    };
    let summed = matches!(product.finish, Finish::Sum(_));
    let at_once = matches!(product.finish, Finish::Join(_, None));
    let (units, vectors) = if summed { (slots / used, used * row_vectors) } else { (*slots, row_vectors) };
    let matrices = if at_once { 2 } else { 1 };
    let Geometry { rows, threads, pieces } = geometry(units * n, matrices, vectors, words);
    let caps = product.bind.caps();
    let outputs = rows * matrices;
    // Sums meet in workgroup memory: one of each subgroup, or one of each thread.
    let share = caps.subgroup.map_or(threads, |[min, _]| threads.div_ceil(min.max(1) as usize));
    let mut k = product.bind.kernel();
    k.bind("x", "vec4<f32>", &product.x);
    factor.declare(&mut k, Loads::Vectors(words));
    if let Some(second) = &stack.second {
        second.declare_second(&mut k, Loads::Vectors(words));
    }
    k.bind("ids", "i32", &product.bind.operand(1)?);
    product.declare(&mut k)?;
    let blocks = n.div_ceil(rows);
    k.param("units", units);
    let source = k.source();
    source.flag("SUMMED", summed);
    source.flag("AT_ONCE", at_once);
    source.flag("SCALE_LAST", factor.format().is_some_and(|f| !f.mins));
    source.flag("HIGH", bits == 5 || bits == 6);
    source.flag("SUBGROUPS", caps.subgroup.is_some());
    for (name, value) in [
        ("ROWS", rows),
        ("OUTPUTS", outputs),
        ("PARTIALS", share * outputs),
        ("PIECES", pieces),
        ("QUADS", elements / 4),
        ("BLOCKS_OF_ROWS", blocks),
        ("ROW_VECTORS", row_vectors),
        ("VECTORS", vectors),
        ("USED", *used),
        // Vectors whose upper bits share a word.
        ("HIGH_VECTORS", if bits == 5 { 4 } else { 2 }),
    ] {
        source.constant(name, value as u32);
    }
    let element = match (factor.stored(), words) {
        (MatrixType::F32, _) => "vec4<f32>",
        (_, 4) => "vec4<u32>",
        (_, 2) => "vec2<u32>",
        _ => "u32",
    };
    source.define("VECTOR", element);
    // The second matrix follows the first in the same planes, or has planes of its own.
    let same = at_once && stack.second.is_none();
    source.flag("SAME_PLANES", same);
    source.constant("MATRIX_b", if same { *n as u32 } else { 0 });
    let names = ["", "_b"].into_iter().take(matrices).map(str::to_owned).collect();
    let symbols = [("M", names), count("U", pieces), count("R", rows), count("Q", elements / 4)];
    let code = unroll(include_str!("few.wgsl"), &symbols);
    let grid = k.grid(units * blocks);
    let kind = if summed { "expert_down" } else { "expert_matvec" };
    let name = format!("{kind} {} {rows}x{threads}x{pieces}", factor.name());
    k.finish(name, &code, [threads as u32, 1, 1], grid)
}
