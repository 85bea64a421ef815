//! The route `delta-chunks`: the gated delta rule with one decay a head over chunks of tokens, as matrix products.
//!
//! Within a chunk token i's update depends on those before it only through the products of their keys. With
//! `e[i, j]` the decay from behind token j to behind token i, and `f[i]` that from the chunk's beginning,
//!
//! ```text
//! D[i] = beta[i] · (v[i] − f[i] · M k[i] − Σ_{j<i} e[i, j] (k[i]·k[j]) D[j])
//! out[i] = scale · (f[i] · M q[i] + Σ_{j≤i} e[i, j] (q[i]·k[j]) D[j])
//! M ← f[last] · M + Σ_j D[j] (e[last, j] k[j])ᵀ
//! ```
//!
//! (Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence Length" and "Gated Delta Networks").
//! The triangular system is solved row by row, for all rows of the matrix at once. Decays within a chunk are running
//! products, at most 1: differences of summed logarithms would lose digits where decays are strong.
//!
//! In floats that takes as many multiplications as going token by token, and a sixth more for the chunk's own; what it saves are
//! loads, stores and sums over lanes. With the route `bf16-dot` products take pairs of bfloat16 and half the time, with sums, the
//! triangular system and the matrix itself in floats.

mod product;

use super::delta::Head;
use crate::memory::Output;
use crate::simd::tile::Tiles;
use crate::simd::{Bf16, dispatch};
use product::{Form, Product};

/// Tokens of a chunk: the widest panel.
pub(super) const CHUNK: usize = 32;
/// Tokens that are worth a chunk: one by one fewer are done sooner.
const WORTH: usize = CHUNK / 2;
/// Heads must be whole panels of every instruction set.
const PANEL: usize = 32;
/// Heads from which products of floats are faster than going token by token; those of pairs always are.
const WIDE: usize = 64;

/// How a kernel's heads go over chunks.
#[derive(Clone, Copy)]
pub(super) struct Chunks {
    form: Form,
    size: usize,
}

impl Chunks {
    /// For heads of `size`, unless they are no whole panels or too narrow to gain by it.
    pub(super) fn of(size: usize, bf16: Option<Bf16>) -> Option<Self> {
        let least = if bf16.is_some() { PANEL } else { WIDE };
        (size >= least && size.is_multiple_of(PANEL)).then_some(Self { form: Form(bf16), size })
    }

    /// What products are made of.
    pub(super) fn name(&self) -> &'static str {
        if self.form.0.is_some() { "bf16" } else { "f32" }
    }

    /// How many of a sequence's tokens go in chunks, from the first on. Those whose state is wanted afterwards don't, nor a rest that
    /// isn't worth it. It depends on nothing but the sequence, so that it gives the same bits beside any other.
    pub(super) fn tokens(&self, length: usize, snapshots: usize) -> usize {
        let kept = if snapshots > 1 { snapshots } else { 0 };
        let most = length.saturating_sub(kept);
        if most % CHUNK >= WORTH { most } else { most - most % CHUNK }
    }

    /// Floats of each piece of scratch memory: packed keys and queries, the packed matrix, products of keys and queries with keys,
    /// what the matrix gives for them, updates and keys with their pairs, packed weights of updates, zeros.
    fn pieces(&self) -> [usize; 9] {
        let (size, steps) = (self.size, self.form.steps(self.size));
        let pairs = if self.form.0.is_some() { CHUNK / 2 * size } else { 0 };
        let packed = self.form.steps(CHUNK) * CHUNK;
        let rows = CHUNK * size;
        [steps * 2 * CHUNK, steps * size, 2 * CHUNK * CHUNK, 2 * rows, rows, pairs, rows, pairs, packed]
    }

    /// Floats of scratch memory.
    pub(super) fn scratch(&self) -> usize {
        self.pieces().iter().sum::<usize>() + self.size
    }
}

/// A chunk's scratch memory.
struct Parts<'a> {
    /// Keys, then queries, `[step][2 · CHUNK]`; the keys are the other factor of their products as well.
    x: &'a mut [f32],
    /// The matrix, `[step][value]`.
    matrix: &'a mut [f32],
    /// Products of keys with keys, then of queries with keys, `[2 · CHUNK][CHUNK]`.
    gram: &'a mut [f32],
    /// What the matrix gives for keys, then for queries, `[2 · CHUNK][value]`.
    reads: &'a mut [f32],
    /// `[CHUNK][value]`.
    deltas: &'a mut [f32],
    delta_pairs: &'a mut [f32],
    /// `[CHUNK][key]`, decayed to the chunk's end.
    keys: &'a mut [f32],
    key_pairs: &'a mut [f32],
    /// Weights of updates in outputs, `[step][CHUNK]`.
    weights: &'a mut [f32],
    /// The row of a token that isn't there.
    zeros: &'a [f32],
}

impl<'a> Parts<'a> {
    fn cut(chunks: &Chunks, scratch: &'a mut [f32]) -> Self {
        let mut rest = scratch;
        let mut cut = |count: usize| -> &'a mut [f32] {
            let (piece, behind) = std::mem::take(&mut rest).split_at_mut(count);
            rest = behind;
            piece
        };
        let [x, matrix, gram, reads, deltas, delta_pairs, keys, key_pairs, weights] =
            chunks.pieces().map(&mut cut);
        let zeros = cut(chunks.size);
        zeros.fill(0.0);
        Self { x, matrix, gram, reads, deltas, delta_pairs, keys, key_pairs, weights, zeros }
    }
}

dispatch! {
    /// Runs a head's first `tokens` tokens and leaves the matrix after them as snapshot 0. `decays` holds a decay for each token.
    pub(super) fn run_chunks(
        chunks: &Chunks,
        head: &Head<'_>,
        tokens: usize,
        state: Output<'_, f32>,
        out: Output<'_, f32>,
        decays: &[f32],
        scratch: &mut [f32],
    ) = body;
}

#[inline(always)]
unsafe fn body<S: Tiles>(
    s: S,
    chunks: &Chunks,
    h: &Head<'_>,
    tokens: usize,
    state: Output<'_, f32>,
    out: Output<'_, f32>,
    decays: &[f32],
    scratch: &mut [f32],
) {
    let matrix = chunks.size * chunks.size;
    let mut parts = Parts::cut(chunks, scratch);
    // SAFETY: the caller owns this head's part of the state, of which the two ranges are the same or apart.
    let m = unsafe {
        if h.from != h.to {
            let from = state.slice(h.from..h.from + matrix);
            state.slice(h.to..h.to + matrix).copy_from_slice(from);
        }
        state.slice(h.to..h.to + matrix)
    };
    let mut first = 0;
    while first < tokens {
        let count = CHUNK.min(tokens - first);
        // SAFETY: the caller owns this head's part of the output.
        unsafe { chunk(s, chunks, h, first, &decays[first..first + count], m, out, &mut parts) };
        first += count;
    }
}

/// `decays.len()` tokens from `first` on.
#[inline(always)]
unsafe fn chunk<S: Tiles>(
    s: S,
    chunks: &Chunks,
    h: &Head<'_>,
    first: usize,
    decays: &[f32],
    m: &mut [f32],
    out: Output<'_, f32>,
    parts: &mut Parts<'_>,
) {
    let (size, form, count) = (chunks.size, chunks.form, decays.len());
    let Parts { x, matrix, gram, reads, deltas, delta_pairs, keys, key_pairs, weights, zeros } = parts;
    let [q, k, v, _, beta] = h.inputs;
    let row_of = |t: usize| h.value(first + t)..h.value(first + t) + size;
    let key_of = |t: usize| h.key(first + t)..h.key(first + t) + size;
    let scale = 1.0 / (size as f32).sqrt();

    let mut t = 0;
    while t < CHUNK {
        let mut rows: [[&[f32]; 4]; 2] = [[zeros; 4]; 2];
        let mut r = 0;
        while r < 4 && t + r < count {
            (rows[0][r], rows[1][r]) = (&k[key_of(t + r)], &q[key_of(t + r)]);
            r += 1;
        }
        form.pack_columns(rows[0], t, 2 * CHUNK, x);
        form.pack_columns(rows[1], CHUNK + t, 2 * CHUNK, x);
        t += 4;
    }
    let mut r = 0;
    while r < size {
        let row = |n: usize| &m[(r + n) * size..(r + n + 1) * size];
        form.pack_columns([row(0), row(1), row(2), row(3)], r, size, matrix);
        r += 4;
    }
    let product = |w: &[f32], w_stride: usize, c: &mut [f32], columns: usize| {
        let rows = 2 * CHUNK;
        Product { x, w, w_stride, c, rows, columns, terms: size, accumulate: false, lower: false }
            .run(s, form);
    };
    product(x, 2 * CHUNK, gram, CHUNK);
    product(matrix, size, reads, size);

    // Decays from behind each token to behind the present one, and from the chunk's beginning.
    let mut since = [0.0f32; CHUNK];
    let mut whole = 1.0;
    let mut t = 0;
    while t < count {
        whole *= decays[t];
        let b = beta[h.gate(first + t)];
        weigh(s, decays[t], b, scale, t, &mut since, gram);
        let value = &v[row_of(t)];
        let (read, rest) = reads[t * size..].split_at_mut(CHUNK * size);
        begin(s, value, b, whole, &read[..size], &mut deltas[t * size..(t + 1) * size]);
        scale_row(s, scale * whole, &mut rest[..size]);
        t += 1;
    }
    deltas[count * size..].fill(0.0);
    gram[(CHUNK + count) * CHUNK..].fill(0.0);
    solve(s, count, size, gram, deltas);
    let updates = form.rows(deltas, size, delta_pairs);

    let mut t = 0;
    while t < CHUNK {
        let row = |n: usize| &gram[(CHUNK + t + n) * CHUNK..(CHUNK + t + n + 1) * CHUNK];
        form.pack_columns([row(0), row(1), row(2), row(3)], t, CHUNK, weights);
        t += 4;
    }
    let outputs = &mut reads[CHUNK * size..];
    Product {
        x: weights,
        w: updates,
        w_stride: size,
        c: outputs,
        rows: CHUNK,
        columns: size,
        terms: CHUNK,
        accumulate: true,
        lower: true,
    }
    .run(s, form);
    let mut t = 0;
    while t < count {
        // SAFETY: the caller owns this head's part of the output.
        unsafe { out.slice(row_of(t)) }.copy_from_slice(&outputs[t * size..(t + 1) * size]);
        let own = &mut keys[t * size..(t + 1) * size];
        own.copy_from_slice(&k[key_of(t)]);
        scale_row(s, since[t], own);
        t += 1;
    }
    keys[count * size..].fill(0.0);
    scale_row(s, whole, m);
    Product {
        x: updates,
        w: form.rows(keys, size, key_pairs),
        w_stride: size,
        c: m,
        rows: size,
        columns: size,
        terms: CHUNK,
        accumulate: true,
        lower: false,
    }
    .run(s, form);
}

/// Goes on to token `t` and makes its products with keys weights of updates: in its own update, in its output.
#[inline(always)]
fn weigh<S: Tiles>(
    s: S,
    decay: f32,
    beta: f32,
    scale: f32,
    t: usize,
    since: &mut [f32; CHUNK],
    gram: &mut [f32],
) {
    scale_row(s, decay, since);
    since[t] = 1.0;
    let (own, other) = gram[t * CHUNK..].split_at_mut(CHUNK * CHUNK);
    let (own, other) = (&mut own[..CHUNK], &mut other[..CHUNK]);
    let mut at = 0;
    while at < CHUNK {
        // SAFETY: all three have CHUNK elements, which are whole vectors.
        unsafe {
            let (e, own) = (s.load(since.as_ptr().add(at)), own.as_mut_ptr().add(at));
            let other = other.as_mut_ptr().add(at);
            s.store(own, s.mul(s.mul(s.load(own), e), s.splat(beta)));
            s.store(other, s.mul(s.mul(s.load(other), e), s.splat(scale)));
        }
        at += S::LANES;
    }
    // What comes later has no part in it, whatever its product is.
    other[t + 1..].fill(0.0);
}

/// `out = beta · (value − decay · read)`.
#[inline(always)]
fn begin<S: Tiles>(s: S, value: &[f32], beta: f32, decay: f32, read: &[f32], out: &mut [f32]) {
    let n = out.len();
    assert!(value.len() == n && read.len() == n && n.is_multiple_of(S::LANES));
    let mut at = 0;
    while at < n {
        // SAFETY: all three have n elements.
        unsafe {
            let left = s.fma(s.splat(-decay), s.load(read.as_ptr().add(at)), s.load(value.as_ptr().add(at)));
            s.store(out.as_mut_ptr().add(at), s.mul(left, s.splat(beta)));
        }
        at += S::LANES;
    }
}

/// `row *= by`.
#[inline(always)]
fn scale_row<S: Tiles>(s: S, by: f32, row: &mut [f32]) {
    let n = row.len();
    assert!(n.is_multiple_of(S::LANES));
    let mut at = 0;
    while at < n {
        // SAFETY: the row has n elements.
        unsafe {
            let p = row.as_mut_ptr().add(at);
            s.store(p, s.mul(s.load(p), s.splat(by)));
        }
        at += S::LANES;
    }
}

/// Takes from each of `count` rows what those before it give: `rows[i] −= Σ_{j<i} factors[i, j] · rows[j]`.
#[inline(always)]
fn solve<S: Tiles>(s: S, count: usize, size: usize, factors: &[f32], rows: &mut [f32]) {
    assert!(count <= CHUNK && factors.len() >= count * CHUNK && rows.len() >= count * size);
    let mut at = 0;
    while at < size {
        let left = (size - at) / S::LANES;
        if left >= 4 {
            // SAFETY: four vectors follow in each row.
            unsafe { solve_columns::<S, 4>(s, count, size, factors, rows.as_mut_ptr().add(at)) };
            at += 4 * S::LANES;
        } else {
            // SAFETY: rows are whole panels, two vectors each.
            unsafe { solve_columns::<S, 2>(s, count, size, factors, rows.as_mut_ptr().add(at)) };
            at += 2 * S::LANES;
        }
    }
}

/// [`solve`] for `V` vectors of each row, the first at `rows`.
#[allow(clippy::needless_range_loop, reason = "a vector is an offset into the row as well")]
#[inline(always)]
unsafe fn solve_columns<S: Tiles, const V: usize>(
    s: S,
    count: usize,
    size: usize,
    factors: &[f32],
    rows: *mut f32,
) {
    let mut i = 0;
    while i < count {
        // SAFETY: rows before `count` exist, and as many factors.
        unsafe {
            let own = rows.add(i * size);
            let mut sum = [s.zero(); V];
            for n in 0..V {
                sum[n] = s.load(own.add(n * S::LANES));
            }
            let mut j = 0;
            while j < i {
                let factor = s.splat(-*factors.as_ptr().add(i * CHUNK + j));
                let earlier = rows.add(j * size);
                for n in 0..V {
                    sum[n] = s.fma(factor, s.load(earlier.add(n * S::LANES)), sum[n]);
                }
                j += 1;
            }
            for n in 0..V {
                s.store(own.add(n * S::LANES), sum[n]);
            }
        }
        i += 1;
    }
}
