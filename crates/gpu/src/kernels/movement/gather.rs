//! Rows of a table by number, decoded on the way.

use crate::check::Limit;
use crate::kernels::common::{Factor, GRID, Loads};
use crate::kernels::guard;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// Threads of a workgroup, each with four elements.
const THREADS: usize = 64;

/// `table [V, D]`, `ids [..]` → `[.., D]`.
pub(in crate::kernels) fn compile_gather(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let (table, width) = (bind.shape(0), bind.out_shape().last());
    let (rows, count) = (table.numel() / width.max(1), bind.shape(1).numel());
    if rows == 0 {
        return Err(bind.unsupported("the table has no rows".into()));
    }
    let factor = match bind.matrix(0)? {
        Some(matrix) => Factor::Weight(matrix),
        None => Factor::Computed { operand: bind.operand(0)?, k: width },
    };
    let whole = width.is_multiple_of(4);
    let quads = width.div_ceil(4);
    let mut k = bind.kernel();
    k.bind("ids", "i32", &bind.operand(1)?);
    factor.declare(&mut k, Loads::Quads);
    k.bind("y", if whole { "vec4<f32>" } else { "f32" }, &bind.target()?);
    k.param("rows", rows).param("count", count).param("quads", quads).param("width", width);
    k.source().flag("WHOLE", whole);
    let check = bind.check(1, "id", Limit::Fixed(rows), false)?;
    k.source().flag("COMPUTED", check.is_none());
    if check.is_none() {
        guard::reports(&mut k);
    }
    k.source().include(GRID);
    let grid = k.grid((count * quads).div_ceil(THREADS));
    let name = format!("gather {}", factor.name());
    let gather = k.finish(name, include_str!("gather.wgsl"), [THREADS as u32, 1, 1], grid)?;
    Ok(Compiled::one(gather).checked(check))
}
