//! Picks the experts of each token: a workgroup to a token, an expert to a thread, which counts those that rank before its own.
//!
//! Ranks are compared as integers, so that what is no number has its place whatever the compiler makes of comparisons with one. The
//! exponential is the exact one under every policy: a rounded score may let another expert win.

use super::score_name;
use crate::kernels::common::{ACTIVATIONS, GRID};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::{ExpertChoice, RouterScore};

/// Reductions among the threads of a token, see the file.
pub(super) const REDUCE: &str = include_str!("../common/reduce.wgsl");
/// What routers make of logits.
pub(super) const SCORES: &str = include_str!("scores.wgsl");
/// Keys kept in workgroup memory at a time: 8 KiB of them.
const MOST_KEYS: usize = 2048;
/// Most threads of a workgroup.
const THREADS: usize = 256;

/// `logits [.., E]`, perhaps `bias [E]` → `ids [.., k]`.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, c: ExpertChoice) -> Result<Compiled, DeviceError> {
    let experts = bind.shape(0).last();
    let tokens = bind.out_shape().numel() / c.used.max(1);
    let threads = experts.next_power_of_two().clamp(32, THREADS);
    let mut k = bind.kernel();
    k.bind("logits", "f32", &bind.operand(0)?);
    if c.bias {
        k.bind("bias", "f32", &bind.operand(1)?);
    }
    k.bind("y", "i32", &bind.target()?).param("tokens", tokens);
    let softmax = c.bias && c.score == RouterScore::Softmax;
    let source = k.source();
    source.flag("BIAS", c.bias);
    source.flag("SOFTMAX", softmax);
    source.flag("WIDE_ROWS", true);
    source.define("SCORE", score_name(c.score));
    for (name, value) in [
        ("EXPERTS", experts),
        ("USED", c.used),
        ("CHUNK", experts.min(MOST_KEYS).div_ceil(4)),
        ("ROW_LANES", threads),
    ] {
        source.constant(name, value as u32);
    }
    source.include(GRID);
    if c.bias {
        source.include(ACTIVATIONS);
        source.include(SCORES);
    }
    if softmax {
        source.include(REDUCE);
    }
    let grid = k.grid(tokens);
    let name = format!("expert_choice/{}", c.score.name());
    Ok(Compiled::one(k.finish(name, include_str!("choice.wgsl"), [threads as u32, 1, 1], grid)?))
}
