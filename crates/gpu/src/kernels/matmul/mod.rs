//! matmul.

use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_device::Route;
use mynah_graph::Epilogue;

pub(super) const F16_MATRIX: Route =
    Route { name: "f16-matrix", about: "matrix products on matrix units: f16 factors, f32 sums" };

pub(super) fn compile(bind: &Bind<'_>, _e: &Epilogue) -> Result<Compiled, DeviceError> {
    Err(bind.unsupported("not yet".into()))
}
