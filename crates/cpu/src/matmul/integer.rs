//! The product of quantised rows and levels: the route `int8-dot`.
//!
//! The rows of `x` are quantised once, in blocks of their own; products that follow each other with the same `x` share
//! that. Then each task multiplies some tiles with some panels, a stretch of K at a time that stays in the first-level
//! cache while all of the task's tiles use it and the next stretch is already being fetched, and finishes the sums into
//! the output.

use super::quantize::{Packed, quantize_rows};
use super::rows::{Part, Tiling};
use crate::epilogue::{BoundEpilogue, Finish};
use crate::memory::{Output, ScratchNeed, prefetch, prefetch_to_write};
use crate::program::{Bind, Fault, Kernel, Launch, Leftover, Operand, Target};
use crate::simd::dot::{DotKernel, DotTile, X_BLOCK};
use crate::simd::tile::TileShape;
use crate::simd::{Isa, Simd, dispatch};
use crate::weights::{LevelFormat, LevelPanels, Panels};
use mynah_device::DeviceError;
use mynah_graph::Epilogue;
use std::sync::Arc;

/// Terms of a stretch of K: with bytes for levels half the first-level cache, and a whole number of every format's
/// blocks and of those of `x`.
const STRETCH: usize = 512;
/// Tiles from which on a task unpacks its weights once instead of in each tile.
const UNPACK: usize = 3;
/// Bytes of quantised `x` that a task keeps in the second-level cache.
const X_BYTES: usize = 384 << 10;

/// A product with integer dot products.
pub(super) struct IntegerGemm {
    x: Operand,
    panels: Arc<Panels>,
    out: Target,
    epilogue: BoundEpilogue,
    tiling: Tiling,
    kernel: DotKernel,
    isa: Isa,
    n: usize,
    k: usize,
    format: LevelFormat,
    /// Whether the step before has left `x` quantised in the shared scratch.
    reuses: bool,
}

/// Everything a task reads.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) tiling: &'a Tiling,
    pub(super) levels: &'a LevelPanels,
    pub(super) kernel: DotKernel,
    pub(super) words: &'a [i32],
    pub(super) scales: &'a [f32],
    pub(super) sums: &'a [i32],
    pub(super) isa: Isa,
    pub(super) out: Output<'a, f32>,
    pub(super) finish: Finish<'a>,
    pub(super) n: usize,
    pub(super) k: usize,
    /// The panel of the first column.
    pub(super) first: usize,
}

/// Tiles of which a task's `x` stays in the second-level cache.
pub(super) fn tiles_per_task(k: usize, tallest: usize) -> usize {
    (X_BYTES / (k.max(1) * tallest)).max(8)
}

/// Bytes of scratch for the unpacked weights of a stretch.
pub(super) fn unpacked(levels: &LevelPanels, k: usize) -> usize {
    levels.unpacked_bytes(STRETCH.min(k))
}

impl IntegerGemm {
    /// `None` when the machine or the weight has no such product.
    pub(super) fn new(bind: &Bind<'_>, epilogue: &Epilogue) -> Result<Option<Self>, DeviceError> {
        if !bind.is_weight(1) {
            return Ok(None);
        }
        let panels = bind.panels(1)?;
        let Some(format) = panels.levels().map(|levels| levels.format) else { return Ok(None) };
        let Some(kernel) = DotKernel::of(bind.level(), format) else { return Ok(None) };
        let shape = TileShape { heights: kernel.heights(), ..TileShape::of(bind.isa()) };
        let (n, k) = (bind.out_shape().last(), bind.shape(0).last());
        if (panels.n, panels.k, panels.width) != (n, k, shape.panel) {
            return Err(bind.misplaced("the prepared weight has another shape"));
        }
        // Four bytes are multiplied at once: the work of a task is a quarter of that of floats.
        let limit = tiles_per_task(k, shape.tallest());
        let (rows, panel_count) = (bind.out_shape().rows(), n.div_ceil(shape.panel));
        let tiling = Tiling::limited(shape, rows, panel_count, k / 4, bind.threads(), limit);
        Ok(Some(Self {
            x: bind.operand(0)?,
            out: bind.target()?,
            epilogue: BoundEpilogue::new(bind, epilogue, 2)?,
            tiling,
            kernel,
            isa: bind.isa(),
            n,
            k,
            format,
            panels,
            reuses: false,
        }))
    }

    /// Rows of `x` with those that fill the last tile.
    fn rows(&self) -> usize {
        self.tiling.tiles() * self.tiling.shape.tallest()
    }

    /// Four-byte elements of quantised `x`: words, scales and sums.
    fn packed(&self) -> [usize; 3] {
        let rows = self.rows();
        [rows * self.k / 4, rows * self.k.div_ceil(X_BLOCK), rows * self.k / self.format.group]
    }

    fn quantize(&self, launch: &Launch<'_>, x: &[f32]) -> Result<(), Fault> {
        let [words, scales, sums] = self.packed();
        let shared = launch.scratch().shared(0, words + scales + sums);
        let (tallest, groups, blocks) =
            (self.tiling.shape.tallest(), self.k / self.format.group, self.k.div_ceil(X_BLOCK));
        launch.pool().run(self.tiling.tiles(), &|task| {
            let (rows, height) = self.tiling.tile(task.index);
            let first = task.index * tallest;
            // SAFETY: each tile is quantised by the one task of its number.
            unsafe {
                let piece = |at: usize, len: usize| shared.slice(at..at + len);
                let words_at = first * self.k / 4;
                let mut packed = Packed {
                    words: bytemuck::cast_slice_mut(piece(words_at, height * self.k / 4)),
                    scales: piece(words + first * blocks, height * blocks),
                    sums: bytemuck::cast_slice_mut(piece(words + scales + first * groups, height * groups)),
                };
                let rows = rows.map(|r| &x[r * self.k..(r + 1) * self.k]);
                quantize_rows(self.isa, rows, self.format, height, &mut packed);
            }
        })?;
        Ok(())
    }
}

impl Kernel for IntegerGemm {
    fn name(&self) -> String {
        format!("gemm-int8/{}/{}", self.kernel.name(), self.panels.kind())
    }

    fn scratch(&self) -> ScratchNeed {
        let totals = 4 * self.tiling.tiles_per_task() * self.tiling.shape.tallest() * self.tiling.shape.panel;
        let unpacked = self.panels.levels().map_or(0, |levels| unpacked(levels, self.k));
        ScratchNeed { shared: 4 * self.packed().iter().sum::<usize>(), private: totals + unpacked }
    }

    fn leaves(&self) -> Option<Leftover> {
        let (rows, tallest, format) = (self.tiling.rows, self.tiling.shape.tallest(), self.format);
        // What of the format the quantised rows depend on: see `quantize`.
        let offsets = [format.group, usize::from(format.zero), usize::from(format.mins)];
        let layout = [rows, self.k, tallest, offsets[0], offsets[1], offsets[2]];
        Some(Leftover { operand: self.x.clone(), layout })
    }

    fn reuse(&mut self) {
        self.reuses = true;
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let Some(levels) = self.panels.levels() else { return Ok(()) };
        if !self.reuses {
            self.quantize(launch, launch.read(&self.x))?;
        }
        let [words, scales, sums] = self.packed();
        let shared = launch.scratch().shared(0, words + scales + sums);
        // SAFETY: the shared scratch was written above or by the step before, and is only read from here on.
        let shared = unsafe { shared.slice(0..shared.len()) };
        let (word_part, rest) = shared.split_at(words);
        let (scale_part, sum_part) = rest.split_at(scales);
        let work = Work {
            tiling: &self.tiling,
            levels,
            kernel: self.kernel,
            words: bytemuck::cast_slice(word_part),
            scales: scale_part,
            sums: bytemuck::cast_slice(sum_part),
            isa: self.isa,
            out: launch.output(&self.out),
            finish: self.epilogue.at(launch),
            n: self.n,
            k: self.k,
            first: 0,
        };
        launch.pool().run(self.tiling.tasks(), &|task| {
            let private = launch.scratch().private(task.thread);
            // SAFETY: the private part belongs to this thread; the isa was checked by the device; parts are
            // disjoint.
            unsafe {
                let (part, scratch) = (self.tiling.part(task.index), private.slice(0..private.len()));
                multiply(self.isa, &work, &part, scratch);
            };
        })?;
        Ok(())
    }
}

dispatch! {
    /// Computes one part of a product.
    pub(super) fn multiply(work: &Work<'_>, part: &Part, totals: &mut [f32]) = multiply_body;
}

#[inline(always)]
unsafe fn multiply_body<S: Simd>(s: S, work: &Work<'_>, part: &Part, totals: &mut [f32]) {
    let mut panel = part.panels.start;
    while panel < part.panels.end {
        let mut k0 = 0;
        while k0 < work.k {
            let k1 = work.k.min(k0 + STRETCH);
            let (next_panel, next) = if k1 < work.k { (panel, k1) } else { (panel + 1, 0) };
            let ahead: &[u8] = if next_panel < part.panels.end {
                work.levels.records(next_panel, next..work.k.min(next + STRETCH))
            } else {
                &[]
            };
            stretch(s, work, part, panel, k0..k1, ahead, totals);
            k0 = k1;
        }
        panel += 1;
    }
}

/// Adds one stretch of K of a panel to the totals of all tiles, each of which fetches its share of what comes `ahead`;
/// behind the last one a tile's totals are finished at once, while they are near.
#[inline(always)]
fn stretch<S: Simd>(
    s: S,
    work: &Work<'_>,
    part: &Part,
    panel: usize,
    terms: std::ops::Range<usize>,
    ahead: &[u8],
    totals: &mut [f32],
) {
    let (tallest, width) = (work.tiling.shape.tallest(), work.tiling.shape.panel);
    let (tiles, format) = (part.tiles.len(), work.levels.format);
    let (totals, unpacked) = totals.split_at_mut(tiles * tallest * width);
    let (format, records) = if tiles >= UNPACK {
        let out = bytemuck::cast_slice_mut(unpacked);
        (format.unpacked(), work.levels.unpacked(work.isa, panel, terms.clone(), out))
    } else {
        (format, work.levels.records(panel, terms.clone()))
    };
    let (groups, blocks) = (work.k / format.group, work.k.div_ceil(X_BLOCK));
    let (count, group, block) =
        (terms.len() / format.group, terms.start / format.group, terms.start / X_BLOCK);
    let share = ahead.len().div_ceil(tiles.max(1)).next_multiple_of(64);
    let first = (panel - work.first) * width;
    let len = width.min(work.n - first);
    let mut i = 0;
    while i < tiles {
        let index = part.tiles.start + i;
        let (rows, height) = work.tiling.tile(index);
        let at = rows.start * work.n + first;
        // A single tile reads weights once, in order, which the machine foresees itself.
        if tiles > 1 {
            prefetch(&ahead[ahead.len().min(i * share)..ahead.len().min((i + 1) * share)]);
        }
        if terms.start == 0 {
            // Where the results go is far away in long inputs; stores that wait for it would hold up the sums.
            for r in 0..rows.len() {
                prefetch_to_write(work.out.at(at + r * work.n).cast(), 4 * len);
            }
        }
        let row = index * tallest;
        let words = &work.words[row * work.k / 4 + terms.start / 4 * height..];
        let scales = &work.scales[row * blocks + block * height..];
        let sums = &work.sums[row * groups + group * height..];
        let totals = &mut totals[i * tallest * width..][..height * width];
        let tile = DotTile {
            x: words[..terms.len() / 4 * height].as_ptr(),
            scales: scales[..terms.len().div_ceil(X_BLOCK) * height].as_ptr(),
            sums: sums[..count * height].as_ptr(),
            records: records.as_ptr(),
            groups: count,
            zero: i32::from(format.zero),
            c: totals.as_mut_ptr(),
            fresh: terms.start == 0,
        };
        // SAFETY: the slices above have the extents the tile reads and writes; the kernel is the level's; these
        // stretches of the output belong to this part alone.
        unsafe {
            work.kernel.tile(format, height, &tile);
            if terms.end == work.k {
                let sums = (totals.as_ptr(), width);
                work.finish.store_tile(s, sums, rows.len(), first, len, &work.out, (at, work.n));
            }
        }
        i += 1;
    }
}
