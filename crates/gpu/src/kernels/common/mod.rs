//! Code that several kernels share.

mod decode;

pub(crate) use decode::{Factor, Loads};

use crate::program::{Bind, Kernel};
use mynah_device::Precision;
use mynah_graph::Activation;

/// `silu`, `sigmoid`, `gelu` and the other functions of one element, exact to a few units in the last place; `exponential`
/// and `log_one_plus`, which they are made of.
pub(crate) const ACTIVATIONS: &str = include_str!("activations.wgsl");

/// `linear_id(wid, groups)`: the number of a workgroup in a grid folded by [`crate::program::Kernel::grid`].
pub(crate) const GRID: &str = include_str!("grid.wgsl");

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
    }
}
