//! From spectra back to samples.

use crate::kernels::common::{DIRECTION, GRID};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::InverseStft;

/// Threads of a workgroup, a sample each.
const THREADS: usize = 256;
/// The longest window: cosines and sines of its angles take 16 KiB of workgroup memory.
const LONGEST: usize = 2048;

/// `x [B, F, 2·(n/2 + 1)]` → `[B, hop·(F − 1)]`.
///
/// A sample is a few frames' sums over all bins, as short windows want it; each thread has one and adds up what the frames give it, so
/// nothing is added in memory.
pub(super) fn compile(bind: &Bind<'_>, op: &InverseStft) -> Result<Compiled, DeviceError> {
    let &[batch, frames, numbers] = bind.shape(0).dims() else {
        return Err(bind.unsupported("an operand of another rank".into()));
    };
    let window = InverseStft::window(numbers).filter(|&n| n <= LONGEST);
    let window = window.ok_or_else(|| bind.unsupported(format!("windows of more than {LONGEST} samples")))?;
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("y", "f32", &bind.target()?);
    k.param("len", bind.out_shape().numel()).param("samples", bind.out_shape().numel() / batch);
    k.param("frames", frames);
    for (name, value) in [("WINDOW", window), ("HOP", op.hop), ("BINS", numbers / 2)] {
        k.source().constant(name, value as u32);
    }
    k.source().include(GRID);
    k.source().include(DIRECTION);
    let groups = k.grid(bind.out_shape().numel().div_ceil(THREADS));
    let code = include_str!("inverse_stft.wgsl");
    Ok(Compiled::one(k.finish("inverse_stft", code, [THREADS as u32, 1, 1], groups)?))
}
