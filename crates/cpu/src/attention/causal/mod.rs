//! Causal attention of grouped queries over a paged cache.
//!
//! New keys and values go to their pages first. A task then takes some rows of one head of keys, a row being a query head at a
//! token; the rows share each key and value that is read. Where heads have few rows, as in decoding, a task takes several heads, which
//! lie side by side in each page: it then reads a page front to back. The route `online-softmax` goes through the keys in blocks with a running
//! maximum (`rows`); without it all keys are one block, whose scores are finished before the first weight is taken. Blocks begin at
//! fixed tokens of the sequence and a row's sums don't know the other rows, so a row has the same bits however a prompt is cut.

mod element;
mod pages;
mod rows;

use crate::ONLINE_SOFTMAX;
use crate::memory::ScratchNeed;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::Isa;
use element::Element;
use mynah_device::DeviceError;
use mynah_graph::{CausalAttention, StateElem};
use pages::{Cache, Sequence};
use rows::Rows;
use std::ops::Range;

/// Keys of a block on the online route: 64 KiB of keys and as many of values at a width of 256, which the second-level cache keeps
/// for all rows of a task.
const BLOCK: usize = 64;
/// Rows of a task on the online route.
const ROWS: usize = 16;
/// Rows of a task without it, where each needs room for a score of every key.
const PLAIN_ROWS: usize = 4;

struct Causal {
    op: CausalAttention,
    q: Operand,
    k: Operand,
    v: Operand,
    sequences: Operand,
    pages: Operand,
    out: Target,
    sizes: Sizes,
    online: bool,
    /// How the cache is stored.
    elem: StateElem,
    isa: Isa,
}

/// Extents of the operands.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    time: usize,
    heads: usize,
    key_heads: usize,
    width: usize,
    /// Pages listed for each sequence.
    listed: usize,
    /// Tokens of a page.
    places: usize,
}

/// Compiles the attention.
pub(crate) fn compile(bind: &Bind<'_>, op: CausalAttention) -> Result<Box<dyn Kernel>, DeviceError> {
    let (q, k, pages) = (bind.shape(0), bind.shape(1), bind.shape(4));
    let (&[batch, time, heads, width], Some(cache)) =
        (q.dims(), bind.graph().states().get(op.keys.0 as usize))
    else {
        return Err(bind.misplaced("q has no four dimensions, or there is no cache"));
    };
    let (key_heads, places) = (k.dims()[2], cache.row.dims()[1]);
    let sizes = Sizes { batch, time, heads, key_heads, width, listed: pages.last(), places };
    let online = bind.policy().allows(&ONLINE_SOFTMAX);
    let operand = |i: usize| bind.operand(i);
    let kernel = Causal {
        op,
        q: operand(0)?,
        k: operand(1)?,
        v: operand(2)?,
        sequences: operand(3)?,
        pages: operand(4)?,
        out: bind.target()?,
        sizes,
        online,
        elem: cache.elem,
        isa: bind.isa(),
    };
    let capacity = sizes.listed.checked_mul(places);
    let scratch = capacity.and_then(|n| n.checked_add(width)?.checked_mul(8 * ROWS));
    scratch.ok_or_else(|| bind.misplaced("the attention's scratch memory has no size"))?;
    Ok(Box::new(kernel))
}

impl Causal {
    /// Rows of a task, and keys of a block.
    fn tile(&self) -> [usize; 2] {
        let capacity = self.sizes.listed * self.sizes.places;
        if self.online { [ROWS, BLOCK.min(capacity)] } else { [PLAIN_ROWS, capacity] }
    }

    /// Heads of keys of a task: as many as have room for their rows, but two tasks for each thread.
    fn heads_of_task(&self, threads: usize) -> usize {
        let s = &self.sizes;
        let rows = s.time * s.heads / s.key_heads;
        let fair = if threads > 1 { s.batch * s.key_heads / (2 * threads) } else { s.key_heads };
        (self.tile()[0] / rows.max(1)).min(fair).clamp(1, s.key_heads)
    }
}

impl Kernel for Causal {
    fn name(&self) -> String {
        let route = if self.online { "online" } else { "plain" };
        let stored = if self.elem == StateElem::F16 { "/f16" } else { "" };
        format!("causal_attention/{}/{route}{stored}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        let [rows, block] = self.tile();
        // Sums of values, then scores.
        ScratchNeed { shared: 0, private: 4 * rows * (self.sizes.width + block) }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (keys, values) = (launch.state(self.op.keys.0), launch.state(self.op.values.0));
        let numbers = launch.read_i32(&self.sequences);
        let limit = keys.rows.min(values.rows);
        let sequences = pages::read(numbers, launch.read_i32(&self.pages), &self.sizes, limit)?;
        match keys.elem {
            StateElem::F32 => {
                let cache = Cache { sizes: self.sizes, keys: keys.data, values: values.data };
                self.attend(launch, &cache, &sequences, &|isa, rows, range, scratch| {
                    // SAFETY: passed on to the caller.
                    unsafe { rows::attend_floats(isa, rows, range, scratch) }
                })
            }
            StateElem::F16 => {
                let cache = Cache { sizes: self.sizes, keys: keys.halves, values: values.halves };
                self.attend(launch, &cache, &sequences, &|isa, rows, range, scratch| {
                    // SAFETY: passed on to the caller.
                    unsafe { rows::attend_halves(isa, rows, range, scratch) }
                })
            }
        }
    }
}

/// Some rows against their keys: what [`rows`] has for an element, called with the machine's instruction set and the thread's memory.
type Attend<'f, E> = &'f (dyn Fn(Isa, &Rows<'_, E>, Range<usize>, &mut [f32]) + Sync);

impl Causal {
    fn attend<E: Element>(
        &self,
        launch: &Launch<'_>,
        cache: &Cache<'_, E>,
        sequences: &[Sequence<'_>],
        attend: Attend<'_, E>,
    ) -> Result<(), Fault> {
        let s = self.sizes;
        let (q, k, v) = (launch.read(&self.q), launch.read(&self.k), launch.read(&self.v));
        let out = launch.output(&self.out);
        let [tile, block] = self.tile();
        let group = s.heads / s.key_heads;
        let tiles = (s.time * group).div_ceil(tile);
        let abreast = self.heads_of_task(launch.pool().threads());
        // SAFETY: tasks have heads of their own, of pages that are in use once.
        let append = |b: usize, head: usize| unsafe { cache.append(&sequences[b], b, head, k, v) };
        // With one task to a head of keys that task writes them itself: one wait for all threads less.
        if tiles > 1 {
            launch.pool().run(s.batch * s.key_heads, &|task| {
                append(task.index / s.key_heads, task.index % s.key_heads);
            })?;
        }
        let shares = s.key_heads.div_ceil(abreast);
        launch.pool().run(s.batch * shares * tiles, &|task| {
            let (share, first) = (task.index / tiles, task.index % tiles * tile);
            let (b, key_head) = (share / shares, share % shares * abreast);
            let key_heads = key_head..s.key_heads.min(key_head + abreast);
            let sequence: &Sequence<'_> = &sequences[b];
            let end = (first + tile).min(s.time * group);
            let own = (sequence.length * group).clamp(first, end);
            for key_head in key_heads.clone() {
                if tiles == 1 {
                    append(b, key_head);
                }
                for row in own..end {
                    let at = s.query(b, key_head, row);
                    // SAFETY: these rows belong to this task.
                    unsafe { out.slice(at..at + s.width) }.fill(0.0);
                }
            }
            let private = launch.scratch().private(task.thread);
            let rows = Rows { cache, sequence, batch: b, key_heads, block, scale: self.op.scale, q, out };
            // SAFETY: the private part belongs to this thread, as do the rows to this task; nothing writes the keys it reads now.
            attend(self.isa, &rows, first..own, unsafe { private.slice(0..tile * (s.width + block)) });
        })?;
        Ok(())
    }
}

impl Sizes {
    /// Where a row of a head of keys begins in the queries and in the output.
    fn query(&self, batch: usize, key_head: usize, row: usize) -> usize {
        let group = self.heads / self.key_heads;
        let (token, head) = (batch * self.time + row / group, key_head * group + row % group);
        (token * self.heads + head) * self.width
    }
}
