//! What a convolution does to a sum before it stores it.

use crate::kernels::common::{function, include_activations};
use crate::program::{Bind, Kernel};
use mynah_device::DeviceError;
use mynah_graph::Epilogue;

/// Binds the operands of an epilogue, which follow two others, and adds `finish(sum, at, channel)`: the value of the output's
/// element `at`.
pub(super) fn attach(k: &mut Kernel<'_, '_>, bind: &Bind<'_>, e: &Epilogue) -> Result<(), DeviceError> {
    let (bias, residual) = bind.epilogue(e, 2)?;
    if let Some(bias) = &bias {
        k.bind("bias", "f32", bias);
    }
    if let Some(residual) = &residual {
        k.bind("residual", "f32", residual);
    }
    k.source().flag("BIAS", bias.is_some());
    k.source().flag("RESIDUAL", residual.is_some());
    k.param_f32("scale", e.scale);
    if e.activation.is_some() {
        include_activations(k, bind);
    }
    let call = e.activation.map_or_else(|| "v".to_owned(), |f| format!("{}(v)", function(k.source(), f)));
    k.source().define("ACTIVATED", call);
    k.source().include(include_str!("epilogue.wgsl"));
    Ok(())
}
