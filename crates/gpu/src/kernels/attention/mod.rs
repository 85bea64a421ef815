//! Attention over whole sequences, with relative positions and without.

mod full;
mod rel_pos;
mod units;
pub(super) mod unroll;

pub(super) use full::{compile as compile_full, takes_halves as full_takes_halves};
pub(super) use rel_pos::{compile, takes_halves};
pub(super) use units::F16_ATTENTION;

use crate::caps::Capabilities;
use crate::check::Limit;
use crate::kernels::guard;
use crate::program::{Bind, Compiled, Dispatch};
use mynah_device::DeviceError;

/// Bytes of workgroup memory that tiles may take. More than 16 KiB keep other workgroups off a core with 32; where there is plenty,
/// staging more hides more.
pub(super) fn staging_bytes(caps: &Capabilities) -> usize {
    let have = caps.workgroup_bytes as usize;
    if have >= 48 << 10 { 32 << 10 } else { have.min(16 << 10) }
}

/// The dispatch, after lengths of up to `keys` in this operand were looked at.
fn with_lengths(
    bind: &Bind<'_>,
    dispatch: Dispatch,
    operand: usize,
    keys: usize,
) -> Result<Compiled, DeviceError> {
    let mut compiled = Compiled::one(dispatch);
    match bind.check(operand, "length", Limit::Fixed(keys + 1), false)? {
        Some(check) => compiled.checks.push(check),
        None => compiled.dispatches.insert(0, guard::compile(bind, operand, keys + 1)?),
    }
    Ok(compiled)
}
