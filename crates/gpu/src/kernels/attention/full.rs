//! Attention in which every query sees all keys of its sequence, in one pass over the keys as with relative positions: the same tiles
//! as for tokens of a language model, keys and values as they lie.

use super::units::{self, Sequences};
use super::unroll::{count, unroll};
use super::with_lengths;
use crate::kernels::causal::tiled::{KEYS, SIDE, TILE_KEYS, Tile};
use crate::kernels::common::bind_result;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Attention;

fn sequences(bind: &Bind<'_>, a: &Attention) -> Result<Sequences, DeviceError> {
    let (&[batch, queries, heads, width], keys) = (bind.shape(0).dims(), bind.shape(1).dims()[1]) else {
        return Err(bind.unsupported("operands of another rank".into()));
    };
    let halves = (0..3).all(|operand| bind.half(operand));
    Ok(Sequences { batch, queries, keys, heads, width, scale: a.scale, halves, positions: None })
}

/// Whether the op would rather find this operand as halves.
pub(in crate::kernels) fn takes_halves(bind: &Bind<'_>, a: &Attention, operand: usize) -> bool {
    operand < 3 && sequences(bind, a).is_ok_and(|sequences| units::suits(bind, &sequences))
}

/// `softmax(q·kᵀ · scale) · v` over the keys before the length.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, a: &Attention) -> Result<Compiled, DeviceError> {
    let sequences = sequences(bind, a)?;
    if units::suits(bind, &sequences) {
        return with_lengths(bind, units::compile(bind, sequences)?, 3, sequences.keys);
    }
    let Sequences { batch, queries, keys, heads, width, .. } = sequences;
    let row = width.div_ceil(4);
    let tile = Tile::choose(bind, row, |tall| queries.div_ceil(SIDE * tall) * heads * batch)?;
    let vectors = width.is_multiple_of(4);
    let element = if vectors { "vec4<f32>" } else { "f32" };
    let mut k = bind.kernel();
    for (operand, name) in ["q", "k", "v"].into_iter().enumerate() {
        k.bind(name, element, &bind.operand(operand)?);
    }
    k.bind("lengths", "i32", &bind.operand(3)?);
    bind_result(&mut k, bind, element)?;
    k.param("queries", queries).param("keys", keys);
    // Weights are powers of two: a multiplication less for each.
    k.param_f32("scale", (f64::from(a.scale) * std::f64::consts::LOG2_E) as f32);
    let unit = if vectors { 4 } else { 1 };
    let source = k.source();
    source.flag("VECTORS", vectors);
    for (name, value) in [("HEAD", width / unit), ("WIDTH", heads * width / unit), ("ROW", row)] {
        source.constant(name, value as u32);
    }
    tile.declare(source);
    let mut symbols = tile.counts();
    symbols.extend([count("H", KEYS / 2), ("X", ["q", "k", "v"].map(str::to_owned).to_vec())]);
    let code = unroll(include_str!("full.wgsl"), &symbols);
    let groups = [queries.div_ceil(tile.height()), heads, batch];
    let name = format!("attention/{}x{TILE_KEYS}", tile.height());
    with_lengths(bind, k.finish(name, &code, [(SIDE * SIDE) as u32, 1, 1], groups)?, 3, keys)
}
