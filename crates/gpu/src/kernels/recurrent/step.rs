//! A step of an LSTM layer between state tensors, for the sequences that are active.

use crate::kernels::common::{ACTIVATIONS, GRID};
use crate::kernels::guard;
use crate::program::{Bind, Compiled, Operand, Place};
use mynah_device::DeviceError;

const THREADS: u32 = 64;

/// Gates `[B, 4H]`, row numbers and activity `[B]` to hidden states `[B, H]`.
pub(in crate::kernels) fn compile_lstm_step(
    bind: &Bind<'_>,
    hidden: u32,
    cell: u32,
) -> Result<Compiled, DeviceError> {
    let out = bind.out_shape();
    let state = |state: u32| Operand { place: Place::State(state), bytes: 4 };
    let mut k = bind.kernel();
    k.bind("gates", "f32", &bind.operand(0)?).bind("rows", "i32", &bind.operand(1)?);
    k.bind("live", "i32", &bind.operand(2)?);
    k.bind("hidden", "f32", &state(hidden)).bind("cell", "f32", &state(cell));
    k.bind("y", "f32", &bind.target()?);
    k.param("len", out.numel()).param("width", out.last());
    k.param_rows("hidden_rows", hidden).param_rows("cell_rows", cell);
    k.source().include(GRID);
    k.source().include(ACTIVATIONS);
    let groups = k.grid(out.numel().div_ceil(THREADS as usize));
    let step = k.finish("lstm_step", include_str!("step.wgsl"), [THREADS, 1, 1], groups)?;
    let mut compiled = Compiled::one(step);
    guard::rows(bind, 1, cell, false, &mut compiled)?;
    guard::rows(bind, 1, hidden, true, &mut compiled)?;
    Ok(compiled)
}
