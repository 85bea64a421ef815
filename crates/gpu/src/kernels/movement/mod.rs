//! movement.

mod gather;

pub(super) use gather::compile_gather;

use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Start;

pub(super) fn compile_copy(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_permute(bind: &Bind<'_>, _perm: &[usize]) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_slice(
    bind: &Bind<'_>,
    _axis: usize,
    _start: Start,
    _len: usize,
) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_concat(bind: &Bind<'_>, _axis: usize) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}
