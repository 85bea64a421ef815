//! A causal depthwise convolution with its activation, the last inputs in a state tensor (see [`mynah_graph::CausalConv1d`]).
//!
//! Of the blocks of tokens only the first looks at the state, so it is also the one that writes it: nobody else has to wait.

use crate::check::Limit;
use crate::kernels::attention::unroll::{count, unroll};
use crate::kernels::common::{function, include_activations};
use crate::program::{Bind, Compiled, Operand, Place};
use mynah_device::DeviceError;
use mynah_graph::CausalConv1d;

/// Threads of a workgroup.
const THREADS: usize = 64;
/// Tokens of a thread, unless there are more taps.
const TOKENS: usize = 16;
/// Inputs kept for a channel: a thread holds them, and its window of taps, in registers.
const MOST: usize = 64;
/// Threads below which a channel is a thread's share, from which four are.
const FEW_THREADS: usize = 1 << 14;

/// `x [B, T, C]`, `weight [C, 1, K]`, `sequences [B, 3]` → `[B, T, C]`.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, op: &CausalConv1d) -> Result<Compiled, DeviceError> {
    let &[batch, time, channels] = bind.shape(0).dims() else {
        return Err(bind.unsupported("x has no three dimensions".into()));
    };
    let taps = bind.shape(1).last();
    let kept = taps - 2 + op.snapshots;
    if taps > MOST || kept > MOST {
        return Err(bind.unsupported(format!("{taps} taps, {kept} inputs kept; {MOST} at most")));
    }
    let rows = Limit::Rows { state: op.state.0, count: 1 };
    let columns = [
        ("state row", rows, true),
        ("length", Limit::Fixed(time + 1), false),
        ("snapshot", Limit::Fixed(op.snapshots), false),
    ];
    let mut checks = Vec::new();
    for (column, (what, limit, distinct)) in columns.into_iter().enumerate() {
        let check = bind.check(2, what, limit, distinct)?;
        let check =
            check.ok_or_else(|| bind.unsupported("sequences that are not an input of the graph".into()))?;
        checks.push(check.of_column(column, 3));
    }
    let tokens = TOKENS.max(taps);
    let blocks = time.div_ceil(tokens);
    // Single tokens of few sequences leave most of a GPU idle: then every channel gets a thread of its own.
    let vectors = channels.is_multiple_of(4) && kept <= 8 && channels * blocks * batch >= FEW_THREADS;
    let (element, lanes) = if vectors { ("vec4<f32>", 4) } else { ("f32", 1) };
    let mut k = bind.kernel();
    k.bind("x", element, &bind.operand(0)?).bind("weight", "f32", &bind.operand(1)?);
    k.bind("sequences", "i32", &bind.operand(2)?);
    k.bind("state", element, &Operand { place: Place::State(op.state.0), bytes: 0 });
    k.bind("y", element, &bind.target()?);
    k.param("time", time).param("channels", channels / lanes).param_rows("rows", op.state.0);
    let source = k.source();
    for (name, value) in [("TAPS", taps), ("KEPT", kept), ("SNAPSHOTS", op.snapshots), ("TOKENS", tokens)] {
        source.constant(name, value as u32);
    }
    source.flag("VECTORS", vectors);
    source.define("TYPE", element);
    let result = match op.activation {
        None => "v".to_owned(),
        Some(f) => crate::kernels::elementwise::each(function(source, f), lanes),
    };
    source.define("RESULT", result);
    if op.activation.is_some() {
        include_activations(&mut k, bind);
    }
    let symbols =
        [count("K", taps), count("P", taps - 1), count("S", kept), ("LAST", vec![(taps - 1).to_string()])];
    let code = unroll(include_str!("conv.wgsl"), &symbols);
    let groups = [(channels / lanes).div_ceil(THREADS), blocks, batch];
    let dispatch = k.finish("causal_conv1d", &code, [THREADS as u32, 1, 1], groups)?;
    Ok(Compiled::one(dispatch).checked(checks))
}
