//! Values joined along an axis: every thread finds the operand that its element comes from.

use super::{THREADS, width};
use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use std::fmt::Write as _;

/// Names of bindings and of their runs' lengths. More operands than these go into dispatches of their own; one binding is
/// the output's.
const OPERANDS: [&str; 6] = ["x0", "x1", "x2", "x3", "x4", "x5"];
const RUNS: [&str; 6] = ["run0", "run1", "run2", "run3", "run4", "run5"];

/// The operands side by side.
pub(in crate::kernels) fn compile_concat(bind: &Bind<'_>, axis: usize) -> Result<Compiled, DeviceError> {
    let out = bind.out_shape();
    let Some(after) = out.dims().get(axis..) else {
        return Err(bind.unsupported(format!("{out:?} has no axis {axis}")));
    };
    let pitch: usize = after.iter().product();
    let outer = out.numel().checked_div(pitch).unwrap_or(0);
    let inner: usize = after.iter().skip(1).product();
    // Operand and words of its run; those of none have no place to be read from.
    let runs: Vec<(usize, usize)> = (0..bind.operands())
        .map(|i| (i, bind.shape(i).dims().get(axis).map_or(0, |extent| extent * inner)))
        .filter(|(_, run)| *run > 0)
        .collect();
    let (element, lanes) = width(runs.iter().map(|(_, run)| *run));
    let mut compiled = Compiled { name: "concat".into(), ..Compiled::default() };
    let mut first = 0;
    for part in runs.chunks(OPERANDS.len()) {
        let mut k = bind.kernel();
        let (mut choose, mut end) = (String::new(), 0);
        for ((&(operand, run), name), run_name) in part.iter().zip(OPERANDS).zip(RUNS) {
            k.bind(name, element, &bind.operand(operand)?).param(run_name, run / lanes);
            // Writing to a String can't fail. What is past the operands before is in this one or in a later one.
            let _ = write!(
                choose,
                "if at < p.{run_name} {{ y[to] = {name}[row * p.{run_name} + at]; return; }} at -= p.{run_name}; "
            );
            end += run;
        }
        k.bind("y", element, &bind.target()?);
        let len = outer * end / lanes;
        k.param("len", len).param("width", end / lanes);
        k.param("pitch", pitch / lanes).param("first", first / lanes);
        k.source().define("CHOOSE", choose);
        k.source().include(GRID);
        let groups = k.grid(len.div_ceil(THREADS as usize));
        compiled.dispatches.push(k.finish("concat", include_str!("concat.wgsl"), [THREADS, 1, 1], groups)?);
        first += end;
    }
    Ok(compiled)
}
