//! All that the heads of a gated delta net do with a few tokens (see [`mynah_graph::DeltaHeads`]), a workgroup to a head: four lanes
//! to a row of its matrix as in [`super`], and all rows together, since the norm goes over them.

use super::{LANES, STEP, sequences};
use crate::kernels::attention::unroll::{count, unroll};
use crate::kernels::common::{function, include_activations};
use crate::program::{Bind, Compiled, Operand, Place};
use mynah_device::DeviceError;
use mynah_graph::DeltaHeads;

/// The widest head: more would not fit the registers of so many threads.
const WIDEST: usize = 128;
/// Tokens of a sequence from which rows spread over more workgroups are better.
const FEW: usize = 8;

/// Taps of a convolution, and inputs kept for it, that a thread holds.
const MOST_INPUTS: usize = 16;

/// The dispatch of all heads of all sequences.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, op: &DeltaHeads) -> Result<Compiled, DeviceError> {
    let &[batch, time, heads, size] = bind.shape(5).dims() else {
        return Err(bind.unsupported("z has no four dimensions".into()));
    };
    if size > WIDEST || !size.is_multiple_of(STEP) || time > FEW || bind.caps().subgroup.is_none() {
        return Err(bind.unsupported(format!(
            "{time} tokens by heads of {size}: {FEW} and {WIDEST} at most, whole vectors, subgroups"
        )));
    }
    let checks = sequences(bind, 6, time, op.delta)?;
    let mut k = bind.kernel();
    let mut symbols = vec![count("C", size / STEP)];
    k.bind("mixed", if op.conv.is_some() { "f32" } else { "vec4<f32>" }, &bind.operand(0)?);
    if let Some(conv) = &op.conv {
        let taps = bind.shape(7).last();
        let kept = taps - 2 + conv.snapshots;
        if heads != op.key_heads || taps > MOST_INPUTS || kept > MOST_INPUTS {
            // A channel of the convolution must be one head's, which writes its last inputs.
            return Err(bind.unsupported("a convolution whose channels are shared, or of many taps".into()));
        }
        k.bind("kernel", "f32", &bind.operand(7)?);
        k.bind("inputs", "f32", &Operand { place: Place::State(conv.state.0), bytes: 0 });
        k.param_rows("input_rows", conv.state.0);
        k.source().constant("TAPS", taps as u32);
        k.source().constant("KEPT", kept as u32);
        let v = conv.activation.map_or_else(|| "v".to_owned(), |f| format!("{}(v)", function(k.source(), f)));
        k.source().define("MIXED", v);
        symbols.extend([count("K", taps), count("P", taps - 1), count("S", kept)]);
        symbols.push(("LAST", vec![(taps - 1).to_string()]));
    }
    k.source().flag("CONV", op.conv.is_some());
    for (operand, name) in ["steps", "rates", "beta", "gain", "z"].into_iter().enumerate() {
        k.bind(name, "f32", &bind.operand(1 + operand)?);
    }
    k.bind("sequences", "i32", &bind.operand(6)?);
    k.bind("state", "vec4<f32>", &Operand { place: Place::State(op.delta.state.0), bytes: 0 });
    k.bind("y", "f32", &bind.target()?);
    k.param("time", time).param("heads", heads).param("key_heads", op.key_heads);
    k.param_rows("rows", op.delta.state.0).param_f32("scale", 1.0 / (size as f32).sqrt());
    k.param_f32("length_eps", op.length_eps).param_f32("norm_eps", op.norm_eps);
    include_activations(&mut k, bind);
    let source = k.source();
    source.constant("SIZE", size as u32);
    source.constant("SNAPSHOTS", op.delta.snapshots as u32);
    let gate = function(source, op.gate);
    source.define("GATE", gate);
    let code = unroll(include_str!("heads.wgsl"), &symbols);
    let threads = (LANES * size) as u32;
    let dispatch = k.finish(
        if op.conv.is_some() { "delta_heads/conv" } else { "delta_heads" },
        &code,
        [threads, 1, 1],
        [heads, batch, 1],
    )?;
    Ok(Compiled::one(dispatch).checked(checks))
}
