//! How the rows of a product are cut into tiles, and tiles into the tasks of the pool.

use crate::simd::tile::TileShape;

/// Rows that one task takes at most, as tiles: enough to pay for decoding the weights, few enough for their part of
/// `x` and of the sums to stay in the second-level cache.
pub(super) const TILES_PER_TASK: usize = 10;
/// Multiply-adds below which a task isn't worth handing to another thread.
const SMALL: usize = 1 << 16;

/// The cutting of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    pub(crate) shape: TileShape,
    /// Rows of the product.
    pub(crate) rows: usize,
    /// Panels of the product.
    panels: usize,
    /// Tiles of a task.
    tiles_per_task: usize,
    /// Panels of a task.
    panels_per_task: usize,
}

/// What one task computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) tiles: std::ops::Range<usize>,
    pub(crate) panels: std::ops::Range<usize>,
}

impl Tiling {
    /// Cuts `rows` by `panels` panels of `k` terms for a number of threads.
    pub(crate) fn new(shape: TileShape, rows: usize, panels: usize, k: usize, threads: usize) -> Self {
        Self::limited(shape, rows, panels, k, threads, TILES_PER_TASK)
    }

    /// The same with another limit of a task's tiles.
    pub(crate) fn limited(
        shape: TileShape,
        rows: usize,
        panels: usize,
        k: usize,
        threads: usize,
        limit: usize,
    ) -> Self {
        let tiles = rows.div_ceil(shape.tallest());
        // A few tasks for each thread even out what a thread loses to another process.
        let wanted = 4 * threads;
        let groups = if threads > 1 { wanted.div_ceil(panels.max(1)).min(tiles) } else { 1 };
        let tiles_per_task = tiles.div_ceil(groups.max(1)).clamp(1, limit.max(1));
        let work = rows.min(tiles_per_task * shape.tallest()) * shape.panel * k;
        let fair = if threads > 1 { panels.div_ceil(wanted).max(1) } else { panels.max(1) };
        let panels_per_task = (SMALL / work.max(1) + 1).clamp(1, panels.max(1)).max(fair.min(8));
        Self { shape, rows, panels, tiles_per_task, panels_per_task }
    }

    /// The same cutting with all panels in one task, where there are rows enough to keep the threads busy: a task can
    /// then pack its own rows and has them in its cache.
    pub(crate) fn by_rows(self, threads: usize) -> Option<Self> {
        let groups = self.tiles().div_ceil(self.tiles_per_task);
        let enough = if threads > 1 { 4 * threads } else { 2 };
        (groups >= enough).then_some(Self { panels_per_task: self.panels.max(1), ..self })
    }

    /// Number of tiles along the rows.
    pub(crate) fn tiles(&self) -> usize {
        self.rows.div_ceil(self.shape.tallest())
    }

    /// Rows of a tile that exist, and the height of the tile that computes them.
    pub(crate) fn tile(&self, tile: usize) -> (std::ops::Range<usize>, usize) {
        let first = tile * self.shape.tallest();
        let rows = self.rows.min(first + self.shape.tallest()) - first;
        (first..first + rows, self.shape.height_for(rows))
    }

    /// Elements of `x` packed for all tiles.
    pub(crate) fn packed(&self, k: usize) -> usize {
        self.tiles() * self.shape.tallest() * k
    }

    /// Tiles of the largest task.
    pub(crate) fn tiles_per_task(&self) -> usize {
        self.tiles_per_task.min(self.tiles())
    }

    /// Panels of the largest task.
    pub(crate) fn panels_per_task(&self) -> usize {
        self.panels_per_task.min(self.panels)
    }

    /// Number of tasks.
    pub(crate) fn tasks(&self) -> usize {
        self.tiles().div_ceil(self.tiles_per_task) * self.panels.div_ceil(self.panels_per_task)
    }

    /// What task `task` computes. Neighbouring tasks share their rows of `x`, which are then still in the cache.
    pub(crate) fn part(&self, task: usize) -> Part {
        let across = self.panels.div_ceil(self.panels_per_task);
        let tile = task / across * self.tiles_per_task;
        let panel = task % across * self.panels_per_task;
        Part {
            tiles: tile..self.tiles().min(tile + self.tiles_per_task),
            panels: panel..self.panels.min(panel + self.panels_per_task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tasks_cover_every_tile_of_every_panel_once(
            rows in 1usize..400, panels in 1usize..70, k in 1usize..3000, threads in 1usize..40,
        ) {
            let shape = TileShape { panel: 32, heights: &[1, 2, 4, 8, 14] };
            let tiling = Tiling::new(shape, rows, panels, k, threads);
            let mut seen = vec![0; tiling.tiles() * panels];
            for task in 0..tiling.tasks() {
                let part = tiling.part(task);
                prop_assert!(part.tiles.len() <= tiling.tiles_per_task());
                for tile in part.tiles {
                    part.panels.clone().for_each(|panel| seen[tile * panels + panel] += 1);
                }
            }
            prop_assert!(seen.iter().all(|&n| n == 1));
            let covered: usize = (0..tiling.tiles()).map(|t| tiling.tile(t).0.len()).sum();
            prop_assert_eq!(covered, rows);
            prop_assert!((0..tiling.tiles()).all(|t| tiling.tile(t).1 >= tiling.tile(t).0.len()));
        }
    }
}
