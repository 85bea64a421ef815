//! Products of some rows with the weights of some expert: the kernels of the other products, called for one group of rows at a time.
//!
//! How many rows an expert has is known at run time only. So a task packs the rows it multiplies into scratch of its own, whichever
//! they are, and the sums of a row come out in the bits that a product of that row alone would give.

use super::gemm::{self, Source};
use super::integer;
use super::pack_rows;
use super::quantize::{Packed, quantize_rows};
use super::rows::{Part, TILES_PER_TASK, Tiling};
use crate::INT8_DOT;
use crate::epilogue::Finish;
use crate::memory::Output;
use crate::program::Bind;
use crate::simd::dot::{DotKernel, X_BLOCK};
use crate::simd::tile::TileShape;
use crate::simd::{Bf16, Isa};
use crate::weights::{LevelFormat, Panels, Stack};
use mynah_device::DeviceError;
use std::ops::Range;
use std::sync::Arc;

/// A product with one matrix of each expert.
pub(crate) struct GroupedProduct {
    stack: Arc<Stack>,
    /// Which of an expert's matrices.
    part: usize,
    path: Path,
    shape: TileShape,
    isa: Isa,
}

/// Which kernel multiplies.
#[derive(Clone, Copy)]
enum Path {
    /// Floats, or pairs of bfloat16.
    Float(Option<Bf16>),
    /// Quantised rows and levels.
    Integer(DotKernel, LevelFormat),
}

/// Rows of one expert and the panels they are multiplied with.
pub(crate) struct Group {
    pub(crate) expert: usize,
    pub(crate) rows: usize,
    pub(crate) panels: Range<usize>,
}

impl GroupedProduct {
    /// Binds matrix `part` of the stack that is operand `operand`, whose matrices must be `[n, k]`.
    pub(crate) fn new(
        bind: &Bind<'_>,
        operand: usize,
        part: usize,
        [n, k]: [usize; 2],
    ) -> Result<Self, DeviceError> {
        let (stack, isa) = (bind.stack(operand)?, bind.isa());
        let shape = TileShape::of(isa);
        let fits = |panels: &Panels| (stack.n, stack.k, panels.width) == (n, k, shape.panel);
        let Some(sample) = stack.sample().filter(|panels| fits(panels)) else {
            return Err(bind.misplaced("the prepared experts have another shape"));
        };
        let format = sample.levels().map(|levels| levels.format);
        let dot = format.filter(|_| bind.policy().allows(&INT8_DOT));
        let dot = dot.and_then(|format| Some((DotKernel::of(bind.level(), format)?, format)));
        let (path, shape) = match dot {
            Some((kernel, format)) => {
                (Path::Integer(kernel, format), TileShape { heights: kernel.heights(), ..shape })
            }
            None => (Path::Float(Bf16::of(bind.level()).filter(|_| sample.paired())), shape),
        };
        Ok(Self { path, shape, isa, part, stack })
    }

    /// Kernel and route.
    pub(crate) fn name(&self) -> String {
        let kind = self.stack.sample().map_or("", Panels::kind);
        match self.path {
            Path::Integer(kernel, _) => format!("int8/{}/{kind}", kernel.name()),
            Path::Float(Some(_)) => format!("bf16/{}/{kind}", self.isa.name()),
            Path::Float(None) => format!("f32/{}/{kind}", self.isa.name()),
        }
    }

    /// Experts there are.
    pub(crate) fn experts(&self) -> usize {
        self.stack.experts()
    }

    /// Panels of a matrix.
    pub(crate) fn panels(&self) -> usize {
        self.stack.n.div_ceil(self.shape.panel)
    }

    /// Columns of these panels.
    pub(crate) fn columns(&self, panels: &Range<usize>) -> Range<usize> {
        let column = |panel: usize| self.stack.n.min(panel * self.shape.panel);
        column(panels.start)..column(panels.end)
    }

    /// Rows that a task takes at most.
    pub(crate) fn most_rows(&self) -> usize {
        let tallest = self.shape.tallest();
        let tiles = match self.path {
            Path::Integer(..) => integer::tiles_per_task(self.stack.k, tallest),
            Path::Float(_) => TILES_PER_TASK,
        };
        tiles * tallest
    }

    /// Floats that `rows` rows take when packed.
    pub(crate) fn packed(&self, rows: usize) -> usize {
        self.sizes(&self.tiling(rows)).iter().sum()
    }

    /// Floats of scratch for sums and decoded weights of `rows` rows.
    pub(crate) fn scratch(&self, rows: usize) -> usize {
        let totals = self.tiling(rows).tiles() * self.shape.tallest() * self.shape.panel;
        let decoded = self.stack.sample().map_or(0, |panels| match (self.path, panels.levels()) {
            (Path::Integer(..), Some(levels)) => integer::unpacked(levels, self.stack.k).div_ceil(4),
            _ => panels.scratch(),
        });
        totals + decoded
    }

    /// Whether rows packed for the other can be used for this.
    pub(crate) fn packs_like(&self, other: &Self) -> bool {
        match (self.path, other.path) {
            (Path::Float(a), Path::Float(b)) => a.is_some() == b.is_some(),
            (Path::Integer(_, a), Path::Integer(_, b)) => {
                [a.group, usize::from(a.zero), usize::from(a.mins)]
                    == [b.group, usize::from(b.zero), usize::from(b.mins)]
                    && self.shape == other.shape
            }
            _ => false,
        }
    }

    fn tiling(&self, rows: usize) -> Tiling {
        Tiling::new(self.shape, rows, self.panels(), self.stack.k, 1)
    }

    /// Elements of packed rows along K.
    fn steps(&self) -> usize {
        if matches!(self.path, Path::Float(Some(_))) { self.stack.k.div_ceil(2) } else { self.stack.k }
    }

    /// Floats of packed rows; of quantised ones words, scales and sums.
    fn sizes(&self, tiling: &Tiling) -> [usize; 3] {
        let (rows, k) = (tiling.tiles() * self.shape.tallest(), self.stack.k);
        match self.path {
            Path::Float(_) => [rows * self.steps(), 0, 0],
            Path::Integer(_, format) => [rows * k / 4, rows * k.div_ceil(X_BLOCK), rows * k / format.group],
        }
    }

    /// Packs `rows` rows, of which `row` gives each by its number.
    pub(crate) fn pack<'x>(&self, rows: usize, row: impl Fn(usize) -> &'x [f32], out: &mut [f32]) {
        let (tiling, k) = (self.tiling(rows), self.stack.k);
        let [words, scales, sums] = self.sizes(&tiling);
        let (out, rest) = out.split_at_mut(words);
        let (scales, rest) = rest.split_at_mut(scales);
        let sums = &mut rest[..sums];
        for tile in 0..tiling.tiles() {
            let (range, height) = tiling.tile(tile);
            let (first, rows) = (tile * self.shape.tallest(), range.map(&row));
            match self.path {
                Path::Float(bf16) => {
                    let out = &mut out[first * self.steps()..];
                    match bf16 {
                        Some(bf16) => bf16.pack_rows(rows, k, height, out),
                        None => pack_rows(rows, k, height, out),
                    }
                }
                Path::Integer(_, format) => {
                    let mut packed = Packed {
                        words: bytemuck::cast_slice_mut(&mut out[first * k / 4..]),
                        scales: &mut scales[first * k.div_ceil(X_BLOCK)..],
                        sums: bytemuck::cast_slice_mut(&mut sums[first * k / format.group..]),
                    };
                    quantize_rows(self.isa, rows, format, height, &mut packed);
                }
            }
        }
    }

    /// Multiplies packed rows; `out` gets them as rows of `n` elements, of which the group's panels are written.
    ///
    /// # Safety
    /// Nobody else may touch those elements of `out` meanwhile.
    pub(crate) unsafe fn multiply(
        &self,
        group: &Group,
        packed: &[f32],
        scratch: &mut [f32],
        out: Output<'_, f32>,
    ) {
        let (tiling, (panels, first)) = (self.tiling(group.rows), self.stack.matrix(group.expert, self.part));
        let part =
            Part { tiles: 0..tiling.tiles(), panels: first + group.panels.start..first + group.panels.end };
        let [words, scales, sums] = self.sizes(&tiling);
        let (isa, n, k, finish) = (self.isa, self.stack.n, self.stack.k, Finish::plain());
        match (self.path, panels.levels()) {
            (Path::Integer(kernel, _), Some(levels)) => {
                let (words, rest) = packed.split_at(words);
                let work = integer::Work {
                    tiling: &tiling,
                    levels,
                    kernel,
                    words: bytemuck::cast_slice(words),
                    scales: &rest[..scales],
                    sums: bytemuck::cast_slice(&rest[scales..scales + sums]),
                    isa,
                    out,
                    finish,
                    n,
                    k,
                    first,
                };
                // SAFETY: the isa was checked by the device; the rest is the caller's.
                unsafe { integer::multiply(isa, &work, &part, scratch) };
            }
            _ => {
                let paired = matches!(self.path, Path::Float(Some(_)));
                let source = Source::Stored(panels);
                let work =
                    gemm::Work { isa, tiling: &tiling, source, out, finish, paired, n, k, abreast: 1, first };
                // SAFETY: as above.
                unsafe { gemm::multiply(isa, &work, &part, &packed[..words], scratch) };
            }
        }
    }
}
