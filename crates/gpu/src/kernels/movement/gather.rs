//! Rows of a table by number, decoded on the way.

use crate::check::Limit;
use crate::kernels::common::{Factor, GRID, Loads};
use crate::kernels::guard;
use crate::program::{Bind, Compiled, Dispatch};
use mynah_device::DeviceError;
use std::ops::Range;

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
    let check = bind.check(1, "id", Limit::Fixed(rows), false)?;
    let mut all = Compiled::default();
    // Each part of a table too large for one binding gives the rows that are its own.
    for (part, factor) in factor.parts(rows, bind.caps()) {
        let one = Part { rows: part, of: rows, width, count, computed: check.is_none() };
        let dispatch = compile_part(bind, &factor, &one)?;
        all.name.clone_from(&dispatch.shader.name);
        all.dispatches.push(dispatch);
    }
    Ok(all.checked(check))
}

/// Some rows of a table.
struct Part {
    rows: Range<usize>,
    /// Rows of the whole table.
    of: usize,
    width: usize,
    /// Ids.
    count: usize,
    /// Whether a kernel computed the ids, so that nobody has checked them.
    computed: bool,
}

fn compile_part(bind: &Bind<'_>, factor: &Factor, part: &Part) -> Result<Dispatch, DeviceError> {
    let Part { rows, of, width, count, computed } = part;
    let whole = width.is_multiple_of(4);
    let quads = width.div_ceil(4);
    let mut k = bind.kernel();
    k.bind("ids", "i32", &bind.operand(1)?);
    factor.declare(&mut k, Loads::Quads);
    k.bind("y", if whole { "vec4<f32>" } else { "f32" }, &bind.target()?);
    k.param("rows", *of).param("count", *count).param("quads", quads).param("width", *width);
    if rows.len() < *of {
        k.param("first", rows.start).param("own", rows.len());
    }
    k.source().flag("PART", rows.len() < *of);
    k.source().flag("WHOLE", whole);
    k.source().flag("COMPUTED", *computed);
    if *computed {
        guard::reports(&mut k);
    }
    k.source().include(GRID);
    let grid = k.grid((count * quads).div_ceil(THREADS));
    let name = format!("gather {}", factor.name());
    k.finish(name, include_str!("gather.wgsl"), [THREADS as u32, 1, 1], grid)
}
