//! How rows are shared out among threads: several to a workgroup when they are short, all its threads to one when they are long.

use crate::caps::Capabilities;
use crate::kernels::common::GRID;
use crate::program::Kernel;

/// Reductions among the threads of a row, see the file.
const REDUCE: &str = include_str!("../common/reduce.wgsl");
/// `at`, `member`, `total` and what else every kernel over rows needs.
const ROWS: &str = include_str!("rows.wgsl");

/// Threads of a workgroup that has several rows.
const SHARED: usize = 64;
/// Threads of a row, unless it is very long.
const MOST: usize = 256;
/// Loads of a thread before a row is given more of them.
const EACH: usize = 2;

/// Rows of equal width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// How many.
    pub(super) count: usize,
    /// Elements of each.
    pub(super) width: usize,
    /// Elements that a load takes, 4 or 1.
    pub(super) vector: usize,
    /// Threads that share a row, a power of two.
    lanes: usize,
}

impl Rows {
    /// Rows for an adapter. How a row is added up depends on its width alone, so that its bits don't depend on the other rows
    /// of a batch.
    pub(super) fn new(count: usize, width: usize, caps: &Capabilities) -> Self {
        let vector = if width.is_multiple_of(4) { 4 } else { 1 };
        let loads = width / vector;
        let most = match caps.workgroup_threads as usize {
            // Rows as long as a vocabulary are often alone.
            threads @ 1024.. if loads >= 4096 => threads.min(1024),
            _ => MOST,
        };
        let lanes = loads.div_ceil(EACH).next_power_of_two().min(most);
        Self { count, width, vector, lanes }
    }

    /// The type of a load.
    pub(super) fn element(&self) -> &'static str {
        if self.vector == 4 { "vec4<f32>" } else { "f32" }
    }

    /// Declares what the shared code needs; returns the workgroup and the grid.
    pub(super) fn declare(&self, k: &mut Kernel<'_, '_>) -> ([u32; 3], [usize; 3]) {
        let threads = self.lanes.max(SHARED);
        k.param("rows", self.count).param("loads", self.width / self.vector);
        let source = k.source();
        source.constant("ROW_LANES", self.lanes as u32);
        source.flag("WIDE_ROWS", self.lanes > 16);
        source.flag("VECTORS", self.vector == 4);
        source.define("T", self.element());
        for code in [GRID, REDUCE, ROWS] {
            source.include(code);
        }
        ([threads as u32, 1, 1], k.grid(self.count.div_ceil(threads / self.lanes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(workgroup_threads: u32) -> Capabilities {
        Capabilities { workgroup_threads, ..Capabilities::large() }
    }

    #[test]
    fn long_rows_get_more_threads() {
        let lanes = |width, threads| Rows::new(3, width, &caps(threads)).lanes;
        assert_eq!(lanes(1, 256), 1);
        assert_eq!(lanes(17, 256), 16);
        assert_eq!(lanes(1024, 256), 128);
        assert_eq!(lanes(1025, 1024), 256);
        assert_eq!(lanes(8198, 256), 256);
        assert_eq!(lanes(8198, 1024), 1024);
        assert_eq!(lanes(4 * 8198, 1024), 1024);
    }
}
