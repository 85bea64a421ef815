//! Attention on matrix units: f16 factors, f32 scores, softmax and sums, in one pass over the keys.
//!
//! Softmax is as in FlashAttention (Dao et al., 2022), each row relative to the largest score so far; results are scaled anew only
//! when that has grown by a factor that f16 weights would feel.

use super::unroll::{count, unroll};
use crate::caps::Capabilities;
use crate::kernels::common::{HALF, HALF_OF_ONE, HALVES, MULTIPROCESSORS, OCT, PUT, Units, bind_result};
use crate::program::{Bind, Dispatch};
use mynah_device::{DeviceError, Route};

pub(in crate::kernels) const F16_ATTENTION: Route = Route {
    name: "f16-attention",
    about: "attention on matrix units: f16 queries, keys, positions, values and weights, f32 scores and sums",
};

/// Registers of a lane that matrices and what is fetched may take.
const REGISTERS: usize = 192;

/// What is attended to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequences {
    pub(super) batch: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) heads: usize,
    /// Elements of a head.
    pub(super) width: usize,
    pub(super) scale: f32,
    /// Whether all that is fetched is halves.
    pub(super) halves: bool,
    pub(super) positions: Option<Positions>,
}

/// Where relative positions are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Positions {
    /// Rows of the table.
    pub(super) rows: usize,
    /// The row of a key at its query's own place.
    pub(super) first_offset: i32,
    /// Keys seen before and after a query's own place, `None` for all.
    pub(super) window: Option<[usize; 2]>,
}

/// A tile and how subgroups share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    /// Queries of a workgroup.
    queries: usize,
    /// Keys of a step.
    keys: usize,
    /// Subgroups along the queries, and along keys and columns of results.
    parts: [usize; 2],
}

const fn geometry(queries: usize, keys: usize, parts: [usize; 2]) -> Geometry {
    Geometry { queries, keys, parts }
}

const GEOMETRIES: [Geometry; 8] = [
    geometry(128, 32, [4, 2]),
    geometry(64, 64, [4, 2]),
    geometry(64, 64, [2, 2]),
    geometry(64, 32, [2, 2]),
    geometry(32, 64, [2, 2]),
    geometry(32, 32, [2, 2]),
    geometry(16, 64, [1, 4]),
    geometry(16, 32, [1, 2]),
];

/// A tile of some sequences on some units.
#[derive(Clone, Copy, Debug)]
struct Tile {
    units: Units,
    sequences: Sequences,
    geometry: Geometry,
}

impl Tile {
    /// The cheapest that the adapter can do, `None` where there is none.
    fn choose(caps: &Capabilities, sequences: Sequences) -> Option<Self> {
        let units = Units::of(caps)?;
        let tiles = GEOMETRIES.into_iter().map(|geometry| Self { units, sequences, geometry });
        tiles.filter(|tile| tile.fits(caps)).min_by_key(|tile| tile.cost())
    }

    fn threads(self) -> usize {
        self.units.lanes * self.geometry.parts[0] * self.geometry.parts[1]
    }

    /// Threads to a row of the softmax.
    fn sharers(self) -> usize {
        self.threads() / self.geometry.queries
    }

    /// Blocks of positions of a block of queries to a subgroup. Their number is rounded up to whole rounds of subgroups.
    fn position_blocks(self) -> usize {
        let blocks = self.geometry.keys / self.units.size + 1;
        self.sequences.positions.map_or(0, |_| blocks.div_ceil(self.geometry.parts[1]))
    }

    /// Rows of positions that a step meets.
    fn band(self) -> usize {
        match self.position_blocks() {
            0 => 0,
            blocks => self.geometry.queries + (blocks * self.geometry.parts[1] - 1) * self.units.size,
        }
    }

    /// Halves of a row of queries, keys, positions or values in workgroup memory.
    fn row(self) -> usize {
        self.sequences.width + OCT
    }

    /// Halves of a row of weights.
    fn weight_row(self) -> usize {
        self.geometry.keys + OCT
    }

    /// Halves before the values: keys, positions, weights in turn.
    fn values(self) -> usize {
        let rows = self.geometry.keys.max(self.band());
        (rows * self.row()).max(self.geometry.queries * self.weight_row())
    }

    /// All halves. Queries are there before anything else is.
    fn tiles(self) -> usize {
        (self.values() + self.geometry.keys * self.row()).max(self.geometry.queries * self.row())
    }

    /// Floats of a row of the stage: rows that are read together begin in different banks.
    fn stage_row(self) -> usize {
        let positions = self.position_blocks() * self.geometry.parts[1] * self.units.size;
        self.geometry.keys.max(positions) + OCT
    }

    /// Floats of the stage, in which each subgroup has room for a matrix, too.
    fn stage(self) -> usize {
        let own = self.geometry.parts[0] * self.geometry.parts[1] * self.units.size * self.units.size;
        (self.geometry.queries * self.stage_row()).max(own)
    }

    /// Bytes of workgroup memory: tiles, stage, a factor of each row, length and mark.
    fn bytes(self) -> usize {
        2 * self.tiles() + 4 * self.stage() + 4 * self.geometry.queries + 16
    }

    /// Octs that a thread fetches of so many rows.
    fn share(self, rows: usize) -> usize {
        (rows * self.sequences.width / OCT).div_ceil(self.threads())
    }

    /// Registers that a lane's matrices take, and what it fetches.
    fn registers(self) -> usize {
        let Geometry { queries, keys, parts } = self.geometry;
        let sums = queries * (self.sequences.width + keys) / self.threads();
        let biases = 1 + usize::from(self.sequences.positions.is_some());
        let factors = biases * queries / parts[0] * self.sequences.width / self.units.lanes / 2;
        let oct = if self.sequences.halves { OCT / 2 } else { OCT };
        let fetched = oct * (2 * self.share(keys)).max(self.share(self.band()));
        sums + factors + fetched
    }

    /// Whether its parts are whole matrices, its rows are shared out evenly among threads, and the adapter holds it.
    fn fits(self, caps: &Capabilities) -> bool {
        let Geometry { queries, keys, parts } = self.geometry;
        let (size, width, threads) = (self.units.size, self.sequences.width, self.threads());
        let whole = |n: usize, parts: usize| n.is_multiple_of(parts * size) && n.is_multiple_of(OCT);
        let even = threads.is_multiple_of(queries)
            && self.sharers().is_power_of_two()
            && self.units.lanes.is_multiple_of(self.sharers())
            && keys.is_multiple_of(4 * self.sharers());
        whole(queries, parts[0])
            && whole(keys, parts[1])
            && whole(width, parts[1])
            && even
            && self.registers() <= REGISTERS
            && threads <= caps.workgroup_threads as usize
            && self.bytes() <= caps.workgroup_bytes as usize
    }

    fn groups(self) -> [usize; 3] {
        let Sequences { batch, queries, heads, .. } = self.sequences;
        [queries.div_ceil(self.geometry.queries), heads, batch]
    }

    /// What it costs, in hundredths of microseconds: rounds of workgroups, steps of a round, which wait for each other's barriers and
    /// multiply.
    fn cost(self) -> usize {
        let Geometry { queries, keys, .. } = self.geometry;
        let beside = if self.bytes() <= HALF_OF_ONE { 2 } else { 1 };
        let rounds = self.groups().iter().product::<usize>().div_ceil(beside * MULTIPROCESSORS);
        let width = self.sequences.width;
        let products = queries * width * (2 * keys + self.band());
        let steps = self.sequences.keys.div_ceil(keys);
        rounds * (150 + steps * (60 + products * 60 / (1 << 19)))
    }

    fn name(self) -> String {
        let op = if self.sequences.positions.is_some() { "rel_pos_attention" } else { "attention" };
        let Geometry { queries, keys, parts: [rows, columns] } = self.geometry;
        format!("{op}/units{} {queries}x{keys}/{rows}x{columns}", self.units.size)
    }
}

/// Whether this kernel takes such attention on this adapter, under this policy.
pub(super) fn suits(bind: &Bind<'_>, sequences: &Sequences) -> bool {
    bind.policy().allows(&F16_ATTENTION) && Tile::choose(bind.caps(), *sequences).is_some()
}

/// The dispatch. Operands are queries, keys, values, the table and the two biases where there are positions, lengths.
pub(super) fn compile(bind: &Bind<'_>, sequences: Sequences) -> Result<Dispatch, DeviceError> {
    let tile = Tile::choose(bind.caps(), sequences);
    let tile = tile.ok_or_else(|| bind.unsupported("no matrix units that suit".into()))?;
    let positions = sequences.positions;
    let fetched: &[&'static str] =
        if positions.is_some() { &["q", "k", "v", "table"] } else { &["q", "k", "v"] };
    let biases: &[&'static str] = if positions.is_some() { &["u", "v"] } else { &["u"] };
    let mut k = bind.kernel();
    for (operand, &name) in fetched.iter().enumerate() {
        k.bind(name, if bind.half(operand) { "vec4<u32>" } else { "vec4<f32>" }, &bind.operand(operand)?);
    }
    if positions.is_some() {
        k.bind("u_bias", "vec4<f32>", &bind.operand(4)?).bind("v_bias", "vec4<f32>", &bind.operand(5)?);
    }
    k.bind("lengths", "i32", &bind.operand(if positions.is_some() { 6 } else { 3 })?);
    bind_result(&mut k, bind, "vec4<f32>")?;
    k.param("queries", sequences.queries).param("keys", sequences.keys);
    // Weights are powers of two: a multiplication less for each.
    k.param_f32("scale", (f64::from(sequences.scale) * std::f64::consts::LOG2_E) as f32);
    if let Some(positions) = positions {
        k.param("table_rows", positions.rows).param_i32("first_offset", positions.first_offset);
        let [left, right] = positions.window.unwrap_or([0; 2]).map(|side| side.min(sequences.queries));
        k.param("left", left).param("right", right);
    }
    let source = k.source();
    source.enable("f16");
    source.enable("wgpu_cooperative_matrix");
    source.flag("POSITIONS", positions.is_some());
    source.flag("WINDOW", positions.is_some_and(|p| p.window.is_some()));
    source.flag("WIDE", tile.units.wide());
    let half = |flag, operand| (flag, bind.half(operand));
    for (flag, half) in [half("HALF_q", 0), half("HALF_k", 1), half("HALF_v", 2), half("HALF_table", 3)] {
        source.flag(flag, half);
    }
    for (operand, name) in ["FETCHED_q", "FETCHED_k", "FETCHED_v", "FETCHED_table"].into_iter().enumerate() {
        source.define(name, if bind.half(operand) { "vec4<u32>" } else { "Floats" });
    }
    source.define("TILE", if tile.units.wide() { "vec4<f16>" } else { "f16" });
    source.define("STAGED", if tile.units.wide() { "vec4<f32>" } else { "f32" });
    source.define("MATRIX", format!("coop_mat{0}x{0}", tile.units.size));
    for include in [HALF, HALVES, PUT] {
        source.include(include);
    }
    for (name, value) in constants(tile) {
        source.constant(name, value as u32);
    }
    let code = unroll(include_str!("units.wgsl"), &counts(tile, fetched, biases));
    k.finish(tile.name(), &code, [tile.threads() as u32, 1, 1], tile.groups())
}

/// The constants of a tile's kernel.
fn constants(tile: Tile) -> impl Iterator<Item = (&'static str, usize)> {
    let Geometry { queries, keys, parts } = tile.geometry;
    let (size, unit, width) = (tile.units.size, tile.units.unit(), tile.sequences.width);
    // Elements of an array in workgroup memory: halves, floats.
    let (halves, floats) = (OCT / unit, if tile.units.wide() { 4 } else { 1 });
    let constants = [
        ("QUERIES", queries),
        ("KEYS", keys),
        ("SIZE", size),
        ("LANES", tile.units.lanes),
        ("HEAD_OCTS", width / OCT),
        ("WIDTH_OCTS", tile.sequences.heads * width / OCT),
        ("COLUMN_PARTS", parts[1]),
        ("PART_ROWS", queries / parts[0]),
        ("PART_KEYS", keys / parts[1]),
        ("PART_BLOCKS", width / parts[1] / size),
        ("SHARERS", tile.sharers()),
        ("BAND", tile.band()),
        ("UNIT", unit),
        ("QUAD_UNIT", 4 / halves),
        ("BLOCK", size / halves),
        ("PITCH", tile.row() / halves),
        ("WEIGHT_PITCH", tile.weight_row() / halves),
        ("VALUES", tile.values() / halves),
        ("TILES", tile.tiles() / halves),
        ("QUAD", 4 / floats),
        ("STAGE_BLOCK", size / floats),
        ("STAGE_PITCH", tile.stage_row() / floats),
        ("STAGE_FLOATS", tile.stage_row()),
        ("STAGE", tile.stage() / floats),
        ("OWN", size * size / floats),
        ("OWN_PITCH", size / floats),
    ];
    constants.into_iter()
}

/// The counts by which the text is unrolled.
fn counts<'a>(tile: Tile, fetched: &[&str], biases: &[&str]) -> [(&'a str, Vec<String>); 13] {
    let Geometry { queries, keys, parts } = tile.geometry;
    let (size, width) = (tile.units.size, tile.sequences.width);
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let strides = (0..tile.sharers().trailing_zeros()).map(|bit| (1 << bit).to_string()).collect();
    [
        ("X", names(fetched)),
        ("W", names(biases)),
        ("R", strides),
        // Matrices of queries, keys, columns of results, depth of scores, depth of results, positions.
        count("A", queries / parts[0] / size),
        count("B", keys / parts[1] / size),
        count("C", width / parts[1] / size),
        count("E", width / size),
        count("F", keys / size),
        count("G", tile.position_blocks()),
        // What a thread fetches, and its quads of a row of scores.
        count("Q", tile.share(queries)),
        count("K", tile.share(keys)),
        count("P", tile.share(tile.band())),
        count("N", keys / tile.sharers() / 4),
    ]
}

#[cfg(test)]
mod tests;
