//! Moves each clip along its window of frames up to the first token: a workgroup for a clip, in which every frame of the
//! window has threads of its own, so that the frames are read at once; the walk along what they say is one thread's.

use super::{declare_cursor, tensor};
use crate::kernels::common::{GRID, include_activations};
use crate::kernels::guard;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::transducer::{TransducerAdvance, entry};

/// Reductions among the threads of a frame, see the file.
const REDUCE: &str = include_str!("../common/reduce.wgsl");
/// Threads of a workgroup where the adapter has the workgroup memory for so many, and where it has the least.
const THREADS: [usize; 2] = [1024, 256];
/// Workgroup memory that the larger number needs.
const LARGE: u32 = 32 << 10;

/// `logits [B, ahead, labels + durations]`, `rows [B]` → `[B, row]`.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, op: &TransducerAdvance) -> Result<Compiled, DeviceError> {
    let &[clips, ahead, outputs] = bind.shape(0).dims() else {
        return Err(bind.unsupported("logits have no three dimensions".into()));
    };
    let caps = bind.caps();
    let [many, few] = THREADS;
    let large = caps.workgroup_bytes >= LARGE && caps.workgroup_threads as usize >= many;
    let threads = if large { many } else { few };
    if ahead > threads {
        return Err(bind.unsupported(format!("{ahead} frames ahead, {threads} at most")));
    }
    // A power of two, as reductions need it, and no more than there are labels.
    let lanes = (1 << (threads / ahead).ilog2()).min(op.labels().next_power_of_two());
    let row = bind.out_shape().last();
    let mut k = bind.kernel();
    k.bind("logits", "f32", &bind.operand(0)?).bind("rows", "i32", &bind.operand(1)?);
    k.bind("cursors", "f32", &tensor(op.cursors.0)).bind("y", "f32", &bind.target()?);
    guard::reports(&mut k);
    k.param("clips", clips).param("row", row).param_rows("cursor_rows", op.cursors.0);
    k.param("entries", TransducerAdvance::capacity(row).unwrap_or(1));
    declare_cursor(k.source());
    include_activations(&mut k, bind);
    let source = k.source();
    let numbers = [
        ("ROW_LANES", lanes),
        ("AHEAD", ahead),
        ("OUTPUTS", outputs),
        ("LABELS", op.labels()),
        ("BLANK", op.blank),
        ("MAX_SYMBOLS", op.max_symbols),
        ("ENTRY", entry::LEN),
        ("ENTRY_TOKEN", entry::TOKEN),
        ("ENTRY_FRAME", entry::FRAME),
        ("ENTRY_DURATION", entry::DURATION),
        ("ENTRY_CONFIDENCE", entry::CONFIDENCE),
    ];
    numbers.into_iter().for_each(|(name, number)| source.constant(name, number as u32));
    let durations: Vec<String> = op.durations.iter().map(|d| format!("{d}u")).collect();
    source.define("DURATIONS", format!("array<u32, {}>({})", durations.len(), durations.join(", ")));
    source.flag("HAS_DURATIONS", !durations.is_empty());
    source.flag("WIDE_ROWS", lanes > 16);
    source.include(GRID);
    source.include(REDUCE);
    let groups = k.grid(clips);
    let code = include_str!("advance.wgsl");
    let advance = k.finish("transducer_advance", code, [(lanes * ahead) as u32, 1, 1], groups)?;
    let mut compiled = Compiled::one(advance);
    guard::rows(bind, 1, op.cursors.0, true, &mut compiled)?;
    Ok(compiled)
}
