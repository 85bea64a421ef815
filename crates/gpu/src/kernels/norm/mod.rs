//! norm.

use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

pub(super) fn compile_layer(bind: &Bind<'_>, _eps: f32) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_rms(bind: &Bind<'_>, _eps: f32) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_batch(bind: &Bind<'_>, _eps: f32) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_batch_scale(bind: &Bind<'_>, _eps: f32) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_softmax(bind: &Bind<'_>, _log: bool) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_argmax(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}
