//! Code that several kernels share.

mod decode;
mod units;

pub(crate) use decode::{Factor, Loads};
pub(crate) use units::{HALF_OF_ONE, HALVES, MULTIPROCESSORS, OCT, PUT, Units};

use crate::program::{Bind, Kernel};
use crate::shader::Source;
use mynah_device::{DeviceError, Precision};
use mynah_graph::Activation;

/// `silu`, `sigmoid`, `gelu` and the other functions of one element, exact to a few units in the last place; `exponential`
/// and `log_one_plus`, which they are made of.
pub(crate) const ACTIVATIONS: &str = include_str!("activations.wgsl");

/// `sine`, `cosine` and `sine_squared` of any angle in radians; needs [`DIRECTION`].
pub(crate) const TRIGONOMETRY: &str = include_str!("trigonometry.wgsl");

/// `elu`, `mish`, `square_root` and `magnitude`, which most kernels that have activations would only be longer for.
const MORE_ACTIVATIONS: &str = include_str!("activations_more.wgsl");

/// `direction(turns)`, cosine and sine of a fraction of a turn in 2^-32, and `upper(a, b)`, the upper half of a product of integers.
pub(crate) const DIRECTION: &str = include_str!("direction.wgsl");

/// `linear_id(wid, groups)`: the number of a workgroup in a grid folded by [`crate::program::Kernel::grid`].
pub(crate) const GRID: &str = include_str!("grid.wgsl");

/// `in_range(v)`: four numbers brought into the range of f16.
pub(crate) const HALF: &str = include_str!("half.wgsl");

/// `to_halves(x)`, `from_halves(h)`: four numbers as a cache stores them, rounded alike on every device.
pub(crate) const CACHED_HALF: &str = include_str!("cached_half.wgsl");

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

/// The name of an activation's function, which stands in [`ACTIVATIONS`] or is added to what a kernel includes.
pub(crate) fn function(source: &mut Source, f: Activation) -> &'static str {
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
        Activation::Elu | Activation::Mish | Activation::Sqrt | Activation::Abs => {
            source.include(MORE_ACTIVATIONS);
            match f {
                Activation::Elu => "elu",
                Activation::Mish => "mish",
                Activation::Sqrt => "square_root",
                _ => "magnitude",
            }
        }
        Activation::LeakyRelu(slope) => {
            let slope = slope.to_bits();
            source.include(format!(
                "fn leaky_relu(x: f32) -> f32 {{\n    return select(x, bitcast<f32>({slope}u) * x, x < 0.0);\n}}\n"
            ));
            "leaky_relu"
        }
        Activation::Sin | Activation::Cos => {
            source.include(DIRECTION);
            source.include(TRIGONOMETRY);
            if f == Activation::Sin { "sine" } else { "cosine" }
        }
    }
}
