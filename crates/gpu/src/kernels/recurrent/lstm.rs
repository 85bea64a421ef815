//! The LSTM cell: what is left of a step once the gates are multiplied out.

use crate::kernels::common::{ACTIVATIONS, GRID};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

const THREADS: u32 = 64;

/// Gates `[B, 4H]` in the order input, forget, cell, output and the cell state `[B, H]` to the hidden state and the new cell
/// state, `[B, 2H]`.
pub(in crate::kernels) fn compile_lstm(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let cell = bind.shape(1);
    let mut k = bind.kernel();
    k.bind("gates", "f32", &bind.operand(0)?).bind("cell", "f32", &bind.operand(1)?);
    k.bind("y", "f32", &bind.target()?);
    k.param("len", cell.numel()).param("hidden", cell.last());
    k.source().include(GRID);
    k.source().include(ACTIVATIONS);
    let groups = k.grid(cell.numel().div_ceil(THREADS as usize));
    Ok(Compiled::one(k.finish("lstm_cell", include_str!("lstm.wgsl"), [THREADS, 1, 1], groups)?))
}
