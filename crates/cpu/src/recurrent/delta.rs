//! The gated delta rule (see [`mynah_graph::GatedDeltaNet`]), a head of a sequence to a task.
//!
//! A row of the matrix needs no other row, so four rows go through all tokens together, staying in the first-level cache:
//! four, because each token's update waits for the sum before it, and other rows fill that time. Two passes a token: the decay and
//! the sum with `k`, then the update and the sum with `q`. The route `delta-chunks` takes a prompt's tokens in `chunks` instead.

use super::chunks::{Chunks, run_chunks};
use super::sequences;
use crate::memory::{Output, ScratchNeed};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::math::exp;
use crate::simd::{Isa, Simd, dispatch};
use crate::{DELTA_CHUNKS, bf16_dot};
use mynah_device::DeviceError;
use mynah_graph::GatedDeltaNet;

/// Rows of a matrix that go through the tokens together.
const ROWS: usize = 4;
/// Tokens of a sequence from which chunks are faster.
const FEW: usize = 32;

struct Delta {
    op: GatedDeltaNet,
    q: Operand,
    k: Operand,
    v: Operand,
    gate: Operand,
    beta: Operand,
    sequences: Operand,
    out: Target,
    sizes: Sizes,
    isa: Isa,
    /// How prompts go in chunks, where they may.
    chunks: Option<Chunks>,
}

/// Extents of the operands.
#[derive(Clone, Copy)]
struct Sizes {
    time: usize,
    key_heads: usize,
    heads: usize,
    size: usize,
    /// Decays of a token and head: 1, or one for each key channel.
    gates: usize,
}

/// Compiles the op.
pub(crate) fn compile(bind: &Bind<'_>, op: GatedDeltaNet) -> Result<Box<dyn Kernel>, DeviceError> {
    let (q, v) = (bind.shape(0), bind.shape(2));
    let &[_, time, heads, size] = v.dims() else { return Err(bind.misplaced("v has no four dimensions")) };
    let gates = if bind.shape(3).numel() == v.numel() && bind.shape(3).rank() == 4 { size } else { 1 };
    let sizes = Sizes { time, key_heads: q.dims()[2], heads, size, gates };
    let operand = |i: usize| bind.operand(i);
    let chunked = bind.policy().allows(&DELTA_CHUNKS) && gates == 1 && time >= FEW;
    let bf16 = bf16_dot(bind.policy(), bind.level());
    Ok(Box::new(Delta {
        op,
        q: operand(0)?,
        k: operand(1)?,
        v: operand(2)?,
        gate: operand(3)?,
        beta: operand(4)?,
        sequences: operand(5)?,
        out: bind.target()?,
        sizes,
        isa: bind.isa(),
        chunks: chunked.then(|| Chunks::of(size, bf16)).flatten(),
    }))
}

impl Kernel for Delta {
    fn name(&self) -> String {
        let chunks = self.chunks.map_or_else(String::new, |chunks| format!("/chunks-{}", chunks.name()));
        format!("gated_delta_net{chunks}/{}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        let chunks = self.chunks.map_or(0, |chunks| chunks.scratch());
        let floats = (ROWS * self.sizes.size).max(chunks) + self.sizes.time * self.sizes.gates;
        ScratchNeed { shared: 0, private: 4 * floats }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let state = launch.state(self.op.state.0);
        let numbers = launch.read_i32(&self.sequences);
        let sequences = sequences(numbers, state.rows, self.sizes.time, self.op.snapshots)?;
        let (q, k, v) = (launch.read(&self.q), launch.read(&self.k), launch.read(&self.v));
        let (gate, beta, out) = (launch.read(&self.gate), launch.read(&self.beta), launch.output(&self.out));
        let s = self.sizes;
        let matrix = s.size * s.size;
        launch.pool().run(sequences.len() * s.heads, &|task| {
            let (b, head) = (task.index / s.heads, task.index % s.heads);
            let [row, length, from] = sequences[b];
            let private = launch.scratch().private(task.thread);
            // SAFETY: a thread's scratch memory is its own during a task.
            let (decays, rest) = unsafe { private.slice(0..private.len()) }.split_at_mut(s.time * s.gates);
            let first = row * state.row + head * matrix;
            let mut head = Head {
                sizes: s,
                done: 0,
                from: first + from * s.heads * matrix,
                to: first,
                snapshot: s.heads * matrix,
                snapshots: self.op.snapshots,
                length,
                token: b * s.time,
                head,
                inputs: [q, k, v, gate, beta],
            };
            // SAFETY: tasks have heads of their own, of rows that differ, in the state and in the output.
            unsafe {
                take_decays(self.isa, &head, decays);
                if let Some(chunks) = self.chunks.as_ref().filter(|_| length >= FEW) {
                    let tokens = chunks.tokens(length, self.op.snapshots);
                    run_chunks(self.isa, chunks, &head, tokens, state.data, out, decays, rest);
                    (head.done, head.from) = (tokens, head.to);
                }
                run_head(self.isa, &head, state.data, out, &mut rest[..ROWS * s.size], decays);
            }
        })?;
        Ok(())
    }
}

/// One head of one sequence.
pub(super) struct Head<'a> {
    sizes: Sizes,
    /// Tokens that are done already, the matrix being what they left.
    done: usize,
    /// Where the matrix is read, where snapshot 0 is written, and how far the next snapshot is.
    pub(super) from: usize,
    pub(super) to: usize,
    snapshot: usize,
    snapshots: usize,
    length: usize,
    /// The sequence's first token among all.
    token: usize,
    head: usize,
    /// q, k, v, gates, beta.
    pub(super) inputs: [&'a [f32]; 5],
}

impl Head<'_> {
    /// Where a token's gate is, when there is one for all channels, and its beta.
    #[inline(always)]
    pub(super) fn gate(&self, t: usize) -> usize {
        (self.token + t) * self.sizes.heads + self.head
    }

    /// Where a token's values and results begin.
    #[inline(always)]
    pub(super) fn value(&self, t: usize) -> usize {
        self.gate(t) * self.sizes.size
    }

    /// Where a token's query and key begin.
    #[inline(always)]
    pub(super) fn key(&self, t: usize) -> usize {
        let Sizes { key_heads, size, .. } = self.sizes;
        ((self.token + t) * key_heads + self.head % key_heads) * size
    }
}

dispatch! {
    /// Writes the decays of all tokens of a head.
    fn take_decays(head: &Head<'_>, decays: &mut [f32]) = decays_body;
    /// Runs all tokens of a head that aren't done.
    fn run_head(head: &Head<'_>, state: Output<'_, f32>, out: Output<'_, f32>, lines: &mut [f32], decays: &[f32])
        = head_body;
}

#[inline(always)]
unsafe fn decays_body<S: Simd>(s: S, h: &Head<'_>, decays: &mut [f32]) {
    let gates = h.sizes.gates;
    for t in 0..h.length {
        let at = h.gate(t) * gates;
        exponentials(s, &h.inputs[3][at..at + gates], &mut decays[t * gates..(t + 1) * gates]);
    }
}

#[inline(always)]
unsafe fn head_body<S: Simd>(
    s: S,
    h: &Head<'_>,
    state: Output<'_, f32>,
    out: Output<'_, f32>,
    lines: &mut [f32],
    decays: &[f32],
) {
    let Sizes { time, size, gates, .. } = h.sizes;
    // SAFETY: the caller owns this head's part of both outputs.
    unsafe {
        for t in h.length..time {
            let at = h.value(t);
            out.slice(at..at + size).fill(0.0);
        }
        let mut first = if h.done < h.length { 0 } else { size };
        while first < size {
            let rows = ROWS.min(size - first);
            let place = h.from + first * size;
            lines[..rows * size].copy_from_slice(state.slice(place..place + rows * size));
            for t in h.done..h.length {
                match rows {
                    ROWS => token::<S, ROWS>(s, h, t, first, lines, &decays[t * gates..], out),
                    _ => {
                        for r in 0..rows {
                            let line = &mut lines[r * size..(r + 1) * size];
                            token::<S, 1>(s, h, t, first + r, line, &decays[t * gates..], out);
                        }
                    }
                }
                let earlier = h.length - 1 - t;
                if earlier < h.snapshots {
                    let place = h.to + earlier * h.snapshot + first * size;
                    state.slice(place..place + rows * size).copy_from_slice(&lines[..rows * size]);
                }
            }
            first += rows;
        }
    }
}

/// `out = exp(x)`.
#[inline(always)]
fn exponentials<S: Simd>(s: S, x: &[f32], out: &mut [f32]) {
    let n = x.len().min(out.len());
    let mut at = 0;
    while at < n {
        let left = n - at;
        // SAFETY: `left` elements follow in both.
        unsafe {
            if left >= S::LANES {
                s.store(out.as_mut_ptr().add(at), exp(s, s.load(x.as_ptr().add(at))));
            } else {
                s.store_some(out.as_mut_ptr().add(at), exp(s, s.load_some(x.as_ptr().add(at), left)), left);
            }
        }
        at += S::LANES;
    }
}

/// One token for rows `first ..` of the matrix, which `lines` holds.
#[allow(clippy::needless_range_loop, reason = "a row is an offset into `lines` as well")]
#[inline(always)]
unsafe fn token<S: Simd, const R: usize>(
    s: S,
    h: &Head<'_>,
    t: usize,
    first: usize,
    lines: &mut [f32],
    decay: &[f32],
    out: Output<'_, f32>,
) {
    let Sizes { size, gates, .. } = h.sizes;
    let [q, k, v, _, beta] = h.inputs;
    let (key, value) = (h.key(t), h.value(t) + first);
    let (q, k) = (&q[key..key + size], &k[key..key + size]);
    let (v, beta) = (&v[value..value + R], beta[h.gate(t)]);
    let decay = &decay[..gates];
    assert!(lines.len() >= R * size);
    let m = lines.as_mut_ptr();
    let whole = size - size % S::LANES;
    let rest = size - whole;
    // SAFETY: k, q and each of R lines have `size` elements, and per-channel decays as many.
    unsafe {
        let decay_at = |at: usize| match gates {
            1 => s.splat(decay[0]),
            _ if at < whole => s.load(decay.as_ptr().add(at)),
            _ => s.load_some(decay.as_ptr().add(at), rest),
        };
        let mut read = [s.zero(); R];
        let mut at = 0;
        while at < whole {
            let (kv, a) = (s.load(k.as_ptr().add(at)), decay_at(at));
            for r in 0..R {
                let line = m.add(r * size + at);
                let decayed = s.mul(s.load(line), a);
                s.store(line, decayed);
                read[r] = s.fma(decayed, kv, read[r]);
            }
            at += S::LANES;
        }
        if rest > 0 {
            let (kv, a) = (s.load_some(k.as_ptr().add(at), rest), decay_at(at));
            for r in 0..R {
                let line = m.add(r * size + at);
                let decayed = s.mul(s.load_some(line, rest), a);
                s.store_some(line, decayed, rest);
                read[r] = s.fma(decayed, kv, read[r]);
            }
        }
        let mut delta = [s.zero(); R];
        for r in 0..R {
            delta[r] = s.splat((v[r] - s.sum(read[r])) * beta);
        }
        let mut sum = [s.zero(); R];
        at = 0;
        while at < whole {
            let (kv, qv) = (s.load(k.as_ptr().add(at)), s.load(q.as_ptr().add(at)));
            for r in 0..R {
                let line = m.add(r * size + at);
                let new = s.fma(kv, delta[r], s.load(line));
                s.store(line, new);
                sum[r] = s.fma(new, qv, sum[r]);
            }
            at += S::LANES;
        }
        if rest > 0 {
            let (kv, qv) = (s.load_some(k.as_ptr().add(at), rest), s.load_some(q.as_ptr().add(at), rest));
            for r in 0..R {
                let line = m.add(r * size + at);
                let new = s.fma(kv, delta[r], s.load_some(line, rest));
                s.store_some(line, new, rest);
                sum[r] = s.fma(new, qv, sum[r]);
            }
        }
        let scale = 1.0 / (size as f32).sqrt();
        let target = out.slice(value..value + R);
        for r in 0..R {
            target[r] = scale * s.sum(sum[r]);
        }
    }
}
