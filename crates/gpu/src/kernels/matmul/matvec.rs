//! Few rows: each weight is read once and meets every row of `x` on the way.
//!
//! Neighbouring lanes read neighbouring vectors of the weight, and so the elements of `x` that lie a vector's elements apart: with
//! vectors of 16 bytes of narrow levels, most of what a load of `x` moves would be thrown away, and those loads, not the
//! weight's, would take the time. So a vector is what goes with two loads of `x`.

use super::unroll::unroll;
use super::{Product, prologue};
use crate::kernels::common::{Factor, GRID, Loads};
use crate::program::{Compiled, Joins};
use crate::weights::MatrixType;
use mynah_device::DeviceError;
use mynah_graph::Prologue;

/// Rows of `x` that this kernel takes.
pub(super) const MOST: usize = 8;

/// Vectors of `x` that a thread holds before the first is used, at most.
const HELD: usize = 16;
/// Threads of a workgroup of several teams.
const THREADS: usize = 128;
/// Vectors of a row that a thread of a team fetches together.
const TOGETHER: usize = 4;

/// How the work is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    /// Rows of the weight that a team multiplies.
    rows: usize,
    /// Threads that share the rows' elements.
    team: usize,
    /// Vectors of each row that a thread fetches together.
    pieces: usize,
    /// Teams of a workgroup; several have whole subgroups of a known size.
    teams: usize,
}

/// Elements of a vector.
fn vector(factor: &Factor) -> usize {
    if factor.stored() == MatrixType::F32 { 4 } else { 8 }
}

/// One row of x where subgroups have `lanes` lanes: as few threads to a row of the weight as may have all of it on its way at once. Those
/// of one subgroup need not wait for others; and several such teams to a workgroup, since so many small workgroups take long to start.
/// So few rows that they would not keep a large GPU's memory busy are shared by more: 1024 by 1024 of Q8_0 behind a norm in 4.5 us instead of
/// 7 on an H200.
fn teams(n: usize, vectors: usize, lanes: usize) -> Geometry {
    let least = if (65..=1024).contains(&n) { THREADS } else { lanes };
    // Teams that divide a row evenly need not look where it ends.
    let even = |pieces: usize| {
        let team = vectors / pieces;
        (vectors.is_multiple_of(pieces) && team.is_multiple_of(lanes) && (least..=256).contains(&team))
            .then_some((team, pieces))
    };
    let all = || {
        let team = vectors.div_ceil(TOGETHER).max(least.min(vectors)).next_multiple_of(lanes);
        let team = team.min(256 / lanes * lanes);
        (team, vectors.div_ceil(team).min(TOGETHER))
    };
    let (team, pieces) = [4, 3, 2, 1].into_iter().find_map(even).unwrap_or_else(all);
    let rows = match n {
        ..=64 => 1,
        // A thread has two vectors on their way: of one row, or one of each of two.
        65..=1024 if team == THREADS && pieces > 1 => 1,
        65..=2048 => 2,
        _ => 4,
    };
    Geometry { rows, team, pieces, teams: (THREADS / team).max(1) }
}

/// Enough workgroups to keep a large GPU's memory busy, enough vectors a thread to pay for the sum at the end.
fn geometry(n: usize, vectors: usize, columns: usize, words: usize) -> Geometry {
    // Each row of x is fetched again for every group of rows, and takes more memory traffic than a row of narrow levels:
    // more rows a group for those. Many columns need the registers.
    let most = if columns <= 4 { 4 } else { 2 };
    let rows = n.div_ceil(256).next_power_of_two().min(most);
    let groups = n.div_ceil(rows);
    let pieces = if columns == 1 { 4 / words } else { 1 };
    let mut team = 32;
    while team < 256
        && 2 * team * pieces <= vectors
        && (vectors > 4 * team * pieces || groups * team < 1 << 16)
    {
        team *= 2;
    }
    Geometry { rows, team, pieces, teams: 1 }
}

/// Whether rows suit this kernel.
pub(super) fn suits(product: &Product<'_, '_>) -> bool {
    product.m <= MOST && product.k > 0 && product.k.is_multiple_of(vector(&product.factor))
}

/// The product with at most [`MOST`] rows.
pub(super) fn compile(product: &Product<'_, '_>) -> Result<Compiled, DeviceError> {
    let factor = &product.factor;
    let elements = vector(factor);
    let vectors = product.k / elements;
    let bits = factor.format().map_or(16, |f| f.bits);
    let words = match bits {
        16 => 4,
        8 => 2,
        _ => 1,
    };
    let caps = product.bind.caps();
    let lanes = caps.subgroup.and_then(|[min, max]| (min == max).then_some(max as usize)).filter(|&n| n > 0);
    let mut geometry = match (lanes, product.m) {
        (Some(lanes), 1) => teams(product.n, vectors, lanes),
        _ => geometry(product.n, vectors, product.m, words),
    };
    // Sums meet in workgroup memory: one of each subgroup, or one of each thread.
    let share =
        |threads: usize| caps.subgroup.map_or(threads, |[min, _]| threads.div_ceil(min.max(1) as usize));
    let late = matches!(product.prologue, Some(Prologue::RmsNorm { .. }));
    let partials = |rows: usize| product.m * (rows + usize::from(late));
    while geometry.teams == 1
        && geometry.team > 32
        && 4 * share(geometry.team) * partials(geometry.rows) > 16 << 10
    {
        geometry.team /= 2;
    }
    let Geometry { rows, team, pieces, teams } = geometry;
    let (threads, outputs) = (team * teams, rows * product.m);
    let alone = lanes == Some(team) && outputs <= team;
    let once = vectors <= pieces * team;
    let mut k = product.bind.kernel();
    k.bind("x", "vec4<f32>", &product.x);
    factor.declare(&mut k, Loads::Vectors(words));
    prologue::declare(product, &mut k)?;
    product.store(&mut k)?;
    k.param("n", product.n).param("vectors", vectors).param("x_stride", product.k / 4);
    let source = k.source();
    source.flag("SCALE_LAST", factor.format().is_some_and(|f| !f.mins));
    source.flag("HIGH", bits == 5 || bits == 6);
    source.flag("SUBGROUPS", caps.subgroup.is_some());
    // Where each thread has all its vectors at once, fetching more would only be in the way.
    source.flag("ONCE", once);
    source.flag("WHOLE", vectors == pieces * team);
    source.flag("EARLY", product.m * pieces * elements / 4 <= HELD);
    source.flag("TEAMS", alone || teams > 1);
    source.flag("ALONE", alone);
    for (name, value) in [
        ("ROWS", rows),
        ("OUTPUTS", outputs),
        ("PARTIALS", partials(rows)),
        ("ROWS_OF_X", product.m),
        ("TEAM", team),
        ("LANES", lanes.unwrap_or(1)),
        ("TEAM_SUBGROUPS", team / lanes.unwrap_or(team)),
        ("SHARES", share(threads)),
        ("PIECES", pieces),
        ("QUADS", elements / 4),
        // Vectors whose upper bits share a word.
        ("HIGH_VECTORS", if bits == 5 { 4 } else { 2 }),
    ] {
        source.constant(name, value as u32);
    }
    let vector = match (factor.stored(), words) {
        (MatrixType::F32, _) => "vec4<f32>",
        (_, 4) => "vec4<u32>",
        (_, 2) => "vec2<u32>",
        _ => "u32",
    };
    source.define("VECTOR", vector);
    source.include(GRID);
    let counts = [("ROWS", rows), ("COLUMNS", product.m), ("PIECES", pieces), ("QUADS", elements / 4)];
    let code = unroll(include_str!("matvec.wgsl"), &counts);
    let grid = k.grid(product.n.div_ceil(rows * teams));
    let before = product.prologue.map_or("", prologue::name);
    let name = format!("matvec {before}{} {}x{rows}x{team}x{pieces}x{teams}", factor.name(), product.m);
    let mut dispatch = k.finish(name, &code, [threads as u32, 1, 1], grid)?;
    dispatch.joins = Joins::Any;
    Ok(Compiled::one(dispatch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_spread_over_many_workgroups() {
        // The shapes of a feed-forward layer, of a narrow projection, and of a single row.
        let spread = |rows, team, pieces| Geometry { rows, team, pieces, teams: 1 };
        assert_eq!(geometry(14336, 512, 1, 2), spread(4, 64, 2));
        assert_eq!(geometry(14336, 512, 1, 1), spread(4, 32, 4));
        assert_eq!(geometry(1024, 512, 1, 4), spread(4, 256, 1));
        assert_eq!(geometry(1, 16, 1, 2), spread(1, 32, 2));
        assert_eq!(geometry(4096, 1024, 8, 2).rows, 2);
    }

    #[test]
    fn teams_have_rows_on_their_way_at_once() {
        // Products of Qwen3.5 0.8B: behind a norm, out of a mixer, down.
        assert_eq!(teams(6144, 128, 32), Geometry { rows: 4, team: 32, pieces: 4, teams: 4 });
        assert_eq!(teams(16, 128, 32), Geometry { rows: 1, team: 32, pieces: 4, teams: 4 });
        assert_eq!(teams(2048, 128, 32), Geometry { rows: 2, team: 32, pieces: 4, teams: 4 });
        assert_eq!(teams(1024, 128, 32), Geometry { rows: 2, team: 128, pieces: 1, teams: 1 });
        assert_eq!(teams(1024, 256, 32), Geometry { rows: 1, team: 128, pieces: 2, teams: 1 });
        assert_eq!(teams(1024, 448, 32), Geometry { rows: 2, team: 224, pieces: 2, teams: 1 });
        for lanes in [4, 8, 16, 32, 64] {
            for (n, vectors) in [16, 1024, 4096].into_iter().flat_map(|n| (1..3000).map(move |v| (n, v))) {
                let Geometry { team, pieces, teams, .. } = teams(n, vectors, lanes);
                assert!(
                    team.is_multiple_of(lanes) && team * teams <= 256 && (1..=TOGETHER).contains(&pieces)
                );
                assert!(team * pieces >= vectors || team == 256, "{n} of {vectors} by {team} x {pieces}");
            }
        }
    }
}
