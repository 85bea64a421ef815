//! The float product of packed rows and weight panels.
//!
//! First the rows of `x` are packed tile by tile; then each task takes some tiles and some panels, decodes the panel
//! a stretch of `K_BLOCK` terms at a time, adds each stretch's sums to its totals in its own scratch, and finishes
//! the totals into the output. Totals are formed in the same order for every cutting, so the bits of a row depend
//! neither on the other rows nor on the number of threads.

use super::pack_rows;
use super::rows::{Part, Tiling};
use crate::epilogue::{BoundEpilogue, Finish};
use crate::memory::{Output, ScratchNeed};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::tile::{BF16, F16, F32, Tile, TileShape, Tiles};
use crate::simd::{Isa, dispatch};
use crate::weights::{K_BLOCK, Panels};
use mynah_device::DeviceError;
use mynah_graph::Epilogue;
use std::sync::Arc;

/// A product with float sums.
pub(super) struct Gemm {
    x: Operand,
    weights: Weights,
    out: Target,
    epilogue: BoundEpilogue,
    tiling: Tiling,
    isa: Isa,
    n: usize,
    k: usize,
}

enum Weights {
    Stored(Arc<Panels>),
    /// The second operand is computed by the graph: it's brought into panels at each run.
    Computed(Operand),
}

/// Panels during a run.
#[derive(Clone, Copy)]
enum Source<'a> {
    Stored(&'a Panels),
    /// `[panel][k][lane]`.
    Packed(&'a [f32]),
}

/// Everything a task reads.
#[derive(Clone, Copy)]
struct Work<'a> {
    isa: Isa,
    tiling: &'a Tiling,
    source: Source<'a>,
    packed: &'a [f32],
    out: Output<'a, f32>,
    finish: Finish<'a>,
    n: usize,
    k: usize,
}

impl Gemm {
    pub(super) fn new(bind: &Bind<'_>, epilogue: &Epilogue) -> Result<Self, DeviceError> {
        let isa = bind.isa();
        let shape = TileShape::of(isa);
        let (n, k) = (bind.out_shape().last(), bind.shape(0).last());
        let weights = if bind.is_weight(1) {
            let panels = bind.panels(1)?;
            if (panels.n, panels.k, panels.width) != (n, k, shape.panel) {
                return Err(bind.misplaced("the prepared weight has another shape"));
            }
            Weights::Stored(panels)
        } else {
            Weights::Computed(bind.operand(1)?)
        };
        let rows = bind.out_shape().rows();
        Ok(Self {
            x: bind.operand(0)?,
            weights,
            out: bind.target()?,
            epilogue: BoundEpilogue::new(bind, epilogue, 2)?,
            tiling: Tiling::new(shape, rows, n.div_ceil(shape.panel), k, bind.threads()),
            isa,
            n,
            k,
        })
    }

    /// Floats of packed `x`; a single row is in the right order as it is.
    fn packed(&self) -> usize {
        if self.tiling.rows == 1 { 0 } else { self.tiling.packed(self.k) }
    }

    fn pack_x(&self, launch: &Launch<'_>, x: &[f32]) -> Result<(), Fault> {
        let packed = launch.scratch().shared(0, self.packed());
        let tallest = self.tiling.shape.tallest();
        launch.pool().run_chunks(self.tiling.tiles(), 1, &|tiles| {
            for tile in tiles {
                let (rows, height) = self.tiling.tile(tile);
                let first = tile * tallest * self.k;
                // SAFETY: each tile is packed by the one task that has it in its range.
                let out = unsafe { packed.slice(first..first + height * self.k) };
                pack_rows(rows.map(|r| &x[r * self.k..(r + 1) * self.k]), self.k, height, out);
            }
        })?;
        Ok(())
    }

    fn pack_weights(&self, launch: &Launch<'_>, w: &[f32]) -> Result<(), Fault> {
        let width = self.tiling.shape.panel;
        let panels = self.n.div_ceil(width);
        let packed = launch.scratch().shared(4 * self.packed(), panels * width * self.k);
        launch.pool().run_chunks(panels, 1, &|range| {
            for panel in range {
                let first = panel * width * self.k;
                // SAFETY: each panel is packed by the one task that has it in its range.
                let out = unsafe { packed.slice(first..first + width * self.k) };
                let rows = panel * width..self.n.min((panel + 1) * width);
                pack_rows(rows.map(|r| &w[r * self.k..(r + 1) * self.k]), self.k, width, out);
            }
        })?;
        Ok(())
    }
}

impl Kernel for Gemm {
    fn name(&self) -> String {
        let kind = match &self.weights {
            Weights::Stored(panels) => panels.kind(),
            Weights::Computed(_) => "computed",
        };
        format!("gemm-f32/{}/{kind}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        let width = self.tiling.shape.panel;
        let (weights, decode) = match &self.weights {
            Weights::Stored(panels) => (0, panels.scratch()),
            Weights::Computed(_) => (self.n.next_multiple_of(width) * self.k, 0),
        };
        let totals = self.tiling.tiles_per_task() * self.tiling.shape.tallest() * width;
        ScratchNeed { shared: 4 * (self.packed() + weights), private: 4 * (totals + decode) }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let x = launch.read(&self.x);
        if self.packed() > 0 {
            self.pack_x(launch, x)?;
        }
        let shared = launch.scratch().shared(0, self.scratch().shared / 4);
        if let Weights::Computed(w) = &self.weights {
            self.pack_weights(launch, launch.read(w))?;
        }
        // SAFETY: the shared scratch was written above and is only read from here on.
        let (packed, weights) = unsafe { shared.slice(0..shared.len()) }.split_at(self.packed());
        let work = Work {
            isa: self.isa,
            tiling: &self.tiling,
            source: match &self.weights {
                Weights::Stored(panels) => Source::Stored(panels),
                Weights::Computed(_) => Source::Packed(weights),
            },
            packed: if packed.is_empty() { x } else { packed },
            out: launch.output(&self.out),
            finish: self.epilogue.at(launch),
            n: self.n,
            k: self.k,
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
    fn multiply(work: &Work<'_>, part: &Part, scratch: &mut [f32]) = multiply_body;
}

#[inline(always)]
unsafe fn multiply_body<S: Tiles>(s: S, work: &Work<'_>, part: &Part, scratch: &mut [f32]) {
    let tallest = work.tiling.shape.tallest();
    let (totals, decode) = scratch.split_at_mut(part.tiles.len() * tallest * S::PANEL);
    for panel in part.panels.clone() {
        if work.k == 0 {
            totals.fill(0.0);
        }
        for k0 in (0..work.k).step_by(K_BLOCK) {
            let terms = K_BLOCK.min(work.k - k0);
            // A single tile widens sixteen-bit weights as it loads them; more share what is widened once.
            let halves = match work.source {
                Source::Stored(panels) if part.tiles.len() == 1 => panels.halves(panel, k0, terms),
                _ => None,
            };
            let (stored, weights) = match (halves, work.source) {
                (Some((stored, halves)), _) => (stored, halves.as_ptr().cast::<u8>()),
                (None, Source::Stored(panels)) => {
                    (F32, panels.chunk(work.isa, panel, k0, terms, decode).as_ptr().cast())
                }
                (None, Source::Packed(all)) => {
                    (F32, all[(panel * work.k + k0) * S::PANEL..][..terms * S::PANEL].as_ptr().cast())
                }
            };
            for (i, tile) in part.tiles.clone().enumerate() {
                let (_, height) = work.tiling.tile(tile);
                let x = &work.packed[tile * tallest * work.k + k0 * height..][..terms * height];
                let totals = &mut totals[i * tallest * S::PANEL..][..height * S::PANEL];
                let tile = Tile {
                    x: x.as_ptr(),
                    w: weights,
                    w_stride: S::PANEL,
                    k: terms,
                    c: totals.as_mut_ptr(),
                    c_stride: S::PANEL,
                    accumulate: k0 > 0,
                };
                // SAFETY: the slices above have the extents the tile reads and writes.
                unsafe {
                    match stored {
                        F16 => s.tile::<F16>(height, &tile),
                        BF16 => s.tile::<BF16>(height, &tile),
                        _ => s.tile::<F32>(height, &tile),
                    }
                }
            }
        }
        let first = panel * S::PANEL;
        let len = S::PANEL.min(work.n - first);
        for (i, tile) in part.tiles.clone().enumerate() {
            for (r, row) in work.tiling.tile(tile).0.enumerate() {
                let sums = &totals[(i * tallest + r) * S::PANEL..][..len];
                // SAFETY: this stretch of the output belongs to this part alone.
                unsafe { work.finish.store(s, sums.as_ptr(), first, len, &work.out, row * work.n + first) };
            }
        }
    }
}
