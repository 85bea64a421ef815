//! Attention of many new tokens: tiles of queries over tiles of keys, so that a key that was read serves many queries.

use super::attention::{Causal, Parts};
use crate::kernels::attention::staging_bytes;
use crate::kernels::attention::unroll::{Symbol, count};
use crate::program::{Bind, Compiled};
use crate::shader::Source;
use mynah_device::DeviceError;

/// Threads along the queries of a tile, and as many along its keys.
pub(in crate::kernels) const SIDE: usize = 16;
/// Keys of a thread.
pub(in crate::kernels) const KEYS: usize = 4;
/// Keys of a tile.
pub(in crate::kernels) const TILE_KEYS: usize = SIDE * KEYS;
/// Workgroups below which the tiles are made smaller, so that more of a large GPU has something to do.
const FEW_GROUPS: usize = 256;
/// Vectors of a head's row up to which a thread's sums of two queries stay in registers.
const NARROW: usize = 64;
/// Workgroups of a sequence that need no more of them by sharing out keys.
const ENOUGH: usize = 64;
/// Keys that a workgroup goes through at least.
const LEAST_KEYS: usize = 256;

/// How a workgroup goes about its tile. Sizes in workgroup memory are in `vec4<f32>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernels) struct Tile {
    /// Queries of a thread.
    pub(in crate::kernels) queries: usize,
    /// Vectors of the rows that are staged at a time for the scores, a power of two up to 8.
    pub(in crate::kernels) depth: usize,
    /// Groups of [`KEYS`] values staged at a time.
    pub(in crate::kernels) values: usize,
    /// Columns of vectors that a thread accumulates.
    pub(in crate::kernels) columns: usize,
}

impl Tile {
    /// Queries of the tile.
    pub(in crate::kernels) fn height(self) -> usize {
        SIDE * self.queries
    }

    /// The weights of the tile, kept while values are staged after them.
    pub(in crate::kernels) fn weights(self) -> usize {
        self.height() * SIDE
    }

    /// The values staged at a time.
    pub(in crate::kernels) fn value_block(self) -> usize {
        self.values * KEYS * SIDE * self.columns
    }

    /// Memory for what is staged: queries and keys, or weights and values.
    pub(in crate::kernels) fn stage(self) -> usize {
        ((self.height() + TILE_KEYS) * self.depth).max(self.weights() + self.value_block())
    }

    /// All workgroup memory, in bytes: what is staged, a number per query and thread column, where keys are, the extent.
    pub(in crate::kernels) fn bytes(self) -> usize {
        16 * self.stage() + 4 * self.height() * SIDE + 4 * TILE_KEYS + 16
    }

    /// The tile with the most staged at a time that `bytes` hold, for rows of so many vectors.
    pub(in crate::kernels) fn fit(queries: usize, row: usize, bytes: usize) -> Option<Self> {
        let mut tile = Self { queries, depth: 1, values: 1, columns: row.div_ceil(SIDE) };
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

    /// The tile for rows of so many vectors, where `groups` says how many workgroups there are of so many queries a thread.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] for rows that are too long for the adapter's workgroup memory.
    pub(in crate::kernels) fn choose(
        bind: &Bind<'_>,
        row: usize,
        groups: impl Fn(usize) -> usize,
    ) -> Result<Self, DeviceError> {
        let bytes = staging_bytes(bind.caps());
        let queries = if groups(2) < FEW_GROUPS || row > NARROW { 1 } else { 2 };
        Self::fit(queries, row, bytes)
            .ok_or_else(|| bind.unsupported(format!("heads of {row} vectors do not fit {bytes} bytes")))
    }

    /// Rows that the workgroup stages at once.
    fn step(self) -> usize {
        SIDE * SIDE / self.depth
    }

    /// Declares the constants that kernels over such tiles have in common.
    pub(in crate::kernels) fn declare(self, source: &mut Source) {
        for (name, value) in [
            ("DEPTH", self.depth),
            ("SWIZZLE", (8 / self.depth).trailing_zeros() as usize),
            ("QUERIES", self.height()),
            ("KEYS", TILE_KEYS),
            ("STAGE", self.stage()),
            ("WEIGHTS", self.weights()),
            ("BLOCK", self.values),
            ("VALUE_ROW", SIDE * self.columns),
            ("VALUE_BLOCK", self.value_block()),
            ("STEP", self.step()),
        ] {
            source.constant(name, value as u32);
        }
    }

    /// The counts by which their texts are unrolled.
    pub(in crate::kernels) fn counts(self) -> Vec<Symbol<'static>> {
        vec![
            count("A", self.queries),
            count("B", KEYS),
            count("C", self.columns),
            count("Q", self.height().div_ceil(self.step())),
            count("K", TILE_KEYS.div_ceil(self.step())),
            count("V", self.value_block().div_ceil(SIDE * SIDE)),
        ]
    }
}

pub(super) fn compile(causal: &Causal<'_, '_>) -> Result<Compiled, DeviceError> {
    let (rows, row) = (causal.time * causal.group(), causal.row());
    let groups = |queries: usize| rows.div_ceil(SIDE * queries) * causal.key_heads * causal.batch;
    let tile = Tile::choose(causal.bind, row, groups)?;
    let tiles = rows.div_ceil(tile.height());
    let capacity = causal.capacity();
    let parts = match tiles * causal.key_heads {
        groups if groups < ENOUGH && capacity > LEAST_KEYS => {
            causal.parts((capacity * groups / (2 * ENOUGH)).max(LEAST_KEYS))
        }
        _ => Parts { keys: capacity.max(1), count: 1 },
    };
    let mut k = causal.bind.kernel();
    causal.declare(&mut k, parts)?;
    tile.declare(k.source());
    k.source().constant("TILES", tiles as u32);
    let code = causal.code(include_str!("tiled.wgsl"), parts, &[], &tile.counts());
    let groups = [parts.count, tiles * causal.key_heads, causal.batch];
    let name = format!("causal_attention/{}x{TILE_KEYS}", tile.height());
    causal.combined(k.finish(name, &code, [(SIDE * SIDE) as u32, 1, 1], groups)?, parts)
}

#[cfg(test)]
mod tests {
    use super::Tile;

    #[test]
    fn tiles_fit_the_memory_they_are_given() {
        for row in 1..=128 {
            for bytes in [16 << 10, 32 << 10] {
                for queries in if row > 64 { 1..=1 } else { 1..=2 } {
                    let tile = Tile::fit(queries, row, bytes).unwrap();
                    assert!(tile.bytes() <= bytes && 16 * tile.columns >= row, "{row}: {tile:?}");
                }
            }
        }
        let tile = Tile::fit(2, 64, 16 << 10).unwrap();
        assert_eq!((tile.depth, tile.values, tile.columns), (8, 1, 4));
        assert_eq!(Tile::fit(1, 512, 16 << 10), None);
    }
}
