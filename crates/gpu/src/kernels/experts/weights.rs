//! How much of each chosen expert a token gets.

use super::choice::{REDUCE, SCORES};
use super::{check_ids, score_name};
use crate::kernels::common::{GRID, include_activations};
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::{ExpertWeights, RouterScore};

/// Threads of a token.
const THREADS: usize = 64;

/// `logits [.., E]`, `ids [.., k]` → `[.., k]`.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, w: ExpertWeights) -> Result<Compiled, DeviceError> {
    let (experts, used) = (bind.shape(0).last(), bind.shape(1).last());
    let tokens = bind.out_shape().numel() / used.max(1);
    let mut k = bind.kernel();
    k.bind("logits", "f32", &bind.operand(0)?).bind("ids", "i32", &bind.operand(1)?);
    k.bind("y", "f32", &bind.target()?).param("tokens", tokens).param_f32("scale", w.scale);
    if let Some(least) = w.normalise {
        k.param_f32("least", least);
    }
    include_activations(&mut k, bind);
    let source = k.source();
    source.flag("SOFTMAX", w.score == RouterScore::Softmax);
    source.flag("NORMALISE", w.normalise.is_some());
    source.flag("QUOTIENTS", w.normalise == Some(0.0));
    source.flag("WIDE_ROWS", true);
    source.define("SCORE", score_name(w.score));
    for (name, value) in [("EXPERTS", experts), ("USED", used), ("ROW_LANES", THREADS)] {
        source.constant(name, value as u32);
    }
    source.include(GRID);
    source.include(SCORES);
    if w.score == RouterScore::Softmax {
        source.include(REDUCE);
    }
    let grid = k.grid(tokens);
    let name = format!("expert_weights/{}", w.score.name());
    let size = [THREADS as u32, 1, 1];
    let mut compiled = Compiled::one(k.finish(name, include_str!("weights.wgsl"), size, grid)?);
    check_ids(bind, experts, &mut compiled)?;
    Ok(compiled)
}
