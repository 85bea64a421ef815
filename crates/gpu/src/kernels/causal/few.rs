//! Attention of few new tokens: what counts is that every key and value is read once, by all that is there to read.

use super::attention::{Causal, Parts};
use crate::kernels::attention::unroll::count;
use crate::kernels::common::{function, include_activations};
use crate::kernels::elementwise::each;
use crate::kernels::rotary;
use crate::program::{Compiled, Kernel};
use mynah_device::DeviceError;
use mynah_graph::AttentionHeads;

/// Threads of a workgroup.
const THREADS: usize = 256;
/// Lanes of a key's scores; the smallest subgroup has as many.
const LANES: usize = 4;
/// Keys that have lanes of their own.
const KEYS: usize = THREADS / LANES;
/// Keys of the same lanes at most.
const MOST_EACH: usize = 4;
/// Rows of queries of a workgroup: tokens and heads that share keys.
const ROWS: usize = 8;
/// Rows from which tiles are better.
const FEW: usize = 16;
/// Keys that one workgroup goes through by itself, however long they are: a second dispatch to put parts together takes longer.
const ALONE: usize = 256;
/// Workgroups up to which rows are spread.
const SPREAD: usize = 64;
/// Values that a thread fetches together.
const TOGETHER: usize = 8;
/// Vectors of keys that a thread fetches together.
const FETCHES: usize = 16;
/// Workgroup memory that every adapter has.
const MEMORY: usize = 16 << 10;
/// Vectors of queries in workgroup memory.
const STAGED: usize = 512;

/// Pairs of channels of all new tokens whose directions are kept in workgroup memory.
const MOST_PAIRS: usize = 512;

/// Whether the queries are few, and a thread for each vector of their rows is to be had.
pub(super) fn suits(causal: &Causal<'_, '_>) -> bool {
    causal.time * causal.group() <= FEW && causal.row() <= THREADS
}

/// How many workgroups share the rows that look at the same keys, and the rows of each. `others` is how many others there are anyhow:
/// as long as most of the GPU has nothing to do, reading a key again costs less than having its rows wait for each other.
fn tiles(rows: usize, row: usize, others: usize) -> [usize; 2] {
    let most = (STAGED / row).clamp(1, ROWS);
    let spread = rows.min(SPREAD / others.max(1));
    let tiles = rows.div_ceil(most).max(spread);
    [tiles, rows.div_ceil(tiles)]
}

/// Keys of the same lanes, a power of two, for parts of so many keys: what workgroup memory holds beside the rows' queries. `pairs` are
/// those whose directions are kept there, where heads are brought along.
fn each_lane(keys: usize, rows: usize, row: usize, pairs: Option<usize>) -> usize {
    let heads = pairs.map_or(0, |pairs| 8 * pairs + 4 * (THREADS + ROWS));
    let fixed = 16 * rows * row + 4 * THREADS + 4 * rows + 16 + heads;
    let fits = |each: usize| KEYS * each < 2 * keys && fixed + 4 * (rows + 1) * KEYS * each <= MEMORY;
    let mut each = MOST_EACH;
    while each > 1 && !fits(each) {
        each /= 2;
    }
    each
}

/// Vectors of a key that a lane fetches together, so that they come out even.
fn fetches(row: usize, each: usize) -> usize {
    let mut fetches = FETCHES / each;
    while fetches > 1 && !row.is_multiple_of(LANES * fetches) {
        fetches /= 2;
    }
    fetches
}

pub(super) fn compile(causal: &Causal<'_, '_>) -> Result<Compiled, DeviceError> {
    let (row, capacity) = (causal.row(), causal.capacity());
    let parts =
        if capacity <= ALONE { Parts { keys: capacity.max(1), count: 1 } } else { causal.parts(KEYS) };
    let others = parts.count * causal.key_heads * causal.batch;
    let [tiles, rows] = tiles(causal.time * causal.group(), row, others);
    let pairs = causal.heads_op.as_ref().map(|op| causal.time * op.rope.dims / 2);
    let each = each_lane(parts.keys, rows, row, pairs);
    let fetches = fetches(row, each);
    let columns = row.next_power_of_two();
    let subgroups = causal.bind.caps().subgroup.is_some();
    let mut k = causal.bind.kernel();
    causal.declare(&mut k, parts)?;
    let source = k.source();
    for (name, value) in [
        ("ROWS", rows),
        ("KEYS", KEYS * each),
        ("FETCHES", fetches),
        ("TILES", tiles),
        ("TOGETHER", TOGETHER),
        ("COLUMNS", columns),
        ("LINES", (THREADS / columns).min(KEYS)),
        ("PER_ROW", THREADS / ROWS),
    ] {
        source.constant(name, value as u32);
    }
    source.flag("SUBGROUPS", subgroups);
    source.flag("HEADS_AT_ONCE", causal.heads_op.is_some());
    let mut read = &[][..];
    if let Some(op) = &causal.heads_op {
        declare_heads(causal, op, &mut k)?;
        read = &["q_gain", "k_gain"];
    }
    let symbols = [count("R", rows), count("U", TOGETHER), count("M", each), count("F", fetches)];
    let code = causal.code(include_str!("few.wgsl"), parts, read, &symbols);
    let name = match (&causal.heads_op, subgroups) {
        (Some(_), _) => "attention_heads",
        (None, true) => "causal_attention/few",
        (None, false) => "causal_attention/few/plain",
    };
    let groups = [parts.count, causal.key_heads * tiles, causal.batch];
    causal.combined(k.finish(name, &code, [THREADS as u32, 1, 1], groups)?, parts)
}

/// Operands and functions that bring queries and keys to where attention takes them, and gate what it gives.
fn declare_heads(
    causal: &Causal<'_, '_>,
    op: &AttentionHeads,
    k: &mut Kernel<'_, '_>,
) -> Result<(), DeviceError> {
    let bind = causal.bind;
    rotary::check(bind, &op.rope)?;
    let whole = causal.width().is_multiple_of(4) && op.rope.dims.is_multiple_of(8);
    if causal.time > ROWS || causal.time * op.rope.dims / 2 > MOST_PAIRS || !whole {
        return Err(bind.unsupported(format!(
            "{} tokens, heads of {} of which {} channels turn: fewer tokens, whole vectors",
            causal.time,
            causal.width(),
            op.rope.dims
        )));
    }
    for (operand, name) in [(3, "q_gain"), (4, "k_gain")] {
        k.bind(name, "vec4<f32>", &bind.operand(operand)?);
    }
    k.bind("positions", "i32", &bind.operand(5)?);
    k.param_f32("eps", op.norm_eps);
    rotary::declare_turns(k, &op.rope);
    include_activations(k, bind);
    k.source().constant("NEW", causal.time as u32);
    k.source().constant("WIDTH", causal.width() as u32);
    k.source().constant("TURNED", (op.rope.dims / 8) as u32);
    let gate = each(function(k.source(), op.gate), 4);
    k.source().define("GATE", gate);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{ROWS, STAGED, each_lane, fetches, tiles};

    #[test]
    fn lanes_have_several_keys_where_there_are_as_many() {
        assert_eq!([64, 65, 128, 129, 1024].map(|keys| each_lane(keys, 1, 16, None)), [1, 2, 2, 4, 4]);
        assert_eq!(each_lane(256, ROWS, 64, Some(512)), 1, "there is no memory for more");
        assert_eq!(each_lane(256, 1, 64, Some(32)), 4);
        assert_eq!(
            [(16, 4), (64, 1), (64, 2), (9, 1), (20, 1)].map(|(row, each)| fetches(row, each)),
            [4, 16, 8, 1, 1]
        );
    }

    #[test]
    fn rows_are_shared_out_evenly_within_memory() {
        assert_eq!(tiles(4, 64, 64), [1, 4]);
        assert_eq!(tiles(12, 64, 64), [2, 6]);
        assert_eq!(tiles(16, 64, 64), [2, 8]);
        assert_eq!(tiles(7, 256, 64), [4, 2]);
        assert_eq!(tiles(4, 64, 2), [4, 1], "a single sequence of few heads");
        assert_eq!(tiles(4, 64, 32), [2, 2]);
        for rows in 1..=16 {
            for row in 1..=256 {
                let [tiles, each] = tiles(rows, row, rows * row % 70);
                assert!(tiles * each >= rows && each * row <= STAGED, "{rows} of {row}");
            }
        }
    }
}
