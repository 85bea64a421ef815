//! conv.

use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::{Conv2d, Epilogue};

pub(super) fn compile_2d(bind: &Bind<'_>, _c: &Conv2d) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}

pub(super) fn compile_depthwise(
    bind: &Bind<'_>,
    _pad: [usize; 2],
    _e: &Epilogue,
) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}
