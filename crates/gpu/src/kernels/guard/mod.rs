//! Looks at indices that a kernel computed: the first that is out of range is reported, with the step it is in.
//!
//! A kernel that reads such numbers anyway reports them itself ([`reports`]); before others a dispatch of its own looks.

use crate::check::Limit;
use crate::program::{Bind, Compiled, Dispatch, Kernel, Operand, Place};
use mynah_device::DeviceError;

/// Stands for the number of the step, which is known when the program is put together.
const STEP: u32 = u32::MAX;

/// A dispatch that reports the numbers of operand `operand` that are `limit` or more.
pub(crate) fn compile(bind: &Bind<'_>, operand: usize, limit: usize) -> Result<Dispatch, DeviceError> {
    let mut k = looking(bind, operand)?;
    k.param("limit", limit);
    k.finish("guard", include_str!("guard.wgsl"), [64, 1, 1], [1, 1, 1])
}

/// Has operand `operand`, row numbers of a state tensor, looked at: by the host where the caller gives them, or by a dispatch before
/// the others. With `distinct` none may stand twice.
pub(crate) fn rows(
    bind: &Bind<'_>,
    operand: usize,
    state: u32,
    distinct: bool,
    compiled: &mut Compiled,
) -> Result<(), DeviceError> {
    match bind.check(operand, "row", Limit::Rows { state, count: 1 }, distinct)? {
        Some(check) => compiled.checks.push(check),
        None => {
            let mut k = looking(bind, operand)?;
            k.param_rows("limit", state);
            k.source().flag("DISTINCT", distinct);
            let dispatch = k.finish("guard", include_str!("guard.wgsl"), [64, 1, 1], [1, 1, 1])?;
            compiled.dispatches.insert(0, dispatch);
        }
    }
    Ok(())
}

/// Gives a kernel the functions `report(i32)`, `report_number(f32)` and `is_whole(f32, most)`.
pub(crate) fn reports(k: &mut Kernel<'_, '_>) {
    k.bind("faults", "atomic<u32>", &Operand { place: Place::Faults, bytes: 8 });
    k.param("step", STEP as usize);
    k.source().include(include_str!("report.wgsl"));
}

fn looking<'b, 'a>(bind: &'b Bind<'a>, operand: usize) -> Result<Kernel<'b, 'a>, DeviceError> {
    let mut k = bind.kernel();
    k.bind("ids", "i32", &bind.operand(operand)?);
    reports(&mut k);
    k.param("count", bind.shape(operand).numel());
    Ok(k)
}

/// Fills in the number of the step.
pub(crate) fn number(dispatch: &mut Dispatch, step: usize) {
    dispatch.number_guard(STEP, step as u32 + 1);
}
