//! Code that several kernels share.

mod decode;

pub(crate) use decode::{Factor, Loads};

use mynah_graph::Activation;

/// `silu`, `sigmoid`, `gelu` and the other functions of one element, exact to a few units in the last place.
pub(crate) const ACTIVATIONS: &str = include_str!("activations.wgsl");

/// `linear_id(wid, groups)`: the number of a workgroup in a grid folded by [`crate::program::Kernel::grid`].
pub(crate) const GRID: &str = include_str!("grid.wgsl");

/// The name of an activation's function in [`ACTIVATIONS`].
pub(crate) fn function(f: Activation) -> &'static str {
    match f {
        Activation::Relu => "relu",
        Activation::Silu => "silu",
        Activation::Sigmoid => "sigmoid",
        Activation::Tanh => "tanh_safe",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_tanh",
        Activation::Exp => "exp",
        Activation::Softplus => "softplus",
        Activation::Rsqrt => "rsqrt",
    }
}
