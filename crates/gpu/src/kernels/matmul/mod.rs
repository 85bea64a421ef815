//! Matrix products: few rows by one kernel, many by tiles, in f32 or on matrix units.

mod matvec;
mod tile;
mod units;
mod unroll;

use crate::kernels::common::{ACTIVATIONS, Factor, function};
use crate::program::{Bind, Compiled, Kernel, Operand};
use mynah_device::DeviceError;
use mynah_device::Route;
use mynah_graph::Epilogue;

pub(super) const F16_MATRIX: Route =
    Route { name: "f16-matrix", about: "matrix products on matrix units: f16 factors, f32 sums" };

/// `x [m, k]` times the transpose of `[n, k]`, and what happens to it before it is stored: all columns of the result, or those of some
/// rows of a weight too large for one binding.
struct Product<'b, 'a> {
    bind: &'b Bind<'a>,
    x: Operand,
    factor: Factor,
    epilogue: &'b Epilogue,
    m: usize,
    n: usize,
    k: usize,
    /// The first of the `n` columns, and all columns of the result.
    first: usize,
    columns: usize,
}

impl Product<'_, '_> {
    /// Declares `finish(sum, at, column)`, the result `y` and what they read.
    fn store(&self, k: &mut Kernel<'_, '_>) -> Result<(), DeviceError> {
        let e = self.epilogue;
        let (bias, residual) = self.bind.epilogue(e, 2)?;
        if let Some(bias) = &bias {
            k.bind("bias", "f32", bias);
        }
        if let Some(residual) = &residual {
            k.bind("residual", "f32", residual);
        }
        k.bind("y", "f32", &self.bind.target()?);
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
            source.define("ACTIVATE", function(f));
            source.include(ACTIVATIONS);
        }
        source.include(include_str!("epilogue.wgsl"));
        Ok(())
    }
}

/// `x [.., K]` times the transpose of `w [N, K]`.
pub(super) fn compile(bind: &Bind<'_>, e: &Epilogue) -> Result<Compiled, DeviceError> {
    let (n, k) = (bind.out_shape().last(), bind.shape(0).last());
    let factor = match bind.matrix(1)? {
        Some(matrix) => Factor::Weight(matrix),
        None => Factor::Computed { operand: bind.operand(1)?, k },
    };
    let m = bind.out_shape().numel() / n.max(1);
    let x = bind.operand(0)?;
    let parts = factor.parts(n, bind.caps());
    let mut all = Compiled::default();
    let count = parts.len();
    for (rows, factor) in parts {
        let (n, first, columns) = (rows.len(), rows.start, n);
        let part =
            compile_part(&Product { bind, x: x.clone(), factor, epilogue: e, m, n, k, first, columns })?;
        all.scratch = all.scratch.max(part.scratch);
        all.name = part.name;
        all.dispatches.extend(part.dispatches);
    }
    if count > 1 {
        all.name = format!("{} in {count} parts", all.name);
    }
    Ok(all)
}

fn compile_part(product: &Product<'_, '_>) -> Result<Compiled, DeviceError> {
    if matvec::suits(product) {
        matvec::compile(product)
    } else if product.bind.policy().allows(&F16_MATRIX) && units::suits(product) {
        units::compile(product)
    } else {
        tile::compile(product)
    }
}
