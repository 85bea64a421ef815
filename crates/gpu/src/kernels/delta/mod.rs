//! The gated delta rule (see [`mynah_graph::GatedDeltaNet`]): four lanes to a row of a head's matrix, the row in their registers for
//! all tokens.
//!
//! Rows need nothing of each other, so a head of width S spreads over S/32 workgroups, and a token takes two sums over four
//! lanes. Four lanes with a quarter of the row each leave two exchanges to a sum and still fill a GPU with few heads.

mod heads;

pub(super) use heads::compile as compile_heads;

use crate::check::{Check, Limit};
use crate::program::{Bind, Compiled, Operand, Place};
use mynah_device::DeviceError;
use mynah_graph::GatedDeltaNet;
use std::fmt::Write as _;

/// Threads of a workgroup.
const THREADS: usize = 128;
/// Lanes of a row; the smallest subgroup has as many.
const LANES: usize = 4;
/// Elements that the lanes of a row take together in one step: a vector of four each.
const STEP: usize = 4 * LANES;
/// Vectors of a lane up to which those of the next token fit the registers, too.
const AHEAD: usize = 8;
/// The widest head: more would not fit the registers.
const WIDEST: usize = 256;

/// The dispatch of all heads of all sequences.
pub(super) fn compile(bind: &Bind<'_>, op: GatedDeltaNet) -> Result<Compiled, DeviceError> {
    let &[batch, time, heads, size] = bind.shape(2).dims() else {
        return Err(bind.unsupported("v has no four dimensions".into()));
    };
    if size > WIDEST {
        return Err(bind.unsupported(format!("heads of {size}, {WIDEST} at most")));
    }
    let key_heads = bind.shape(0).dims()[2];
    let per_channel = bind.shape(3).rank() == 4;
    let checks = sequences(bind, 5, time, op)?;
    let subgroups = bind.caps().subgroup.is_some();
    let whole = size.is_multiple_of(STEP);
    let element = if whole { "vec4<f32>" } else { "f32" };
    let mut k = bind.kernel();
    k.bind("q", element, &bind.operand(0)?).bind("k", element, &bind.operand(1)?);
    k.bind("v", "f32", &bind.operand(2)?);
    k.bind("g", if per_channel { element } else { "f32" }, &bind.operand(3)?);
    k.bind("beta", "f32", &bind.operand(4)?).bind("sequences", "i32", &bind.operand(5)?);
    k.bind("state", element, &Operand { place: Place::State(op.state.0), bytes: 0 });
    k.bind("out", "f32", &bind.target()?);
    k.param("time", time).param("heads", heads).param("key_heads", key_heads);
    k.param_rows("rows", op.state.0).param_f32("scale", 1.0 / (size as f32).sqrt());
    let source = k.source();
    source.constant("SIZE", size as u32);
    source.constant("SNAPSHOTS", op.snapshots as u32);
    source.flag("WHOLE", whole);
    source.flag("PER_CHANNEL", per_channel);
    source.flag("SUBGROUPS", subgroups);
    unroll(source, size.div_ceil(STEP));
    let name = match (per_channel, subgroups) {
        (true, _) => "gated_delta_net/channel",
        (false, true) => "gated_delta_net",
        (false, false) => "gated_delta_net/plain",
    };
    let groups = [size.div_ceil(THREADS / LANES), heads, batch];
    let dispatch = k.finish(name, include_str!("delta.wgsl"), [THREADS as u32, 1, 1], groups)?;
    Ok(Compiled::one(dispatch).checked(checks))
}

/// The checks of operand `operand`, the sequences.
fn sequences(
    bind: &Bind<'_>,
    operand: usize,
    time: usize,
    op: GatedDeltaNet,
) -> Result<Vec<Check>, DeviceError> {
    let rows = Limit::Rows { state: op.state.0, count: 1 };
    let columns = [
        ("state row", rows, true),
        ("length", Limit::Fixed(time + 1), false),
        ("snapshot", Limit::Fixed(op.snapshots), false),
    ];
    let check = |(column, (what, limit, distinct)): (usize, (&'static str, Limit, bool))| {
        let check = bind.check(operand, what, limit, distinct)?;
        let check =
            check.ok_or_else(|| bind.unsupported("sequences that are not an input of the graph".into()))?;
        Ok(check.of_column(column, 3))
    };
    columns.into_iter().enumerate().map(check).collect()
}

/// Fills in what is done to each of a lane's vectors: arrays with a running index would leave the registers.
fn unroll(source: &mut crate::shader::Source, vectors: usize) {
    let ahead = vectors <= AHEAD;
    source.flag("AHEAD", ahead);
    let mut text = [const { String::new() }; 7];
    for c in 0..vectors {
        // Writing to a String can't fail.
        let _ = writeln!(text[0], "    var m{c} = load_state(from_at, {c}u, lane);");
        for operand in ["k", "q"] {
            let load = |at: &str| format!("load_{operand}({at}, {c}u, lane)");
            let _ = writeln!(text[4], "    var next_{operand}{c} = {};", load("first_key"));
            let own = if ahead { format!("next_{operand}{c}") } else { load("key_at") };
            let _ = writeln!(text[5], "        let {operand}{c} = {own};");
            let _ = writeln!(text[6], "        next_{operand}{c} = {};", load("next_key"));
        }
        let _ = writeln!(text[1], "        m{c} *= DECAY({c}u);");
        let _ = writeln!(text[1], "        read += dot(m{c}, k{c});");
        let _ = writeln!(text[2], "        m{c} += k{c} * delta;");
        let _ = writeln!(text[2], "        sum += dot(m{c}, q{c});");
        let _ = writeln!(text[3], "            store_state(to_at, {c}u, lane, m{c});");
    }
    let per_channel = source.has("PER_CHANNEL");
    let names = ["LOAD", "READ", "UPDATE", "STORE", "FIRST", "TAKE", "NEXT"];
    for (name, text) in names.into_iter().zip(text) {
        let mut text = text;
        for c in 0..vectors {
            let decay =
                if per_channel { format!("exp(load_g(value_at, {c}u, lane))") } else { "decay".into() };
            text = text.replace(&format!("DECAY({c}u)"), &decay);
        }
        source.define(name, text);
    }
}
