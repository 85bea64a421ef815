//! Attention over whole sequences by the route `online-softmax`: keys and values brought into the order that
//! [`columns`](super::columns) reads them in, once for all queries of a head, and the tasks.

use super::columns::{self, KEYS_TILES, Work};
use crate::matmul::pack_rows;
use crate::memory::{Output, ScratchNeed, prefetch};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::tile::TileShape;
use crate::simd::{Bf16, Isa};
use mynah_device::DeviceError;

/// Shapes of one attention and of its scratch memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    /// Queries of a sequence.
    pub(super) queries: usize,
    /// Keys of a sequence.
    pub(super) time: usize,
    pub(super) heads: usize,
    /// Width of a head.
    pub(super) depth: usize,
    pub(super) scale: f32,
    pub(super) tiles: TileShape,
    /// Whether operands of products are pairs of bfloat16: then two terms take the place of one float.
    pub(super) bf16: Option<Bf16>,
    /// Keys of a block, whole tiles.
    pub(super) block: usize,
}

impl Sizes {
    /// Whether all sizes can be counted in.
    fn fit(&self) -> bool {
        let rows = self.time.checked_add(self.queries).and_then(|n| n.checked_add(4 * columns::MOST));
        let width = self.depth.checked_add(2 * columns::MOST);
        let all = rows.zip(width).and_then(|(rows, width)| rows.checked_mul(width)?.checked_mul(self.heads));
        all.and_then(|all| all.checked_mul(self.batch.max(1))?.checked_mul(16)).is_some()
    }

    /// Rows of the tallest tile: keys when scores are formed, elements of a head when values are mixed.
    #[inline]
    pub(super) fn height(&self) -> usize {
        self.tiles.tallest()
    }

    /// Elements that so many terms take.
    #[inline]
    pub(super) fn steps(&self, terms: usize) -> usize {
        if self.bf16.is_some() { terms.div_ceil(2) } else { terms }
    }

    /// Width of a head with what the last tile has more rows.
    pub(super) fn wide(&self) -> usize {
        let rest = self.depth % self.height();
        self.depth - rest + if rest > 0 { self.tiles.height_for(rest) } else { 0 }
    }

    /// Elements of a tile of keys, `[depth][height]`.
    #[inline]
    pub(super) fn key_tile(&self) -> usize {
        self.steps(self.depth) * self.height()
    }

    /// Where a tile of keys begins; `line` counts heads of all sequences.
    #[inline]
    pub(super) fn keys_at(&self, line: usize, tile: usize) -> usize {
        (line * self.time.div_ceil(self.height()) + tile) * self.key_tile()
    }

    /// Where the values of a step of keys, an even key where they are paired, begin: `[time][wide]`.
    pub(super) fn values_at(&self, line: usize, key: usize) -> usize {
        let keys = self.keys_at(self.batch * self.heads, 0);
        keys + (line * self.steps(self.time) + self.steps(key)) * self.wide()
    }

    /// Floats of shared scratch: keys, then values.
    fn shared(&self) -> usize {
        self.values_at(self.batch * self.heads, 0)
    }

    /// Packs a block of keys and their values; those past the length of a sequence are never read.
    ///
    /// # Safety
    /// Nobody else may touch that block of `shared`.
    unsafe fn pack(&self, index: usize, k: &[f32], v: &[f32], lengths: &[i32], shared: &Output<'_, f32>) {
        let blocks = self.time.div_ceil(self.block);
        let (line, first) = (index / blocks, index % blocks * self.block);
        let (batch, head) = (line / self.heads, line % self.heads);
        let row = |data: &'_ [f32], key: usize| {
            let at = ((batch * self.time + key) * self.heads + head) * self.depth;
            at..(at + self.depth).min(data.len())
        };
        let end = (lengths[batch] as usize).min(first + self.block);
        // SAFETY: passed on to the caller.
        let out = |at: usize, len: usize| unsafe { shared.slice(at..at + len) };
        // A head's rows lie a whole frame apart, which the machine doesn't foresee.
        let soon =
            |data: &[f32], keys: std::ops::Range<usize>| keys.for_each(|key| prefetch(&data[row(data, key)]));
        soon(k, first..end.min(first + self.height()));
        for from in (first..end).step_by(self.height()) {
            let next = from + self.height();
            soon(k, next.min(end)..end.min(next + self.height()));
            soon(v, from..next.min(end));
            let out = out(self.keys_at(line, from / self.height()), self.key_tile());
            let rows = (from..end.min(from + self.height())).map(|key| &k[row(k, key)]);
            match self.bf16 {
                Some(bf16) => bf16.pack_rows(rows, self.depth, self.height(), out),
                None => pack_rows(rows, self.depth, self.height(), out),
            }
        }
        for key in (first..end).step_by(if self.bf16.is_some() { 2 } else { 1 }) {
            let (values, rest) = out(self.values_at(line, key), self.wide()).split_at_mut(self.depth);
            match self.bf16 {
                Some(bf16) => {
                    let odd = (key + 1 < end).then(|| &v[row(v, key + 1)]);
                    bf16.pair_rows(&v[row(v, key)], odd, values);
                }
                None => values.copy_from_slice(&v[row(v, key)]),
            }
            rest.fill(0.0);
        }
    }
}

struct FullAttention {
    q: Operand,
    k: Operand,
    v: Operand,
    lengths: Operand,
    out: Target,
    sizes: Sizes,
    isa: Isa,
}

/// Compiles an attention of `[B, Tq, heads, depth]` by `[B, T, heads, depth]`.
pub(super) fn compile(
    bind: &Bind<'_>,
    scale: f32,
    bf16: Option<Bf16>,
) -> Result<Box<dyn Kernel>, DeviceError> {
    let (&[batch, queries, heads, depth], &[_, time, ..]) = (bind.shape(0).dims(), bind.shape(1).dims())
    else {
        return Err(bind.misplaced("q has no four dimensions"));
    };
    let tiles = TileShape::of(bind.isa());
    let block = KEYS_TILES * tiles.tallest();
    let sizes = Sizes { batch, queries, time, heads, depth, scale, tiles, bf16, block };
    if !sizes.fit() {
        return Err(bind.misplaced("the attention's scratch memory has no size"));
    }
    Ok(Box::new(FullAttention {
        q: bind.operand(0)?,
        k: bind.operand(1)?,
        v: bind.operand(2)?,
        lengths: bind.operand(3)?,
        out: bind.target()?,
        sizes,
        isa: bind.isa(),
    }))
}

impl Kernel for FullAttention {
    fn name(&self) -> String {
        let route = if self.sizes.bf16.is_some() { "online-bf16" } else { "online-f32" };
        format!("attention-full/{}/{route}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        ScratchNeed { shared: 4 * self.sizes.shared(), private: 4 * columns::private(&self.sizes) }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (sizes, lengths) = (&self.sizes, launch.read_i32(&self.lengths));
        for &length in lengths {
            Fault::check("length", i64::from(length), sizes.time + 1)?;
        }
        if sizes.batch == 0 || sizes.queries == 0 || sizes.depth == 0 || sizes.heads == 0 {
            return Ok(());
        }
        let shared = launch.scratch().shared(0, sizes.shared());
        let (k, v) = (launch.read(&self.k), launch.read(&self.v));
        let lines = sizes.batch * sizes.heads;
        launch.pool().run(lines * sizes.time.div_ceil(sizes.block), &|task| {
            // SAFETY: the blocks of different tasks are disjoint.
            unsafe { sizes.pack(task.index, k, v, lengths, &shared) };
        })?;
        let work = Work {
            sizes,
            q: launch.read(&self.q),
            // SAFETY: keys and values are only read from here on.
            packed: unsafe { shared.slice(0..shared.len()) },
            out: launch.output(&self.out),
        };
        let panels = sizes.queries.div_ceil(sizes.tiles.panel);
        launch.pool().run(lines * panels, &|task| {
            // Panels of one head follow each other, so that its keys and values stay in the cache.
            let (line, first) = (task.index / panels, task.index % panels * sizes.tiles.panel);
            let length = lengths[line / sizes.heads] as usize;
            let private = launch.scratch().private(task.thread);
            // SAFETY: the private part belongs to this thread, panels are disjoint, the isa was checked by the device.
            unsafe {
                let scratch = private.slice(0..private.len());
                columns::attend(self.isa, &work, line, first, length, scratch);
            }
        })?;
        Ok(())
    }
}
