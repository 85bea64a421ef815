//! Matrix products: few rows by one kernel, many by tiles, in f32 or on matrix units.

mod matvec;
mod prologue;
mod tile;
mod units;
mod unroll;

use crate::kernels::common::{ACTIVATIONS, Factor, bind_result, function};
use crate::program::{Bind, Compiled, Kernel, Operand};
use mynah_device::DeviceError;
use mynah_device::Route;
use mynah_graph::{Epilogue, Prologue};

pub(super) const F16_MATRIX: Route =
    Route { name: "f16-matrix", about: "matrix products on matrix units: f16 factors, f32 sums" };

/// `x [m, k]` times the transpose of `[n, k]`, and what happens to it before it is stored: all columns of the result, or those of some
/// rows of a weight too large for one binding.
struct Product<'b, 'a> {
    bind: &'b Bind<'a>,
    x: Operand,
    /// Whether `x` is halves already.
    halves: bool,
    /// Scratch memory that is taken.
    scratch: u64,
    factor: Factor,
    prologue: Option<&'b Prologue>,
    epilogue: &'b Epilogue,
    m: usize,
    n: usize,
    k: usize,
    /// The first of the `n` columns, and all columns of the result.
    first: usize,
    columns: usize,
}

/// The kernel that takes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    FewRows,
    Units,
    Tiles,
}

impl Product<'_, '_> {
    fn means(&self) -> Means {
        if matvec::suits(self) {
            Means::FewRows
        } else if self.bind.policy().allows(&F16_MATRIX) && units::suits(self) {
            Means::Units
        } else {
            Means::Tiles
        }
    }

    /// Declares `finish(sum, at, column)`, the result `y` and what they read.
    fn store(&self, k: &mut Kernel<'_, '_>) -> Result<(), DeviceError> {
        let e = self.epilogue;
        let own = 2 + self.prologue.map_or(0, Prologue::extra_inputs);
        let (bias, residual) = self.bind.epilogue(e, own)?;
        if let Some(bias) = &bias {
            k.bind("bias", "f32", bias);
        }
        if let Some(residual) = &residual {
            k.bind("residual", "f32", residual);
        }
        bind_result(k, self.bind, "f32")?;
        if e.scale != 1.0 {
            k.param_f32("factor", e.scale);
        }
        if self.columns != self.n {
            k.param("first", self.first).param("columns", self.columns);
        }
        let source = k.source();
        source.flag("PART", self.columns != self.n);
        source.flag("BIAS", bias.is_some());
        source.flag("RESIDUAL", residual.is_some());
        source.flag("SCALED", e.scale != 1.0);
        source.flag("ACTIVATION", e.activation.is_some());
        if let Some(f) = e.activation {
            source.include(ACTIVATIONS);
            let name = function(source, f);
            source.define("ACTIVATE", name);
        }
        source.include(include_str!("epilogue.wgsl"));
        Ok(())
    }
}

/// Whether the product would read `x` as halves.
pub(super) fn takes_halves(bind: &Bind<'_>, e: &Epilogue) -> bool {
    parts(bind, None, e).is_ok_and(|parts| parts.iter().all(|part| part.means() == Means::Units))
}

/// `x [.., K]` times the transpose of `w [N, K]`.
pub(super) fn compile(bind: &Bind<'_>, e: &Epilogue) -> Result<Compiled, DeviceError> {
    compile_parts(&parts(bind, None, e)?)
}

/// The same after a norm or a gated unit, for few rows: many would have each tile do that work again.
pub(super) fn compile_after(bind: &Bind<'_>, p: &Prologue, e: &Epilogue) -> Result<Compiled, DeviceError> {
    let parts = parts(bind, Some(p), e)?;
    if !parts.iter().all(prologue::suits) {
        return Err(bind.unsupported("only few rows and not too many columns have a kernel".into()));
    }
    compile_parts(&parts)
}

fn compile_parts(parts: &[Product<'_, '_>]) -> Result<Compiled, DeviceError> {
    let mut all = Compiled::default();
    for part in parts {
        let part = match part.means() {
            Means::FewRows => matvec::compile(part),
            Means::Units => units::compile(part),
            Means::Tiles => tile::compile(part),
        }?;
        all.scratch = all.scratch.max(part.scratch);
        all.name = part.name;
        all.dispatches.extend(part.dispatches);
    }
    if parts.len() > 1 {
        all.name = format!("{} in {} parts", all.name, parts.len());
    }
    Ok(all)
}

/// The product, or one for each part of a weight too large for one binding.
fn parts<'b, 'a>(
    bind: &'b Bind<'a>,
    prologue: Option<&'b Prologue>,
    epilogue: &'b Epilogue,
) -> Result<Vec<Product<'b, 'a>>, DeviceError> {
    let (n, k) = (bind.out_shape().last(), bind.shape(0).last());
    let factor = match bind.matrix(1)? {
        Some(matrix) => Factor::Weight(matrix),
        None => Factor::Computed { operand: bind.operand(1)?, k },
    };
    let m = bind.out_shape().numel() / n.max(1);
    let x = bind.operand(0)?;
    let rows = Rows { x, factor, halves: bind.half(0), scratch: 0 };
    let mut parts = parts_of(bind, &rows, epilogue, [m, n, k]);
    parts.iter_mut().for_each(|part| part.prologue = prologue);
    Ok(parts)
}

fn parts_of<'b, 'a>(
    bind: &'b Bind<'a>,
    rows: &Rows,
    epilogue: &'b Epilogue,
    [m, n, k]: [usize; 3],
) -> Vec<Product<'b, 'a>> {
    let Rows { x, factor, halves, scratch } = rows;
    let part = |(rows, factor): (std::ops::Range<usize>, Factor)| {
        let (first, columns, halves, scratch) = (rows.start, n, *halves, *scratch);
        let (x, n, prologue) = (x.clone(), rows.len(), None);
        Product { bind, x, halves, scratch, factor, prologue, epilogue, m, n, k, first, columns }
    };
    factor.parts(n, bind.caps()).into_iter().map(part).collect()
}

/// Rows that are no operand of the node, or one of another op, and the matrix that they meet.
pub(super) struct Rows {
    pub(super) x: Operand,
    pub(super) factor: Factor,
    /// Whether `x` is halves.
    pub(super) halves: bool,
    /// Scratch memory that is taken, a multiple of 256.
    pub(super) scratch: u64,
}

/// Whether `m` rows of `k` elements are better written down and multiplied as such, and then whether as halves: those that are few,
/// and those that matrix units take.
pub(super) fn suits_rows(bind: &Bind<'_>, factor: &Factor, e: &Epilogue, sizes: [usize; 3]) -> Option<bool> {
    let rows = Rows { x: Operand::scratch(0, 0), factor: factor.clone(), halves: true, scratch: 0 };
    let parts = parts_of(bind, &rows, e, sizes);
    let all = |means: Means| parts.iter().all(|part| part.means() == means);
    if all(Means::FewRows) { Some(false) } else { all(Means::Units).then_some(true) }
}

/// The product of such rows, with the node's epilogue, whose operands follow two others.
pub(super) fn of_rows(
    bind: &Bind<'_>,
    rows: &Rows,
    e: &Epilogue,
    sizes: [usize; 3],
) -> Result<Compiled, DeviceError> {
    compile_parts(&parts_of(bind, rows, e, sizes))
}
