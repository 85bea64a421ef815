//! attention.

use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::RelPosAttention;

pub(super) fn compile(bind: &Bind<'_>, _a: &RelPosAttention) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}
