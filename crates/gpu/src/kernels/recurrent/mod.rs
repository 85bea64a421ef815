//! recurrent.

use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

pub(super) fn compile_lstm(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}
