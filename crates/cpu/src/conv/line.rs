//! Convolutions over time with all channels, and their transposes, as products of windows with a matrix ([`Line`]), whose windows
//! are never written out.
//!
//! A task takes a stretch of frames and turns the input under them into columns, `[channel][frame]`. The register tile of matrix
//! products reads a term of neighbouring frames side by side; the next tap of a kernel is then the same columns a few frames on. So
//! each element of the input is brought into order once for all taps and output channels. With strides, taps of neighbouring frames
//! don't lie side by side, and each tap has columns of its own.
//!
//! Sums run over blocks of terms that depend on the kernel alone, so a frame's bits depend neither on its neighbours nor on the
//! cutting. With the route `bf16-dot` columns and kernel are pairs of bfloat16.

use crate::epilogue::{BoundEpilogue, Finish};
use crate::matmul::pack_columns;
use crate::memory::{Output, ScratchNeed};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::tile::{Ahead, F32, Tile, TileShape, Tiles};
use crate::simd::{Bf16, Isa, dispatch};
use crate::weights::{K_BLOCK, Line};
use mynah_device::DeviceError;
use mynah_graph::{Conv1d, ConvTranspose1d, Epilogue};
use std::ops::Range;
use std::sync::Arc;

/// Tiles of a task at most: enough to pay for a pass over the kernel.
const MOST_TILES: usize = 10;
/// Floats of columns that leave the second-level cache room for the kernel and sums.
const RESIDENT: usize = 128 << 10;
/// Multiply-adds below which a task isn't worth handing to another thread.
const SMALL: usize = 1 << 18;

struct Conv {
    x: Operand,
    kernel: Arc<Line>,
    out: Target,
    epilogue: BoundEpilogue,
    plan: Plan,
    isa: Isa,
    bf16: Option<Bf16>,
}

/// Where windows lie and how they are cut into tasks.
#[derive(Clone, Copy, Debug)]
struct Plan {
    tiles: TileShape,
    batch: usize,
    /// Frames of the input and of the output.
    time: usize,
    frames: usize,
    /// Windows of a sequence; each gives as many frames of the output as the kernel has phases.
    windows: usize,
    /// The input's frame at the first tap of the first window; those before 0 are zeros, as those past the end.
    origin: isize,
    /// Frames of the first window that are cut off.
    lead: usize,
    stride: usize,
    dilation: usize,
    /// Whether each tap has columns of its own.
    apart: bool,
    tiles_per_task: usize,
    panels_per_task: usize,
    /// Panels of the kernel.
    panels: usize,
    /// Frames that columns hold.
    lanes: usize,
    /// Elements that a tap's terms take, pairs being one.
    steps: usize,
    /// Floats of a task's columns.
    columns: usize,
}

/// Compiles a convolution.
pub(crate) fn compile(bind: &Bind<'_>, conv: &Conv1d) -> Result<Box<dyn Kernel>, DeviceError> {
    let origin = isize::try_from(conv.pad[0]).map_or(isize::MIN, |pad| -pad);
    let place =
        Place { windows: bind.out_shape().dims()[1], origin, lead: 0, step: [conv.stride, conv.dilation] };
    build(bind, &conv.epilogue, &place, bind.shape(1).last())
}

/// Compiles a transposed convolution.
pub(crate) fn compile_transpose(
    bind: &Bind<'_>,
    conv: &ConvTranspose1d,
) -> Result<Box<dyn Kernel>, DeviceError> {
    // The window that ends at frame `i` of the input gives the frames from `i · stride − left` on.
    let (left, frames) = (conv.pad[0], bind.out_shape().dims()[1]);
    let taps = bind.shape(1).last().div_ceil(conv.stride);
    let first = left / conv.stride;
    let windows = left.saturating_add(frames).div_ceil(conv.stride) - first;
    let origin = first as isize - taps.saturating_sub(1) as isize;
    let place = Place { windows, origin, lead: left % conv.stride, step: [1, 1] };
    build(bind, &conv.epilogue, &place, taps)
}

/// Where the windows of a sequence lie.
struct Place {
    windows: usize,
    origin: isize,
    lead: usize,
    /// From window to window, and from tap to tap.
    step: [usize; 2],
}

fn build(
    bind: &Bind<'_>,
    epilogue: &Epilogue,
    place: &Place,
    taps: usize,
) -> Result<Box<dyn Kernel>, DeviceError> {
    let (kernel, x, y) = (bind.line(1)?, bind.shape(0), bind.out_shape());
    if [kernel.inputs, kernel.channels, kernel.taps] != [x.last(), y.last(), taps] {
        return Err(bind.misplaced("the prepared weight has another shape"));
    }
    let bf16 = Bf16::of(bind.level()).filter(|_| kernel.panels.paired());
    let extents = [x.dims()[0], x.dims()[1], y.dims()[1]];
    let tiles = TileShape::of(bind.isa());
    let plan = Plan::new(tiles, extents, place, &kernel, bf16.is_some(), bind.threads());
    let plan = plan.ok_or_else(|| bind.misplaced("the convolution's scratch memory has no size"))?;
    Ok(Box::new(Conv {
        x: bind.operand(0)?,
        kernel,
        out: bind.target()?,
        epilogue: BoundEpilogue::new(bind, epilogue, 2)?,
        plan,
        isa: bind.isa(),
        bf16,
    }))
}

impl Plan {
    /// The cutting, unless its sizes overflow.
    fn new(
        tiles: TileShape,
        [batch, time, frames]: [usize; 3],
        place: &Place,
        kernel: &Line,
        paired: bool,
        threads: usize,
    ) -> Option<Self> {
        let [stride, dilation] = place.step;
        let steps = if paired { kernel.terms / 2 } else { kernel.terms };
        let reach = dilation.checked_mul(kernel.taps.saturating_sub(1))?;
        let tallest = tiles.tallest();
        let all = place.windows.div_ceil(tallest);
        let panels = kernel.panels.count();
        // Columns of each tap's own are worth it where windows lie further apart than taps.
        let apart = stride > 1 || reach.checked_add(tallest)? > kernel.taps.saturating_mul(tallest);
        let height = steps.checked_mul(if apart { kernel.taps } else { 1 })?;
        let limit = (RESIDENT / height.saturating_mul(tallest).max(1)).clamp(1, MOST_TILES);
        // A few tasks for each thread even out what a thread loses to another process.
        let wanted = if threads > 1 { 4 * threads } else { 1 };
        let fair = all.div_ceil(wanted.div_ceil(batch.max(1))).max(4);
        let tiles_per_task = all.div_ceil(all.div_ceil(limit.min(fair)).max(1)).max(1);
        let stretches = batch.checked_mul(all.div_ceil(tiles_per_task))?;
        let work = tiles_per_task.checked_mul(tallest * tiles.panel)?.checked_mul(height.max(1))?;
        let groups = wanted.div_ceil(stretches.max(1));
        let panels_per_task = panels.div_ceil(groups).max(SMALL / work + 1).min(panels.max(1));
        let windows = tiles_per_task.checked_mul(tallest)?;
        let lanes = windows.checked_add(if apart { 0 } else { reach })?.checked_next_multiple_of(4)?;
        // Columns a power of two apart would fight for the same places of the first-level cache.
        let lanes = if lanes.is_multiple_of(8) { lanes.checked_add(4)? } else { lanes };
        let columns = lanes.checked_mul(height)?;
        columns.checked_add(kernel.terms)?.checked_mul(8)?;
        isize::try_from(place.windows.checked_mul(stride)?.checked_add(reach)?).ok()?;
        place.origin.checked_add_unsigned(place.windows.checked_mul(stride)?.checked_add(reach)?)?;
        Some(Self {
            tiles,
            batch,
            time,
            frames,
            windows: place.windows,
            origin: place.origin,
            lead: place.lead,
            stride,
            dilation,
            apart,
            tiles_per_task,
            panels_per_task,
            panels,
            lanes,
            steps,
            columns,
        })
    }

    /// Tasks of a sequence along its windows.
    fn stretches(&self) -> usize {
        self.windows.div_ceil(self.tallest_task())
    }

    /// Windows of a task at most.
    fn tallest_task(&self) -> usize {
        self.tiles_per_task * self.tiles.tallest()
    }

    fn groups(&self) -> usize {
        self.panels.div_ceil(self.panels_per_task)
    }

    /// Floats of a task's sums of one panel.
    fn totals(&self) -> usize {
        self.tallest_task() * self.tiles.panel
    }
}

impl Kernel for Conv {
    fn name(&self) -> String {
        let kind = if self.kernel.phases > 1 { "conv-transpose" } else { "conv-line" };
        let columns = if self.plan.apart { "-apart" } else { "" };
        format!("{kind}{columns}/{}/{}", self.isa.name(), self.kernel.panels.kind())
    }

    fn scratch(&self) -> ScratchNeed {
        ScratchNeed { shared: 0, private: 4 * (self.plan.columns + self.plan.totals() + self.kernel.inputs) }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (p, out) = (&self.plan, launch.output(&self.out));
        if out.len() == 0 {
            return Ok(());
        }
        let (x, finish) = (launch.read(&self.x), self.epilogue.at(launch));
        let work = Work { plan: p, kernel: &self.kernel, isa: self.isa, finish, out };
        let (stretches, groups) = (p.stretches(), p.groups());
        launch.pool().run(p.batch * stretches * groups, &|task| {
            let (line, group) = (task.index / groups, task.index % groups);
            let (batch, first) = (line / stretches, line % stretches * p.tallest_task());
            let part = Part {
                batch,
                windows: first..p.windows.min(first + p.tallest_task()),
                panels: group * p.panels_per_task..p.panels.min((group + 1) * p.panels_per_task),
            };
            let private = launch.scratch().private(task.thread);
            // SAFETY: the private part belongs to this thread, parts are disjoint, the isa was checked by the device.
            unsafe {
                let (columns, rest) = private.slice(0..private.len()).split_at_mut(p.columns);
                let (totals, zeros) = rest.split_at_mut(p.totals());
                self.pack(x, &part, &mut zeros[..self.kernel.inputs], columns);
                multiply(self.isa, &work, &part, columns, totals);
            }
        })?;
        Ok(())
    }
}

/// What one task computes.
struct Part {
    batch: usize,
    windows: Range<usize>,
    panels: Range<usize>,
}

/// Everything a task reads.
struct Work<'a> {
    plan: &'a Plan,
    kernel: &'a Line,
    isa: Isa,
    finish: Finish<'a>,
    out: Output<'a, f32>,
}

impl Conv {
    /// Turns the input under a task's windows into columns.
    fn pack(&self, x: &[f32], part: &Part, zeros: &mut [f32], columns: &mut [f32]) {
        let (p, inputs) = (&self.plan, self.kernel.inputs);
        zeros.fill(0.0);
        let zeros = &*zeros;
        let x = &x[part.batch * p.time * inputs..][..p.time * inputs];
        let frame = |at: isize| {
            let at = usize::try_from(at).ok().filter(|&at| at < p.time);
            at.map_or(zeros, |at| &x[at * inputs..(at + 1) * inputs])
        };
        let turn = |first: isize, step: usize, count: usize, columns: &mut [f32]| {
            for lane in (0..count).step_by(4) {
                let rows = [0, 1, 2, 3].map(|i| frame(first + ((lane + i) * step) as isize));
                match self.bf16 {
                    Some(bf16) => bf16.pack_columns(rows, lane, p.lanes, columns),
                    None => pack_columns(rows, lane, p.lanes, columns),
                }
            }
        };
        let first = p.origin + (part.windows.start * p.stride) as isize;
        let taps = self.kernel.taps;
        if p.apart {
            let size = p.steps * p.lanes;
            for (tap, columns) in columns.chunks_exact_mut(size.max(1)).enumerate().take(taps) {
                turn(first + (tap * p.dilation) as isize, p.stride, part.windows.len(), columns);
            }
        } else {
            turn(first, 1, part.windows.len() + (taps - 1) * p.dilation, columns);
        }
    }
}

dispatch! {
    /// Computes one part of a convolution from its columns.
    fn multiply(work: &Work<'_>, part: &Part, columns: &[f32], totals: &mut [f32]) = multiply_body;
}

/// Terms that are summed in one go: some whole taps, or a stretch of one.
#[derive(Clone, Copy)]
struct Block {
    tap: usize,
    taps: usize,
    /// The first term of each tap, and how many.
    first: usize,
    terms: usize,
}

impl Block {
    /// The block at the beginning of a tap, `None` behind the last or where taps have no terms.
    fn at(kernel: &Line, tap: usize) -> Option<Self> {
        let taps = (K_BLOCK / kernel.terms.max(1)).max(1).min(kernel.taps.checked_sub(tap)?);
        let terms = kernel.terms.min(K_BLOCK);
        (taps > 0 && terms > 0).then_some(Self { tap, taps, first: 0, terms })
    }

    /// What follows, `None` behind the last.
    fn next(self, kernel: &Line) -> Option<Self> {
        let first = self.first + self.terms;
        if first < kernel.terms {
            return Some(Self { first, terms: K_BLOCK.min(kernel.terms - first), ..self });
        }
        Self::at(kernel, self.tap + self.taps)
    }
}

#[inline(always)]
unsafe fn multiply_body<S: Tiles>(s: S, work: &Work<'_>, part: &Part, columns: &[f32], totals: &mut [f32]) {
    let (p, kernel) = (work.plan, work.kernel);
    let tallest = p.tiles.tallest();
    let tiles = part.windows.len().div_ceil(tallest);
    let mut panel = part.panels.start;
    while panel < part.panels.end {
        let mut block = Block::at(kernel, kernel.first_tap(panel));
        if block.is_none() {
            totals.fill(0.0);
        }
        let mut accumulate = false;
        while let Some(at) = block {
            block = at.next(kernel);
            let ahead = block.map(|next| (panel, next));
            let ahead = ahead.or_else(|| {
                let next = (panel + 1 < part.panels.end).then_some(panel + 1)?;
                Some((next, Block::at(kernel, kernel.first_tap(next))?))
            });
            let sums = (&mut *totals, accumulate);
            // SAFETY: columns and totals were cut to the plan's sizes.
            unsafe { add_block(s, work, tiles, part.windows.len(), columns, panel, at, ahead, sums) };
            accumulate = true;
        }
        let mut tile = 0;
        while tile < tiles {
            let rows = tallest.min(part.windows.len() - tile * tallest);
            let window = part.windows.start + tile * tallest;
            let sums = totals[tile * tallest * S::PANEL..][..rows * S::PANEL].as_ptr();
            // SAFETY: these windows and columns of the output belong to this task alone.
            unsafe { store(s, work, part.batch, window, rows, panel, sums) };
            tile += 1;
        }
        panel += 1;
    }
}

/// Adds the products of a block of terms to the totals of all tiles, and fetches the weights that come next.
#[inline(always)]
unsafe fn add_block<S: Tiles>(
    s: S,
    work: &Work<'_>,
    tiles: usize,
    windows: usize,
    columns: &[f32],
    panel: usize,
    block: Block,
    ahead: Option<(usize, Block)>,
    (totals, accumulate): (&mut [f32], bool),
) {
    let (p, kernel, tallest) = (work.plan, work.kernel, work.plan.tiles.tallest());
    let paired = kernel.panels.paired();
    let halve = |terms: usize| if paired { terms / 2 } else { terms };
    let span = |block: Block| (block.tap * kernel.terms + block.first, block.taps * block.terms);
    let (k0, all) = span(block);
    let weights = if paired {
        kernel.panels.pairs(panel, k0, all)
    } else {
        kernel.panels.chunk(work.isa, panel, k0, all, &mut [])
    };
    let next = ahead.map_or(&[][..], |(panel, block)| {
        let (k0, all) = span(block);
        kernel.panels.stretch(panel, k0, all)
    });
    let steps = halve(block.terms);
    let (tap, jump) = if p.apart {
        (block.tap * p.steps * p.lanes, 0)
    } else {
        (block.tap * p.dilation, p.dilation as isize - (p.steps * p.lanes) as isize)
    };
    let x = &columns[tap + halve(block.first) * p.lanes..];
    let mut tile = 0;
    while tile < tiles {
        let height = p.tiles.height_for(windows - tile * tallest);
        let c = &mut totals[tile * tallest * S::PANEL..][..height * S::PANEL];
        let ahead = Ahead::share(next, tile * tallest, height, tiles * tallest, steps * block.taps);
        let tile_of_it = Tile {
            x: x[tile * tallest..].as_ptr(),
            x_step: p.lanes,
            segments: block.taps,
            x_jump: jump,
            w: weights.as_ptr().cast(),
            w_stride: S::PANEL,
            k: steps,
            c: c.as_mut_ptr(),
            c_stride: S::PANEL,
            accumulate,
        };
        // SAFETY: passed on to the caller; only a level that has the instruction is given pairs.
        unsafe {
            if paired {
                s.pairs_ahead(height, &tile_of_it, ahead);
            } else {
                s.tile_ahead::<F32>(height, &tile_of_it, ahead);
            }
        }
        tile += 1;
    }
}

/// Finishes the sums of some windows of a panel.
#[inline(always)]
unsafe fn store<S: Tiles>(
    s: S,
    work: &Work<'_>,
    batch: usize,
    window: usize,
    rows: usize,
    panel: usize,
    sums: *const f32,
) {
    let (p, kernel, channels) = (work.plan, work.kernel, work.kernel.channels);
    let columns = panel * S::PANEL..(kernel.phases * channels).min((panel + 1) * S::PANEL);
    if kernel.phases == 1 {
        let at = (batch * p.frames + window) * channels + columns.start;
        let sums = (sums, S::PANEL);
        // SAFETY: passed on to the caller.
        unsafe {
            work.finish.store_tile(s, sums, rows, columns.start, columns.len(), &work.out, (at, channels));
        }
        return;
    }
    // The columns of each phase are a frame of their own.
    let mut column = columns.start;
    while column < columns.end {
        let (phase, channel) = (column / channels, column % channels);
        let len = (channels - channel).min(columns.end - column);
        let mut row = 0;
        while row < rows {
            let frame = ((window + row) * kernel.phases + phase).checked_sub(p.lead);
            if let Some(frame) = frame.filter(|&frame| frame < p.frames) {
                let at = (batch * p.frames + frame) * channels + channel;
                // SAFETY: passed on to the caller; the sums of a row are a panel wide.
                unsafe {
                    let sums = sums.add(row * S::PANEL + column - columns.start);
                    work.finish.store(s, sums, channel, len, &work.out, at);
                }
            }
            row += 1;
        }
        column += len;
    }
}
