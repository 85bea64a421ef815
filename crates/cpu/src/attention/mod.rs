//! Attention over whole sequences, with relative positions or without, fused: neither the scores of all pairs nor their
//! shifted position terms are ever stored.
//!
//! Keys, values and positions are first brought into panels. A task then takes a block of queries of one head:
//! content scores against the keys they see, position scores against the stretch of the table that those pairs need
//! (block rows + keys − 1 consecutive offsets), the shift as an offset when both are added, softmax over the finished
//! row, and the product with the values (`block`). Memory is one block's rows for each thread. The route
//! `online-softmax` does the same a block of keys at a time, with memory for that block only: `online` with positions,
//! `full` and `columns` without. Which queries share a block, how long the padding is and what else is in the batch
//! can't be seen in a row's bits.

mod block;
mod causal;
mod columns;
mod exponentials;
mod full;
mod layout;
mod online;
mod rope;

pub(crate) use causal::compile as compile_causal;
pub(crate) use rope::compile as compile_rope;

use crate::memory::ScratchNeed;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::tile::TileShape;
use crate::simd::{Bf16, Isa};
use crate::{BF16_DOT, ONLINE_SOFTMAX};
use block::Queries;
use layout::{Extents, Layout};
use mynah_device::DeviceError;
use mynah_graph::{Attention as Full, RelPosAttention};

/// Queries of a task, rounded up to whole tiles: enough to use a key that was fetched, few enough for their scores
/// to stay in the cache.
const BLOCK: usize = 24;

struct Attention {
    q: Operand,
    k: Operand,
    v: Operand,
    /// Table, bias of content, bias of positions.
    positions: Option<[Operand; 3]>,
    lengths: Operand,
    out: Target,
    layout: Layout,
    isa: Isa,
    online: bool,
}

/// Compiles an attention with relative positions.
pub(crate) fn compile(bind: &Bind<'_>, op: &RelPosAttention) -> Result<Box<dyn Kernel>, DeviceError> {
    let (&[batch, time, width], p) = (bind.shape(0).dims(), bind.shape(3)) else {
        return Err(bind.misplaced("q has no three dimensions"));
    };
    let extents = Extents {
        batch,
        queries: time,
        time,
        heads: op.heads,
        depth: width / op.heads.max(1),
        scale: op.scale,
        window: op.window,
        positions: Some((p.dims()[0], op.first_offset)),
    };
    let positions = [bind.operand(3)?, bind.operand(4)?, bind.operand(5)?];
    build(bind, &extents, Some(positions), bind.operand(6)?)
}

/// Compiles an attention without positions.
pub(crate) fn compile_full(bind: &Bind<'_>, op: &Full) -> Result<Box<dyn Kernel>, DeviceError> {
    let (&[batch, queries, heads, depth], &[_, time, ..]) = (bind.shape(0).dims(), bind.shape(1).dims())
    else {
        return Err(bind.misplaced("q has no four dimensions"));
    };
    if bind.policy().allows(&ONLINE_SOFTMAX) {
        return full::compile(
            bind,
            op.scale,
            Bf16::of(bind.level()).filter(|_| bind.policy().allows(&BF16_DOT)),
        );
    }
    let scale = op.scale;
    let extents = Extents { batch, queries, time, heads, depth, scale, window: None, positions: None };
    build(bind, &extents, None, bind.operand(3)?)
}

fn build(
    bind: &Bind<'_>,
    extents: &Extents,
    positions: Option<[Operand; 3]>,
    lengths: Operand,
) -> Result<Box<dyn Kernel>, DeviceError> {
    let shape = TileShape::of(bind.isa());
    let online = bind.policy().allows(&ONLINE_SOFTMAX);
    let bf16 = Bf16::of(bind.level()).filter(|_| online && bind.policy().allows(&BF16_DOT));
    let block = if online { online::TILES * shape.tallest() } else { BLOCK };
    let layout = Layout::new(extents, shape, bf16, block)
        .ok_or_else(|| bind.misplaced("the attention's scratch memory has no size"))?;
    Ok(Box::new(Attention {
        q: bind.operand(0)?,
        k: bind.operand(1)?,
        v: bind.operand(2)?,
        positions,
        lengths,
        out: bind.target()?,
        layout,
        isa: bind.isa(),
        online,
    }))
}

impl Kernel for Attention {
    fn name(&self) -> String {
        let kind = if self.layout.window.is_some() { "window" } else { "full" };
        let route = match (self.online, self.layout.bf16) {
            (true, Some(_)) => "online-bf16",
            (true, None) => "online-f32",
            (false, _) => "f32",
        };
        let positions = if self.layout.positional { "rel-pos-" } else { "" };
        format!("{positions}attention-{kind}/{}/{route}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        let l = &self.layout;
        let private = if self.online { online::private(l) } else { l.private() };
        ScratchNeed { shared: 4 * l.shared(), private: 4 * private }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (l, lengths) = (&self.layout, launch.read_i32(&self.lengths));
        for &length in lengths {
            Fault::check("length", i64::from(length), l.time + 1)?;
        }
        if l.batch == 0 || l.queries == 0 || l.depth == 0 || l.heads == 0 {
            return Ok(());
        }
        let shared = launch.scratch().shared(0, l.shared());
        let (k, v) = (launch.read(&self.k), launch.read(&self.v));
        let [p, content_bias, position_bias] = match &self.positions {
            Some(operands) => operands.each_ref().map(|operand| Some(launch.read(operand))),
            None => [None; 3],
        };
        launch.pool().run(l.panels(), &|task| {
            // SAFETY: the panels of different tasks are disjoint.
            unsafe { l.pack(task.index, k, v, p.unwrap_or_default(), lengths, &shared) };
        })?;
        // SAFETY: the panels are only read from here on.
        let panels = unsafe { shared.slice(0..shared.len()) };
        let queries = Queries {
            layout: l,
            q: launch.read(&self.q),
            content_bias,
            position_bias,
            panels,
            out: launch.output(&self.out),
        };
        let blocks = l.queries.div_ceil(l.block);
        launch.pool().run(l.batch * l.heads * blocks, &|task| {
            // Blocks of one head follow each other, so that its keys and values stay in the cache.
            let (line, first) = (task.index / blocks, task.index % blocks * l.block);
            let (batch, head) = (line / l.heads, line % l.heads);
            let private = launch.scratch().private(task.thread);
            // SAFETY: the private part belongs to this thread, blocks are disjoint, the isa was checked by the
            // device.
            unsafe {
                let scratch = private.slice(0..private.len());
                let length = lengths[batch] as usize;
                if self.online {
                    online::attend(self.isa, &queries, batch, head, first, length, scratch);
                } else {
                    block::attend(self.isa, &queries, batch, head, first, length, scratch);
                }
            }
        })?;
        Ok(())
    }
}
