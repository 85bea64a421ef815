//! The float product of packed rows and weight panels.
//!
//! First the rows of `x` are packed tile by tile (many rows by the tasks that multiply them, so that they never leave
//! the cache in between); then each task takes some tiles and some panels, decodes the panel a stretch of `K_BLOCK`
//! terms at a time, adds each stretch's sums to its totals in its own scratch, and finishes the totals into the output.
//! Totals are formed in the same order for every cutting, so the bits of a row depend neither on the other rows nor on
//! the number of threads.
//!
//! With the route `bf16-dot` the elements of packed `x` and of the panels are pairs of bfloat16: everything stays as
//! it is, with half the steps along K.

use super::pack_rows;
use super::rows::{Part, Tiling};
use crate::epilogue::{BoundEpilogue, Finish};
use crate::memory::{Output, ScratchNeed};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::tile::{Ahead, BF16, F16, F32, Tile, TileShape, Tiles};
use crate::simd::{Bf16, Isa, dispatch};
use crate::weights::{K_BLOCK, Panels};
use mynah_device::DeviceError;
use mynah_graph::Epilogue;
use std::ops::Range;
use std::sync::Arc;

/// Floats of a task's part of packed `x` that leave the second-level cache room for weights and sums.
const RESIDENT: usize = 160 << 10;

/// A product with float sums.
pub(super) struct Gemm {
    x: Operand,
    weights: Weights,
    out: Target,
    epilogue: BoundEpilogue,
    tiling: Tiling,
    isa: Isa,
    /// Whether the elements are pairs.
    bf16: Option<Bf16>,
    n: usize,
    k: usize,
    /// Panels whose totals a task forms side by side, so that a stretch of its `x` serves them all.
    abreast: usize,
    /// Whether each task packs its own rows.
    own: bool,
}

/// Panels that are ever formed side by side.
const ABREAST: usize = 8;

enum Weights {
    Stored(Arc<Panels>),
    /// The second operand is computed by the graph: it's brought into panels at each run.
    Computed(Operand),
}

/// Panels during a run.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Stored(&'a Panels),
    /// `[panel][k][lane]`.
    Packed(&'a [f32]),
}

/// Everything a task reads.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) isa: Isa,
    pub(super) tiling: &'a Tiling,
    pub(super) source: Source<'a>,
    pub(super) out: Output<'a, f32>,
    pub(super) finish: Finish<'a>,
    pub(super) paired: bool,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) abreast: usize,
    /// The panel of the first column.
    pub(super) first: usize,
}

impl Gemm {
    pub(super) fn new(bind: &Bind<'_>, epilogue: &Epilogue) -> Result<Self, DeviceError> {
        let isa = bind.isa();
        let shape = TileShape::of(isa);
        let (n, k) = (bind.out_shape().last(), bind.shape(0).last());
        let mut bf16 = None;
        let weights = if bind.is_weight(1) {
            let panels = bind.panels(1)?;
            if (panels.n, panels.k, panels.width) != (n, k, shape.panel) {
                return Err(bind.misplaced("the prepared weight has another shape"));
            }
            bf16 = Bf16::of(bind.level()).filter(|_| panels.paired());
            Weights::Stored(panels)
        } else {
            Weights::Computed(bind.operand(1)?)
        };
        let rows = bind.out_shape().rows();
        let steps = if bf16.is_some() { k.div_ceil(2) } else { k };
        let tiling = Tiling::new(shape, rows, n.div_ceil(shape.panel), steps, bind.threads());
        let own = tiling.by_rows(bind.threads());
        let part = tiling.tiles_per_task() * shape.tallest() * steps;
        Ok(Self {
            x: bind.operand(0)?,
            weights,
            out: bind.target()?,
            epilogue: BoundEpilogue::new(bind, epilogue, 2)?,
            abreast: if part > RESIDENT { tiling.panels_per_task().min(ABREAST) } else { 1 },
            own: own.is_some(),
            tiling: own.unwrap_or(tiling),
            isa,
            bf16,
            n,
            k,
        })
    }

    /// Elements of packed `x` along K.
    fn steps(&self) -> usize {
        if self.bf16.is_some() { self.k.div_ceil(2) } else { self.k }
    }

    /// Elements of `x` packed for all tasks; a single row of floats is in the right order as it is.
    fn packed(&self) -> usize {
        let plain = self.tiling.rows == 1 && self.bf16.is_none();
        if plain || self.own { 0 } else { self.tiling.packed(self.steps()) }
    }

    /// Elements of `x` that a task packs for itself.
    fn own_packed(&self) -> usize {
        let tiles = if self.own { self.tiling.tiles_per_task() } else { 0 };
        tiles * self.tiling.shape.tallest() * self.steps()
    }

    fn pack_tile(&self, x: &[f32], tile: usize, out: &mut [f32]) {
        let (rows, height) = self.tiling.tile(tile);
        let rows = rows.map(|r| &x[r * self.k..(r + 1) * self.k]);
        match self.bf16 {
            Some(bf16) => bf16.pack_rows(rows, self.k, height, out),
            None => pack_rows(rows, self.k, height, out),
        }
    }

    fn pack_x(&self, launch: &Launch<'_>, x: &[f32]) -> Result<(), Fault> {
        let packed = launch.scratch().shared(0, self.packed());
        let size = self.tiling.shape.tallest() * self.steps();
        launch.pool().run_chunks(self.tiling.tiles(), 1, &|tiles| {
            for tile in tiles {
                // SAFETY: each tile is packed by the one task that has it in its range.
                self.pack_tile(x, tile, unsafe { packed.slice(tile * size..(tile + 1) * size) });
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
        let product = if self.bf16.is_some() { "gemm-bf16" } else { "gemm-f32" };
        format!("{product}/{}/{kind}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        let width = self.tiling.shape.panel;
        let (weights, decode) = match &self.weights {
            Weights::Stored(_) if self.bf16.is_some() => (0, 0),
            Weights::Stored(panels) => (0, panels.scratch()),
            Weights::Computed(_) => (self.n.next_multiple_of(width) * self.k, 0),
        };
        let totals = self.abreast * self.tiling.tiles_per_task() * self.tiling.shape.tallest() * width;
        ScratchNeed {
            shared: 4 * (self.packed() + weights),
            private: 4 * (self.own_packed() + totals + decode),
        }
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
        let packed = if packed.is_empty() { x } else { packed };
        let work = Work {
            isa: self.isa,
            tiling: &self.tiling,
            source: match &self.weights {
                Weights::Stored(panels) => Source::Stored(panels),
                Weights::Computed(_) => Source::Packed(weights),
            },
            out: launch.output(&self.out),
            finish: self.epilogue.at(launch),
            paired: self.bf16.is_some(),
            n: self.n,
            k: self.k,
            abreast: self.abreast,
            first: 0,
        };
        launch.pool().run(self.tiling.tasks(), &|task| {
            let private = launch.scratch().private(task.thread);
            // SAFETY: the private part belongs to this thread; the isa was checked by the device; parts are
            // disjoint.
            unsafe {
                let (part, scratch) = (self.tiling.part(task.index), private.slice(0..private.len()));
                let (own, scratch) = scratch.split_at_mut(self.own_packed());
                if self.own {
                    let size = self.tiling.shape.tallest() * self.steps();
                    for (tile, out) in part.tiles.clone().zip(own.chunks_exact_mut(size)) {
                        self.pack_tile(x, tile, out);
                    }
                    multiply(self.isa, &work, &part, own, scratch);
                } else {
                    let first = part.tiles.start * self.tiling.shape.tallest() * self.steps();
                    multiply(self.isa, &work, &part, &packed[first..], scratch);
                }
            };
        })?;
        Ok(())
    }
}

dispatch! {
    /// Computes one part of a product from its packed rows.
    pub(super) fn multiply(work: &Work<'_>, part: &Part, packed: &[f32], scratch: &mut [f32]) = multiply_body;
}

#[inline(always)]
unsafe fn multiply_body<S: Tiles>(s: S, work: &Work<'_>, part: &Part, packed: &[f32], scratch: &mut [f32]) {
    let tallest = work.tiling.shape.tallest();
    // Totals of one panel.
    let size = part.tiles.len() * tallest * S::PANEL;
    let (totals, decode) = scratch.split_at_mut(work.abreast * size);
    let mut first = part.panels.start;
    while first < part.panels.end {
        let panels = first..part.panels.end.min(first + work.abreast);
        if work.k == 0 {
            totals.fill(0.0);
        }
        for k0 in (0..work.k).step_by(K_BLOCK) {
            for panel in panels.clone() {
                let totals = &mut totals[(panel - first) * size..][..size];
                let next = match (panel + 1 < panels.end, k0 + K_BLOCK < work.k) {
                    (true, _) => (panel + 1, k0),
                    (false, true) => (first, k0 + K_BLOCK),
                    (false, false) => (panels.end, 0),
                };
                // SAFETY: passed on to the caller.
                unsafe { stretch(s, work, &part.tiles, packed, panel, k0, next, totals, decode) };
            }
        }
        for panel in panels.clone() {
            let totals = &totals[(panel - first) * size..][..size];
            let channel = (panel - work.first) * S::PANEL;
            let len = S::PANEL.min(work.n - channel);
            for (i, tile) in part.tiles.clone().enumerate() {
                for (r, row) in work.tiling.tile(tile).0.enumerate() {
                    let (sums, at) = (&totals[(i * tallest + r) * S::PANEL..][..len], row * work.n + channel);
                    // SAFETY: this stretch of the output belongs to this part alone.
                    unsafe { work.finish.store(s, sums.as_ptr(), channel, len, &work.out, at) };
                }
            }
        }
        first = panels.end;
    }
}

/// Adds the products of a stretch of terms of one panel to its totals, and fetches the stretch that comes `next`.
#[inline(always)]
unsafe fn stretch<S: Tiles>(
    s: S,
    work: &Work<'_>,
    tiles: &Range<usize>,
    packed: &[f32],
    panel: usize,
    k0: usize,
    next: (usize, usize),
    totals: &mut [f32],
    decode: &mut [f32],
) {
    let tallest = work.tiling.shape.tallest();
    let terms = K_BLOCK.min(work.k - k0);
    // A single tile widens sixteen-bit weights as it loads them; more share what is widened once.
    let halves = match work.source {
        Source::Stored(panels) if tiles.len() == 1 => panels.halves(panel, k0, terms),
        _ => None,
    };
    let (stored, weights) = match (halves, work.source) {
        (_, Source::Stored(panels)) if work.paired => {
            (F32, panels.pairs(panel, k0, terms).as_ptr().cast::<u8>())
        }
        (Some((stored, halves)), _) => (stored, halves.as_ptr().cast()),
        (None, Source::Stored(panels)) => {
            (F32, panels.chunk(work.isa, panel, k0, terms, decode).as_ptr().cast())
        }
        (None, Source::Packed(all)) => {
            (F32, all[(panel * work.k + k0) * S::PANEL..][..terms * S::PANEL].as_ptr().cast())
        }
    };
    let next = match work.source {
        Source::Stored(panels) => panels.stretch(next.0, next.1, K_BLOCK.min(work.k - next.1)),
        Source::Packed(_) => &[],
    };
    // In pairs there are half as many of everything along K.
    let halve = |terms: usize| if work.paired { terms.div_ceil(2) } else { terms };
    let (k0, steps, all) = (halve(k0), halve(terms), halve(work.k));
    let last = work.tiling.tile(tiles.end - 1).1;
    let height_of_all = (tiles.len() - 1) * tallest + last;
    for (i, tile) in tiles.clone().enumerate() {
        let (_, height) = work.tiling.tile(tile);
        let x = &packed[i * tallest * all + k0 * height..][..steps * height];
        let totals = &mut totals[i * tallest * S::PANEL..][..height * S::PANEL];
        let tile = Tile {
            x: x.as_ptr(),
            x_step: height,
            segments: 1,
            x_jump: 0,
            w: weights,
            w_stride: S::PANEL,
            k: steps,
            c: totals.as_mut_ptr(),
            c_stride: S::PANEL,
            accumulate: k0 > 0,
        };
        let ahead = Ahead::share(next, i * tallest, height, height_of_all, steps);
        // SAFETY: the slices above have the extents the tile reads and writes; only a level that has them gets pairs.
        unsafe {
            match stored {
                _ if work.paired => s.pairs_ahead(height, &tile, ahead),
                F16 => s.tile_ahead::<F16>(height, &tile, ahead),
                BF16 => s.tile_ahead::<BF16>(height, &tile, ahead),
                _ => s.tile_ahead::<F32>(height, &tile, ahead),
            }
        }
    }
}
