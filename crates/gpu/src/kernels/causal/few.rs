//! Attention of few new tokens: what counts is that every key and value is read once, by all that is there to read.

use super::attention::{Causal, Parts};
use crate::kernels::attention::unroll::count;
use crate::program::Compiled;
use mynah_device::DeviceError;

/// Threads of a workgroup.
const THREADS: usize = 256;
/// Lanes of a key's scores; the smallest subgroup has as many.
const LANES: usize = 4;
/// Keys of a workgroup at a time.
const KEYS: usize = THREADS / LANES;
/// Rows of queries of a workgroup: tokens and heads that share keys.
const ROWS: usize = 8;
/// Rows from which tiles are better.
const FEW: usize = 16;
/// Keys that one workgroup goes through by itself: a second dispatch to put parts together takes longer.
const ALONE: usize = 256;
/// Vectors of queries in workgroup memory.
const STAGED: usize = 512;

/// Whether the queries are few, and a thread for each vector of their rows is to be had.
pub(super) fn suits(causal: &Causal<'_, '_>) -> bool {
    causal.time * causal.group() <= FEW && causal.row() <= THREADS
}

/// How many workgroups share the rows that look at the same keys, and the rows of each.
fn tiles(rows: usize, row: usize) -> [usize; 2] {
    let most = (STAGED / row).clamp(1, ROWS);
    let tiles = rows.div_ceil(most);
    [tiles, rows.div_ceil(tiles)]
}

pub(super) fn compile(causal: &Causal<'_, '_>) -> Result<Compiled, DeviceError> {
    let row = causal.row();
    let [tiles, rows] = tiles(causal.time * causal.group(), row);
    let parts = match causal.capacity() {
        capacity @ ..=ALONE => Parts { keys: capacity.max(1), count: 1 },
        _ => causal.parts(KEYS),
    };
    let columns = row.next_power_of_two();
    let subgroups = causal.bind.caps().subgroup.is_some();
    let mut k = causal.bind.kernel();
    causal.declare(&mut k, parts)?;
    let source = k.source();
    for (name, value) in [
        ("ROWS", rows),
        ("KEYS", KEYS),
        ("TILES", tiles),
        ("COLUMNS", columns),
        ("LINES", (THREADS / columns).min(KEYS)),
        ("PER_ROW", THREADS / ROWS),
    ] {
        source.constant(name, value as u32);
    }
    source.flag("SUBGROUPS", subgroups);
    let code = Causal::code(include_str!("few.wgsl"), parts, &[count("R", rows)]);
    let name = if subgroups { "causal_attention/few" } else { "causal_attention/few/plain" };
    let groups = [parts.count, causal.key_heads * tiles, causal.batch];
    causal.combined(k.finish(name, &code, [THREADS as u32, 1, 1], groups)?, parts)
}

#[cfg(test)]
mod tests {
    use super::{STAGED, tiles};

    #[test]
    fn rows_are_shared_out_evenly_within_memory() {
        assert_eq!(tiles(4, 64), [1, 4]);
        assert_eq!(tiles(12, 64), [2, 6]);
        assert_eq!(tiles(16, 64), [2, 8]);
        assert_eq!(tiles(7, 256), [4, 2]);
        for rows in 1..=16 {
            for row in 1..=256 {
                let [tiles, each] = tiles(rows, row);
                assert!(tiles * each >= rows && each * row <= STAGED, "{rows} of {row}");
            }
        }
    }
}
