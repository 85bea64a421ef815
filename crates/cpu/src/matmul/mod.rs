//! Matrix products.

mod gemm;
mod grouped;
mod integer;
mod pack;
mod quantize;
mod rows;

use crate::INT8_DOT;
use crate::program::{Bind, Kernel};
use mynah_device::DeviceError;
use mynah_graph::Epilogue;

pub(crate) use grouped::{Group, GroupedProduct};
pub(crate) use pack::{pack_columns, pack_rows};

/// Compiles a matrix product.
pub(crate) fn compile(bind: &Bind<'_>, epilogue: &Epilogue) -> Result<Box<dyn Kernel>, DeviceError> {
    if bind.policy().allows(&INT8_DOT)
        && let Some(product) = integer::IntegerGemm::new(bind, epilogue)?
    {
        return Ok(Box::new(product));
    }
    Ok(Box::new(gemm::Gemm::new(bind, epilogue)?))
}
