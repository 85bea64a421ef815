//! Attention in which every query sees all keys of its sequence, in one pass over the keys as with relative positions: the same tiles
//! as for tokens of a language model, keys and values as they lie.

use super::unroll::{count, unroll};
use crate::check::Limit;
use crate::kernels::causal::tiled::{KEYS, SIDE, TILE_KEYS, Tile};
use crate::kernels::guard;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Attention;

/// Workgroups below which the tiles are made smaller, so that more of a large GPU has something to do.
const FEW_GROUPS: usize = 256;
/// Vectors of a head's row up to which a thread's sums of two queries stay in registers.
const NARROW: usize = 64;

/// `softmax(q·kᵀ · scale) · v` over the keys before the length.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, a: &Attention) -> Result<Compiled, DeviceError> {
    let (&[batch, queries, heads, width], keys) = (bind.shape(0).dims(), bind.shape(1).dims()[1]) else {
        return Err(bind.unsupported("operands of another rank".into()));
    };
    // More than 16 KiB keep other workgroups off a core with 32; where there is plenty, staging more hides more.
    let have = bind.caps().workgroup_bytes as usize;
    let bytes = if have >= 48 << 10 { 32 << 10 } else { have.min(16 << 10) };
    let groups = |tall: usize| queries.div_ceil(SIDE * tall) * heads * batch;
    let row = width.div_ceil(4);
    let tall = if groups(2) < FEW_GROUPS || row > NARROW { 1 } else { 2 };
    let tile = Tile::fit(tall, row, bytes)
        .ok_or_else(|| bind.unsupported(format!("heads of {width} do not fit {bytes} bytes")))?;
    let vectors = width.is_multiple_of(4);
    let element = if vectors { "vec4<f32>" } else { "f32" };
    let mut k = bind.kernel();
    for (operand, name) in ["q", "k", "v"].into_iter().enumerate() {
        k.bind(name, element, &bind.operand(operand)?);
    }
    k.bind("lengths", "i32", &bind.operand(3)?).bind("y", element, &bind.target()?);
    k.param("queries", queries).param("keys", keys);
    // Weights are powers of two: a multiplication less for each.
    k.param_f32("scale", (f64::from(a.scale) * std::f64::consts::LOG2_E) as f32);
    let unit = if vectors { 4 } else { 1 };
    // Rows that the workgroup stages at once.
    let step = SIDE * SIDE / tile.depth;
    let source = k.source();
    source.flag("VECTORS", vectors);
    for (name, value) in [
        ("HEAD", width / unit),
        ("WIDTH", heads * width / unit),
        ("ROW", row),
        ("DEPTH", tile.depth),
        ("SWIZZLE", (8 / tile.depth).trailing_zeros() as usize),
        ("QUERIES", tile.height()),
        ("KEYS", TILE_KEYS),
        ("STAGE", tile.stage()),
        ("WEIGHTS", tile.weights()),
        ("BLOCK", tile.values),
        ("VALUE_ROW", SIDE * tile.columns),
        ("VALUE_BLOCK", tile.value_block()),
        ("STEP", step),
    ] {
        source.constant(name, value as u32);
    }
    let symbols = [
        count("A", tile.queries),
        count("B", KEYS),
        count("C", tile.columns),
        count("H", KEYS / 2),
        count("Q", tile.height().div_ceil(step)),
        count("K", TILE_KEYS.div_ceil(step)),
        count("V", tile.value_block().div_ceil(SIDE * SIDE)),
        ("X", ["q", "k", "v"].map(str::to_owned).to_vec()),
    ];
    let code = unroll(include_str!("full.wgsl"), &symbols);
    let groups = [queries.div_ceil(tile.height()), heads, batch];
    let name = format!("attention/{}x{TILE_KEYS}", tile.height());
    let mut compiled = Compiled::one(k.finish(name, &code, [(SIDE * SIDE) as u32, 1, 1], groups)?);
    match bind.check(3, "length", Limit::Fixed(keys + 1), false)? {
        Some(check) => compiled.checks.push(check),
        None => compiled.dispatches.insert(0, guard::compile(bind, 3, keys + 1)?),
    }
    Ok(compiled)
}
