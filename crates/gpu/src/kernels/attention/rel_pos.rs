//! Attention with relative positions in one pass over the keys: scores, softmax and the sum of values tile by tile, nothing
//! of the size `T x T` in memory.

use super::units::{self, Positions, Sequences};
use super::unroll::{count, unroll};
use super::{staging_bytes, with_lengths};
use crate::kernels::common::bind_result;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::RelPosAttention;

/// Threads along the queries of a tile, and as many along its keys.
const SIDE: usize = 16;
/// Keys of a thread.
const KEYS: usize = 4;
/// Keys of a tile.
const TILE_KEYS: usize = SIDE * KEYS;
/// Workgroups below which the tiles are made smaller, so that more of a large GPU has something to do.
const FEW_GROUPS: usize = 256;

/// How a workgroup goes about its tile. Sizes in workgroup memory are in `vec4<f32>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    /// Queries of a thread.
    queries: usize,
    /// Vectors of a head's row.
    row: usize,
    /// Vectors of the rows that are staged at a time for the scores, a power of two up to 8.
    depth: usize,
    /// Groups of [`KEYS`] values staged at a time.
    values: usize,
    /// Columns of vectors that a thread accumulates.
    columns: usize,
}

impl Tile {
    /// Queries of the tile.
    fn height(self) -> usize {
        SIDE * self.queries
    }

    /// Rows staged for the scores: queries with either bias, keys, and the band of positions.
    fn rows(self) -> usize {
        2 * self.height() + TILE_KEYS + self.height() + TILE_KEYS - 1
    }

    /// The weights of the tile, kept while values are staged after them.
    fn weights(self) -> usize {
        self.height() * SIDE
    }

    /// The values staged at a time.
    fn value_block(self) -> usize {
        self.values * KEYS * SIDE * self.columns
    }

    /// Memory for what is staged.
    fn stage(self) -> usize {
        (self.rows() * self.depth).max(self.weights() + self.value_block())
    }

    /// All workgroup memory, in bytes: what is staged, a number per query and thread column, the length.
    fn bytes(self) -> usize {
        16 * self.stage() + 4 * self.height() * SIDE + 16
    }

    /// The tile with the most staged at a time that `bytes` hold.
    fn fit(queries: usize, head_width: usize, bytes: usize) -> Option<Self> {
        let row = head_width.div_ceil(4);
        let mut tile = Self { queries, row, depth: 1, values: 1, columns: row.div_ceil(SIDE) };
        if tile.bytes() > bytes {
            return None;
        }
        for depth in [2, 4, 8] {
            let deeper = Self { depth, ..tile };
            if depth < 2 * row && deeper.bytes() <= bytes {
                tile = deeper;
            }
        }
        for values in [2, 4, 8, SIDE] {
            let more = Self { values, ..tile };
            if more.bytes() <= bytes {
                tile = more;
            }
        }
        Some(tile)
    }
}

fn sequences(bind: &Bind<'_>, a: &RelPosAttention) -> Sequences {
    let shape = bind.shape(0);
    let (batch, time, width) = (shape.dims()[0], shape.dims()[1], shape.last() / a.heads);
    let (rows, first_offset) = (bind.shape(3).dims()[0], a.first_offset as i32);
    let positions = Some(Positions { rows, first_offset, window: a.window });
    let halves = (0..4).all(|operand| bind.half(operand));
    Sequences { batch, queries: time, keys: time, heads: a.heads, width, scale: a.scale, halves, positions }
}

/// Whether the op would rather find this operand as halves.
pub(in crate::kernels) fn takes_halves(bind: &Bind<'_>, a: &RelPosAttention, operand: usize) -> bool {
    operand < 4 && units::suits(bind, &sequences(bind, a))
}

/// `softmax(((q + u)·kᵀ + (q + v)·p[i − j]ᵀ) · scale) · values`.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, a: &RelPosAttention) -> Result<Compiled, DeviceError> {
    let sequences = sequences(bind, a);
    if units::suits(bind, &sequences) {
        return with_lengths(bind, units::compile(bind, sequences)?, 6, sequences.keys);
    }
    let (shape, table) = (bind.shape(0), bind.shape(3).dims()[0]);
    let (batch, time, width) = (shape.dims()[0], shape.dims()[1], shape.last());
    let head_width = width / a.heads;
    let bytes = staging_bytes(bind.caps());
    let groups = |queries: usize| time.div_ceil(SIDE * queries) * a.heads * batch;
    let queries = if groups(2) < FEW_GROUPS || head_width > 256 { 1 } else { 2 };
    let tile = Tile::fit(queries, head_width, bytes)
        .ok_or_else(|| bind.unsupported(format!("heads of {head_width} do not fit {bytes} bytes")))?;

    let vectors = head_width.is_multiple_of(4);
    let element = if vectors { "vec4<f32>" } else { "f32" };
    let mut k = bind.kernel();
    for (operand, name) in ["q", "k", "v", "table", "u_bias", "v_bias"].into_iter().enumerate() {
        k.bind(name, element, &bind.operand(operand)?);
    }
    k.bind("lengths", "i32", &bind.operand(6)?);
    bind_result(&mut k, bind, element)?;
    k.param("time", time).param("table_rows", table).param_i32("first_offset", a.first_offset as i32);
    // Weights are powers of two: a multiplication less for each.
    k.param_f32("scale", (f64::from(a.scale) * std::f64::consts::LOG2_E) as f32);
    let [left, right] = a.window.unwrap_or([time; 2]).map(|side| side.min(time));
    k.param("left", left).param("right", right);
    let unit = if vectors { 4 } else { 1 };
    let source = k.source();
    source.flag("VECTORS", vectors);
    source.flag("WINDOW", a.window.is_some());
    // Rows that the workgroup stages at once.
    let step = SIDE * SIDE / tile.depth;
    let constants = [
        ("HEAD", head_width / unit),
        ("WIDTH", width / unit),
        ("ROW", tile.row),
        ("DEPTH", tile.depth),
        ("SWIZZLE", (8 / tile.depth).trailing_zeros() as usize),
        ("QUERIES", tile.height()),
        ("KEYS", TILE_KEYS),
        ("BAND", tile.height() + TILE_KEYS - 1),
        ("STAGE", tile.stage()),
        ("WEIGHTS", tile.weights()),
        ("BLOCK", tile.values),
        ("VALUE_ROW", SIDE * tile.columns),
        ("VALUE_BLOCK", tile.value_block()),
        ("STEP", step),
    ];
    constants.into_iter().for_each(|(name, value)| source.constant(name, value as u32));
    let operands = ["q", "k", "v", "table", "u_bias", "v_bias"].map(str::to_owned).to_vec();
    let symbols = [
        count("A", tile.queries),
        count("B", KEYS),
        count("C", tile.columns),
        count("D", tile.queries + KEYS - 1),
        count("H", KEYS / 2),
        count("E", tile.queries + KEYS / 2 - 1),
        ("LAST", vec![(tile.queries - 1).to_string()]),
        count("Q", tile.height().div_ceil(step)),
        count("K", TILE_KEYS.div_ceil(step)),
        count("P", (tile.height() + TILE_KEYS - 1).div_ceil(step)),
        count("V", tile.value_block().div_ceil(SIDE * SIDE)),
        ("X", operands),
    ];
    let code = unroll(include_str!("rel_pos.wgsl"), &symbols);
    let groups = [time.div_ceil(tile.height()), a.heads, batch];
    let name = format!("rel_pos_attention/{}x{TILE_KEYS}", tile.height());
    let attention = k.finish(name, &code, [(SIDE * SIDE) as u32, 1, 1], groups)?;
    with_lengths(bind, attention, 6, time)
}

#[cfg(test)]
mod tests {
    use super::Tile;

    #[test]
    fn tiles_fit_the_memory_they_are_given() {
        for head_width in 1..=512 {
            for bytes in [16 << 10, 32 << 10] {
                for queries in if head_width > 256 { 1..=1 } else { 1..=2 } {
                    let tile = Tile::fit(queries, head_width, bytes).unwrap();
                    assert!(tile.bytes() <= bytes, "{head_width}: {tile:?}");
                    assert!(4 * tile.row >= head_width && 16 * tile.columns >= tile.row, "{tile:?}");
                }
            }
        }
        let tile = Tile::fit(2, 128, 16 << 10).unwrap();
        assert_eq!((tile.depth, tile.values, tile.columns), (4, 2, 2));
        let tile = Tile::fit(2, 128, 32 << 10).unwrap();
        assert_eq!((tile.depth, tile.values), (8, 8));
        assert_eq!(Tile::fit(1, 1024, 16 << 10), None);
    }
}
