//! Matrix products.

mod gemm;
mod pack;
mod rows;

use crate::program::{Bind, Kernel};
use mynah_device::DeviceError;
use mynah_graph::Epilogue;

pub(crate) use pack::pack_rows;

/// Compiles a matrix product.
pub(crate) fn compile(bind: &Bind<'_>, epilogue: &Epilogue) -> Result<Box<dyn Kernel>, DeviceError> {
    Ok(Box::new(gemm::Gemm::new(bind, epilogue)?))
}
