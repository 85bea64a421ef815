//! Code that several kernels share.

mod decode;

pub(crate) use decode::{Factor, Loads};

use crate::program::{Bind, Kernel};
use mynah_device::{DeviceError, Precision};
use mynah_graph::Activation;

/// `silu`, `sigmoid`, `gelu` and the other functions of one element, exact to a few units in the last place; `exponential`
/// and `log_one_plus`, which they are made of.
pub(crate) const ACTIVATIONS: &str = include_str!("activations.wgsl");

/// `linear_id(wid, groups)`: the number of a workgroup in a grid folded by [`crate::program::Kernel::grid`].
pub(crate) const GRID: &str = include_str!("grid.wgsl");

/// `in_range(v)`: four numbers brought into the range of f16.
pub(crate) const HALF: &str = include_str!("half.wgsl");

/// Binds the result `y`, of `element` `f32` or `vec4<f32>`, and defines `$KEPT(value)`, which a kernel puts around what it stores:
/// the value is kept as halves where its readers want no more (see [`crate::program::halves`]). Returns what `$KEPT` stands for.
pub(crate) fn bind_result(
    k: &mut Kernel<'_, '_>,
    bind: &Bind<'_>,
    element: &'static str,
) -> Result<&'static str, DeviceError> {
    let target = bind.target()?;
    let (element, kept) = match (bind.half_target(), element) {
        (false, element) => (element, element),
        (true, "f32") => ("f16", "kept_half"),
        (true, _) => ("vec4<f16>", "kept_halves"),
    };
    k.bind("y", element, &target);
    k.source().define("KEPT", kept);
    if bind.half_target() {
        k.source().enable("f16");
        k.source().include(HALF);
        k.source().include(include_str!("kept.wgsl"));
    }
    Ok(kept)
}

/// Includes [`ACTIVATIONS`], with the device's own exponential where the policy allows its error.
pub(crate) fn include_activations(k: &mut Kernel<'_, '_>, bind: &Bind<'_>) {
    k.source().include(ACTIVATIONS);
    k.source().flag("FAST_EXP", bind.policy().precision != Precision::Exact);
}

/// The name of an activation's function in [`ACTIVATIONS`].
pub(crate) fn function(f: Activation) -> &'static str {
    match f {
        Activation::Relu => "relu",
        Activation::Silu => "silu",
        Activation::Sigmoid => "sigmoid",
        Activation::Tanh => "tanh_safe",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_tanh",
        Activation::Exp => "exponential",
        Activation::Softplus => "softplus",
        Activation::Rsqrt => "reciprocal_root",
        // Refused before: see `has_function`.
        Activation::LeakyRelu(_) | Activation::Elu | Activation::Mish | Activation::Sin => f.name(),
        Activation::Cos | Activation::Sqrt | Activation::Abs => f.name(),
    }
}

/// Whether [`ACTIVATIONS`] has a function for an activation.
pub(crate) fn has_function(f: Activation) -> bool {
    !matches!(
        f,
        Activation::LeakyRelu(_)
            | Activation::Elu
            | Activation::Mish
            | Activation::Sin
            | Activation::Cos
            | Activation::Sqrt
            | Activation::Abs
    )
}
