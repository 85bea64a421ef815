//! The product of quantised rows and levels: the route `int8-dot`.
//!
//! The rows of `x` are quantised once, in the groups of the weight's format; then each task multiplies some tiles with
//! some panels over all of K and finishes the sums into the output.

use super::quantize::{Packed, quantize_rows};
use super::rows::{Part, Tiling};
use crate::epilogue::{BoundEpilogue, Finish};
use crate::memory::{Output, ScratchNeed};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::dot::{DotKernel, DotTile};
use crate::simd::tile::TileShape;
use crate::simd::{Isa, Simd, dispatch};
use crate::weights::{LevelPanels, Panels};
use mynah_device::DeviceError;
use mynah_graph::Epilogue;
use std::sync::Arc;

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
    group: usize,
}

/// Everything a task reads.
#[derive(Clone, Copy)]
struct Work<'a> {
    tiling: &'a Tiling,
    levels: &'a LevelPanels,
    kernel: DotKernel,
    words: &'a [i32],
    scales: &'a [f32],
    sums: &'a [i32],
    out: Output<'a, f32>,
    finish: Finish<'a>,
    n: usize,
    k: usize,
    group: usize,
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
        let group = format.group;
        let shape = TileShape { heights: kernel.heights(), ..TileShape::of(bind.isa()) };
        let (n, k) = (bind.out_shape().last(), bind.shape(0).last());
        if (panels.n, panels.k, panels.width) != (n, k, shape.panel) {
            return Err(bind.misplaced("the prepared weight has another shape"));
        }
        // Four bytes are multiplied at once: the work of a task is a quarter of that of floats.
        let tiling =
            Tiling::new(shape, bind.out_shape().rows(), n.div_ceil(shape.panel), k / 4, bind.threads());
        Ok(Some(Self {
            x: bind.operand(0)?,
            out: bind.target()?,
            epilogue: BoundEpilogue::new(bind, epilogue, 2)?,
            tiling,
            kernel,
            isa: bind.isa(),
            n,
            k,
            group,
            panels,
        }))
    }

    /// Rows of `x` with those that fill the last tile.
    fn rows(&self) -> usize {
        self.tiling.tiles() * self.tiling.shape.tallest()
    }

    /// Four-byte elements of quantised `x`: words, scales and sums.
    fn packed(&self) -> [usize; 3] {
        let groups = self.k / self.group;
        [self.rows() * self.k / 4, self.rows() * groups, self.rows() * groups]
    }

    fn quantize(&self, launch: &Launch<'_>, x: &[f32]) -> Result<(), Fault> {
        let [words, scales, sums] = self.packed();
        let shared = launch.scratch().shared(0, words + scales + sums);
        let (tallest, groups) = (self.tiling.shape.tallest(), self.k / self.group);
        launch.pool().run(self.tiling.tiles(), &|task| {
            let (rows, height) = self.tiling.tile(task.index);
            let first = task.index * tallest;
            // SAFETY: each tile is quantised by the one task of its number.
            unsafe {
                let piece = |at: usize, len: usize| shared.slice(at..at + len);
                let words_at = first * self.k / 4;
                let mut packed = Packed {
                    words: bytemuck::cast_slice_mut(piece(words_at, height * self.k / 4)),
                    scales: piece(words + first * groups, height * groups),
                    sums: bytemuck::cast_slice_mut(piece(words + scales + first * groups, height * groups)),
                };
                let rows = rows.map(|r| &x[r * self.k..(r + 1) * self.k]);
                quantize_rows(self.isa, rows, self.group, height, &mut packed);
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
        let totals = 4 * self.tiling.shape.tallest() * self.tiling.shape.panel;
        ScratchNeed { shared: 4 * self.packed().iter().sum::<usize>(), private: totals }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let Some(levels) = self.panels.levels() else { return Ok(()) };
        self.quantize(launch, launch.read(&self.x))?;
        let [words, scales, sums] = self.packed();
        let shared = launch.scratch().shared(0, words + scales + sums);
        // SAFETY: the shared scratch was written above and is only read from here on.
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
            out: launch.output(&self.out),
            finish: self.epilogue.at(launch),
            n: self.n,
            k: self.k,
            group: self.group,
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
    fn multiply(work: &Work<'_>, part: &Part, totals: &mut [f32]) = multiply_body;
}

#[inline(always)]
unsafe fn multiply_body<S: Simd>(s: S, work: &Work<'_>, part: &Part, totals: &mut [f32]) {
    let (tallest, width) = (work.tiling.shape.tallest(), work.tiling.shape.panel);
    let (groups, format) = (work.k / work.group, work.levels.format);
    let mut panel = part.panels.start;
    while panel < part.panels.end {
        let first = panel * width;
        let len = width.min(work.n - first);
        let (levels, scales) = (work.levels.levels(panel, 0), work.levels.scales(panel, 0));
        let mins = work.levels.mins(panel, 0);
        let mut index = part.tiles.start;
        while index < part.tiles.end {
            let (rows, height) = work.tiling.tile(index);
            let row = index * tallest;
            let tile = DotTile {
                x: work.words[row * work.k / 4..][..height * work.k / 4].as_ptr(),
                scales: work.scales[row * groups..][..height * groups].as_ptr(),
                sums: work.sums[row * groups..][..height * groups].as_ptr(),
                levels: levels.as_ptr(),
                level_scales: scales.as_ptr(),
                mins: mins.as_ptr(),
                groups,
                zero: i32::from(format.zero),
                c: totals[..height * width].as_mut_ptr(),
            };
            // SAFETY: the slices above have the extents the tile reads and writes; the kernel is the level's.
            unsafe { work.kernel.tile(format, height, &tile) };
            let mut r = 0;
            while r < rows.len() {
                let (sums, at) = (totals[r * width..][..len].as_ptr(), (rows.start + r) * work.n + first);
                // SAFETY: this stretch of the output belongs to this part alone.
                unsafe { work.finish.store(s, sums, first, len, &work.out, at) };
                r += 1;
            }
            index += 1;
        }
        panel += 1;
    }
}
