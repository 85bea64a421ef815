//! Looks at indices that a kernel computed: the first that is out of range is reported, with the step it is in.

use crate::program::{Bind, Dispatch, Kernel, Operand, Place};
use mynah_device::DeviceError;

/// Stands for the number of the step, which is known when the program is put together.
const STEP: u32 = u32::MAX;

/// A dispatch that reports the numbers of operand `operand` that are `limit` or more.
pub(crate) fn compile(bind: &Bind<'_>, operand: usize, limit: usize) -> Result<Dispatch, DeviceError> {
    let mut k = looking(bind, operand)?;
    k.param("limit", limit);
    k.finish("guard", include_str!("guard.wgsl"), [64, 1, 1], [1, 1, 1])
}

/// The same for row numbers of a state tensor; with `distinct` also those that stand twice.
pub(crate) fn compile_rows(
    bind: &Bind<'_>,
    operand: usize,
    state: u32,
    distinct: bool,
) -> Result<Dispatch, DeviceError> {
    let mut k = looking(bind, operand)?;
    k.param_rows("limit", state);
    k.source().flag("DISTINCT", distinct);
    k.finish("guard", include_str!("guard.wgsl"), [64, 1, 1], [1, 1, 1])
}

fn looking<'b, 'a>(bind: &'b Bind<'a>, operand: usize) -> Result<Kernel<'b, 'a>, DeviceError> {
    let mut k = bind.kernel();
    k.bind("ids", "i32", &bind.operand(operand)?);
    k.bind("faults", "atomic<u32>", &Operand { place: Place::Faults, bytes: 8 });
    k.param("step", STEP as usize).param("count", bind.shape(operand).numel());
    Ok(k)
}

/// Fills in the number of the step.
pub(crate) fn number(dispatch: &mut Dispatch, step: usize) {
    dispatch.number_guard(STEP, step as u32 + 1);
}
