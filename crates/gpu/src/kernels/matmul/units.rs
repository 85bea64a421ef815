//! Many rows on matrix units: f16 factors, f32 sums, in tiles that are fetched while the tiles before them are multiplied.
//!
//! Values of `x` beyond the range of f16 become its largest; rows of the weight are scaled by powers of two, taken off again at
//! the end, so that none of theirs is.

use super::Product;
use super::unroll::unroll;
use crate::caps::Capabilities;
use crate::kernels::common::{
    Factor, GRID, HALF, HALF_OF_ONE, HALVES, Loads, MULTIPROCESSORS, OCT, PUT, Units,
};
use crate::program::{Compiled, Dispatch, Joins, Kernel, Operand};
use crate::weights::MatrixType;
use mynah_device::DeviceError;

/// Threads of the kernels of one element or eight.
const THREADS: usize = 256;
/// What adding up split sums costs, in hundredths of microseconds: a dispatch, and one more for so many sums.
const SUM: [usize; 2] = [400, 7500];
/// Rows and columns from which it pays to write `x` down in f16 first: its tiles are read once for each tile of columns, and in half
/// the bytes then.
const PACK_X: [usize; 2] = [65, 512];
/// Rows from which it pays to decode the weight first, whatever it takes: tiles that decode what they fetch wait for it. Measured on an
/// H200 with 138 rows of Q8_0: 59 µs against 268.
const PACK_WEIGHT: usize = 65;
/// Bytes up to which fewer rows are worth it, too.
const PACKED: usize = 64 << 20;

/// Tiles and how subgroups share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    /// Rows of `x` and of the weight in a tile.
    tile: [usize; 2],
    /// Subgroups along each side.
    parts: [usize; 2],
    /// Elements of a tile's rows.
    deep: usize,
    /// Workgroups that share the elements of a sum.
    splits: usize,
    /// What a step and the rest of a workgroup's work cost, in hundredths of microseconds.
    costs: [usize; 2],
}

impl Geometry {
    fn groups(self, m: usize, n: usize) -> usize {
        m.div_ceil(self.tile[0]) * n.div_ceil(self.tile[1]) * self.splits
    }
}

const fn geometry(tile: [usize; 2], parts: [usize; 2], deep: usize, costs: [usize; 2]) -> Geometry {
    Geometry { tile, parts, deep, splits: 1, costs }
}

/// What there is to choose from. Costs were measured on an H200, whose driver gives the workgroups of a multiprocessor some 50 KiB
/// together, so that two of more than 25 KiB never run side by side. What a step costs is mostly the wait for its tiles, so tiles are
/// deep, and which are best is a matter of how many rounds of workgroups there are: with 138 rows 48 x 96 tiles of 4096 columns are
/// just one.
const GEOMETRIES: [Geometry; 6] = [
    geometry([128, 128], [4, 2], 64, [100, 600]),
    geometry([128, 128], [2, 2], 32, [105, 500]),
    geometry([64, 64], [2, 2], 64, [90, 150]),
    geometry([48, 96], [3, 2], 128, [130, 240]),
    geometry([32, 32], [2, 2], 128, [75, 90]),
    geometry([32, 64], [2, 4], 128, [85, 120]),
];
/// Sums of a lane where units are small; larger parts were not tried there.
const SUMS_OF_SMALL: usize = 64;

/// What this kernel asks of matrix units.
impl Units {
    fn threads(self, g: Geometry) -> usize {
        self.lanes * g.parts[0] * g.parts[1]
    }

    /// Floats in which the subgroups hand over their sums.
    fn stage(self, g: Geometry) -> usize {
        g.parts[0] * g.parts[1] * self.size * self.size
    }

    /// Bytes of workgroup memory.
    fn bytes(self, g: Geometry) -> usize {
        2 * (g.tile[0] + g.tile[1]) * (g.deep + OCT) + 4 * self.stage(g)
    }

    /// Whether a workgroup of this geometry fits the adapter.
    fn fits(self, g: Geometry, caps: &Capabilities) -> bool {
        let threads = self.threads(g);
        let sums = g.tile[0] * g.tile[1] / threads;
        self.bytes(g) <= caps.workgroup_bytes as usize
            && threads <= caps.workgroup_threads as usize
            && g.tile.iter().all(|rows| (rows * g.deep / OCT).is_multiple_of(threads))
            && (self.wide() || sums <= SUMS_OF_SMALL)
    }

    /// What a product costs, in hundredths of microseconds: rounds of workgroups, steps of a round.
    fn cost(self, g: Geometry, [m, n, k]: [usize; 3]) -> usize {
        let groups = g.groups(m, n);
        let beside = MULTIPROCESSORS * if self.bytes(g) <= HALF_OF_ONE { 2 } else { 1 };
        let steps = k.div_ceil(g.deep).div_ceil(g.splits);
        let sum = if g.splits > 1 { SUM[0] + m * n * g.splits / SUM[1] } else { 0 };
        groups.div_ceil(beside) * (steps * g.costs[0] + g.costs[1]) + sum
    }

    /// The cheapest tiles. Sums are split, down to two steps each, where there are too few workgroups otherwise.
    fn geometry(self, m: usize, n: usize, k: usize, caps: &Capabilities) -> Option<Geometry> {
        let splits = |g: Geometry| {
            let split = [2, 4, 8].into_iter().map(move |splits| Geometry { splits, ..g });
            let most = k / (2 * g.deep);
            let pays = move |g: &Geometry| g.splits <= most && g.groups(m, n) <= 2 * MULTIPROCESSORS;
            std::iter::once(g).chain(split.filter(pays))
        };
        let fitting = GEOMETRIES.into_iter().filter(|g| self.fits(*g, caps));
        fitting.flat_map(splits).min_by_key(|g| self.cost(*g, [m, n, k]))
    }
}

/// Whether this kernel can do a product on this adapter.
pub(super) fn suits(product: &Product<'_, '_>) -> bool {
    let caps = product.bind.caps();
    let fits = |units: Units| units.geometry(product.m, product.n, product.k, caps).is_some();
    product.k > 0 && product.k.is_multiple_of(OCT) && Units::of(caps).is_some_and(fits)
}

/// `x` or the weight in f16, written to scratch memory.
fn pack(product: &Product<'_, '_>, weight: bool, packed: &Operand) -> Result<Dispatch, DeviceError> {
    let mut k = product.bind.kernel();
    let rows = if weight { product.n } else { product.m };
    if weight {
        product.factor.declare(&mut k, Loads::Quads);
        declare_factors(product, &mut k);
    } else {
        k.bind("x", "vec4<f32>", &product.x);
    }
    k.bind("packed", "vec4<u32>", packed);
    let octs = product.k / OCT;
    k.param("count", rows * octs).param("octs", octs);
    k.source().flag("WEIGHT", weight);
    k.source().include(GRID);
    k.source().include(HALF);
    k.source().include(HALVES);
    let grid = k.grid((rows * octs).div_ceil(THREADS));
    let name = if weight { format!("pack {}", product.factor.name()) } else { "pack x".into() };
    k.finish(name, include_str!("pack.wgsl"), [THREADS as u32, 1, 1], grid)
}

/// Binds the powers of two that bring the weight's rows into the range of f16.
fn declare_factors(product: &Product<'_, '_>, k: &mut Kernel<'_, '_>) {
    let factors = product.factor.factors();
    if let Some(factors) = &factors {
        k.bind("factors", "f32", factors);
    }
    k.source().flag("FACTORS", factors.is_some());
}

/// The product by tiles on matrix units.
pub(super) fn compile(product: &Product<'_, '_>) -> Result<Compiled, DeviceError> {
    let (caps, bind) = (product.bind.caps(), product.bind);
    let lacks = || bind.unsupported("no matrix units that suit".into());
    let units = Units::of(caps).ok_or_else(lacks)?;
    let g = units.geometry(product.m, product.n, product.k, caps).ok_or_else(lacks)?;
    let (m, n, k) = (product.m, product.n, product.k);
    let mut compiled = Compiled { scratch: product.scratch, ..Compiled::default() };
    let mut scratch = |bytes: usize| {
        let start = compiled.scratch;
        compiled.scratch = (start + bytes as u64).next_multiple_of(256);
        Operand::scratch(start, bytes as u64)
    };
    let ready = product.halves;
    let x16 = if ready {
        Some(product.x.clone())
    } else {
        (m >= PACK_X[0] && n >= PACK_X[1]).then(|| scratch(2 * m * k))
    };
    let half = product.factor.stored() == MatrixType::F16;
    let packs = m >= PACK_WEIGHT || 2 * n * k <= PACKED;
    let w16 = (packs && !half).then(|| scratch(2 * n * k));
    let parts = (g.splits > 1).then(|| scratch(4 * g.splits * m * n));
    if let Some(packed) = x16.as_ref().filter(|_| !ready) {
        compiled.dispatches.push(pack(product, false, packed)?);
    }
    if let Some(packed) = &w16 {
        compiled.dispatches.push(pack(product, true, packed)?);
    }
    let main = tiles(product, units, g, [x16.as_ref(), w16.as_ref(), parts.as_ref()])?;
    compiled.name = main.shader.name.clone();
    compiled.dispatches.push(main);
    if let Some(parts) = &parts {
        compiled.dispatches.push(sum(product, parts, g.splits)?);
    }
    Ok(compiled)
}

fn tiles(
    product: &Product<'_, '_>,
    units: Units,
    g: Geometry,
    [x16, w16, parts]: [Option<&Operand>; 3],
) -> Result<Dispatch, DeviceError> {
    let mut k = product.bind.kernel();
    match x16 {
        Some(x16) => k.bind("x", "vec4<u32>", x16),
        None => k.bind("x", "vec4<f32>", &product.x),
    };
    match (w16, &product.factor) {
        (Some(w16), _) => {
            k.bind("low", "vec4<u32>", w16).param("low_stride", product.k / OCT);
        }
        (None, Factor::Weight(matrix)) if matrix.stored == MatrixType::F16 => {
            k.bind_tiles("low", "vec4<u32>", &matrix.low()).param("low_stride", matrix.strides.low / 4);
        }
        _ => product.factor.declare(&mut k, Loads::Quads),
    }
    declare_factors(product, &mut k);
    match parts {
        Some(parts) => {
            k.bind("parts", "f32", parts);
        }
        None => product.store(&mut k)?,
    }
    let steps = product.k.div_ceil(g.deep).div_ceil(g.splits);
    k.param("m", product.m).param("n", product.n).param("octs", product.k / OCT);
    k.param("steps", steps);
    let threads = units.threads(g);
    let part = [g.tile[0] / g.parts[0], g.tile[1] / g.parts[1]];
    let wide = units.wide();
    let unit = units.unit();
    let pitch = (g.deep / OCT + 1) * unit;
    let source = k.source();
    source.enable("f16");
    source.enable("wgpu_cooperative_matrix");
    for (name, value) in [
        ("X_ROWS", g.tile[0]),
        ("W_ROWS", g.tile[1]),
        ("PART_ROWS", part[0]),
        ("PART_COLUMNS", part[1]),
        ("COLUMN_PARTS", g.parts[1]),
        ("K_OCTS", g.deep / OCT),
        ("UNIT", unit),
        ("PITCH", pitch),
        ("TILES", (g.tile[0] + g.tile[1]) * pitch),
        ("SIZE", units.size),
        ("LANES", units.lanes),
        ("STAGE", units.stage(g)),
    ] {
        source.constant(name, value as u32);
    }
    let half = product.factor.stored() == MatrixType::F16;
    // A choice between a fetched value and zero lets compilers fetch only where it is wanted, one after the other.
    source.flag("EVEN", product.k.is_multiple_of(g.deep * g.splits));
    source.flag("HALF_X", x16.is_some());
    source.flag("HALF_W", w16.is_some() || half);
    source.flag("WIDE", wide);
    source.flag("SPLIT", parts.is_some());
    source.define("TILE", if wide { "vec4<f16>" } else { "f16" });
    source.define("X_FETCHED", if x16.is_some() { "vec4<u32>" } else { "Floats" });
    source.define("MATRIX", format!("coop_mat{0}x{0}", units.size));
    source.include(HALF);
    source.include(HALVES);
    source.include(PUT);
    let counts = [
        ("TALL", part[0] / units.size),
        ("WIDE", part[1] / units.size),
        ("DEEP", g.deep / units.size),
        ("X_SHARES", g.tile[0] * g.deep / OCT / threads),
        ("W_SHARES", g.tile[1] * g.deep / OCT / threads),
    ];
    let code = unroll(include_str!("units.wgsl"), &counts);
    let groups = [product.n.div_ceil(g.tile[1]), product.m.div_ceil(g.tile[0]), g.splits];
    let (size, [rows, columns], deep, splits) = (units.size, g.tile, g.deep, g.splits);
    let name = format!("matmul {} units{size} {rows}x{columns}x{deep}/{splits}", product.factor.name());
    let mut dispatch = k.finish(name, &code, [threads as u32, 1, 1], groups)?;
    dispatch.joins = Joins::Same;
    Ok(dispatch)
}

/// Adds up the shares of split sums.
fn sum(product: &Product<'_, '_>, parts: &Operand, splits: usize) -> Result<Dispatch, DeviceError> {
    let mut k = product.bind.kernel();
    k.bind("parts", "f32", parts);
    product.store(&mut k)?;
    let count = product.m * product.n;
    k.param("n", product.n).param("count", count).param("splits", splits);
    k.source().include(GRID);
    let grid = k.grid(count.div_ceil(THREADS));
    k.finish("matmul sum", include_str!("split.wgsl"), [THREADS as u32, 1, 1], grid)
}

#[cfg(test)]
mod tests;
