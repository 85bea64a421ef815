//! state.

use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

pub(super) fn compile_gather(bind: &Bind<'_>, _state: u32) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_scatter(bind: &Bind<'_>, _state: u32) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_append(bind: &Bind<'_>, _state: u32, _at: u32) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}
