//! What comes before a product of few rows: a norm or a gated unit that every workgroup computes anew for the rows it reads.
//!
//! An RMS norm's gain multiplies what is read; its squares are summed along with the products, and divide these at the very end. A layer
//! norm takes passes over the rows before the product's own, while the first weights are on their way: were the mean taken off
//! the sums, most digits could cancel. A gated unit is computed where its elements are read.

use super::{Product, matvec};
use crate::kernels::common::{function, include_activations};
use crate::kernels::elementwise::each;
use crate::program::Kernel;
use mynah_device::DeviceError;
use mynah_graph::Prologue;

/// Columns from which on it costs more to do the work in every workgroup than to have all wait for a dispatch.
const MOST_COLUMNS: usize = 1 << 15;

/// Whether a product can do the work itself.
pub(super) fn suits(product: &Product<'_, '_>) -> bool {
    matvec::suits(product) && product.columns <= MOST_COLUMNS
}

/// Binds what the prologue reads and declares `operand`, and for a layer norm `moments_of` and `centred`.
pub(super) fn declare(product: &Product<'_, '_>, k: &mut Kernel<'_, '_>) -> Result<(), DeviceError> {
    let bind = product.bind;
    match product.prologue {
        None => {}
        Some(Prologue::RmsNorm { eps } | Prologue::LayerNorm { eps }) => {
            let centred = matches!(product.prologue, Some(Prologue::LayerNorm { .. }));
            k.bind("gain", "vec4<f32>", &bind.operand(2)?);
            if centred {
                k.bind("shift", "vec4<f32>", &bind.operand(3)?);
            }
            k.param_f32("eps", *eps).param_f32("width", product.k as f32);
            k.source().flag("LATE", !centred);
            k.source().flag("CENTRED", centred);
        }
        Some(Prologue::Gated(f)) => {
            k.bind("gate", "vec4<f32>", &bind.operand(2)?);
            k.source().flag("GATED", true);
            let gate = each(function(k.source(), *f), 4);
            k.source().define("GATE", gate);
            include_activations(k, bind);
        }
    }
    k.source().include(include_str!("prologue.wgsl"));
    Ok(())
}

/// How it stands in the kernel's name.
pub(super) fn name(prologue: &Prologue) -> &'static str {
    match prologue {
        Prologue::RmsNorm { .. } => "rms_norm ",
        Prologue::LayerNorm { .. } => "layer_norm ",
        Prologue::Gated(_) => "gated ",
    }
}
