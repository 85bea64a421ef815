//! Gated delta nets: the head sizes of the real models, both kinds of gate, snapshots, and sequences of unequal length.

use super::Cases;
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{GatedDeltaNet, Op};

/// One gated delta net.
#[derive(Clone)]
pub(super) struct Delta {
    pub(super) key_heads: usize,
    pub(super) heads: usize,
    pub(super) size: usize,
    pub(super) time: usize,
    pub(super) batch: usize,
    pub(super) per_channel: bool,
    pub(super) snapshots: usize,
    /// Row, length and snapshot of each batch row; rows number the batch.
    pub(super) sequences: Vec<[i32; 3]>,
}

impl Delta {
    /// As `test-backend-ops` of ggml names its cases: key heads, head size, tokens, batch.
    pub(super) fn of(key_heads: usize, size: usize, time: usize, batch: usize) -> Self {
        let sequences = (0..batch).map(|b| [b as i32, time as i32, 0]).collect();
        Self { key_heads, heads: key_heads, size, time, batch, per_channel: false, snapshots: 1, sequences }
    }

    fn shared(mut self, by: usize) -> Self {
        self.heads = self.key_heads * by;
        self
    }

    fn per_channel(mut self) -> Self {
        self.per_channel = true;
        self
    }

    fn snapshots(mut self, snapshots: usize) -> Self {
        self.snapshots = snapshots;
        self
    }

    pub(super) fn case(&self, tag: &str) -> Result<OpCase, LabError> {
        self.build(tag, false)
    }

    /// With heads before tokens in memory, moved by a permutation.
    fn permuted(&self, tag: &str) -> Result<OpCase, LabError> {
        self.build(tag, true)
    }

    fn build(&self, tag: &str, permuted: bool) -> Result<OpCase, LabError> {
        let Self { key_heads, heads, size, time, batch, per_channel, snapshots, ref sequences } = *self;
        let gate = if per_channel { "channel" } else { "head" };
        let order = if permuted { "/permuted" } else { "" };
        let numbers: Vec<i32> = sequences.concat();
        let lens = sequences.iter().map(|s| s[1].to_string()).collect::<Vec<_>>().join(",");
        let detail =
            format!("{tag}/{batch}x{time}/h{key_heads}-{heads}x{size}/{gate}/k{snapshots}/len{lens}{order}");
        let mut b = CaseBuilder::new("gated_delta_net", &detail);
        let state = b.state("state", batch, &[snapshots * heads, size, size]);
        // Keys no longer than 1, as the models normalise them: longer ones make the recurrence grow without bound.
        let unit = 1.0 / (size as f32).sqrt();
        let activation = |b: &mut CaseBuilder, name: &str, heads: usize, fill: Fill| {
            if permuted {
                let x = b.input(name, &[batch, heads, time, size], fill);
                b.op(Op::Permute(vec![0, 2, 1, 3]), &[x])
            } else {
                b.input(name, &[batch, time, heads, size], fill)
            }
        };
        let q = activation(&mut b, "q", key_heads, Fill::Within(-unit, unit));
        let k = activation(&mut b, "k", key_heads, Fill::Within(-unit, unit));
        let v = activation(&mut b, "v", heads, Fill::Within(-0.3, 5.0));
        let decays = Fill::Within(-20.0, -1e-4);
        let g = match per_channel {
            true => b.input("g", &[batch, time, heads, size], decays),
            false => b.input("g", &[batch, time, heads], decays),
        };
        let beta = b.input("beta", &[batch, time, heads], Fill::Within(0.0, 1.0));
        let sequences = b.ints("sequences", &[batch, 3], &numbers);
        let y = b.op(Op::GatedDeltaNet(GatedDeltaNet { state, snapshots }), &[q, k, v, g, beta, sequences]);
        let chunks = !per_channel && self.sequences.iter().any(|s| s[1] >= CHUNK);
        b.finish(&[y], if chunks { Bounds::CHUNKED_RECURRENCE } else { Bounds::RECURRENCE })
    }
}

/// Tokens of a sequence from which devices may go in chunks.
const CHUNK: i32 = 32;

/// The 36 cases of ggml's `test-backend-ops`, and what they leave out.
pub(super) fn cases() -> Cases {
    let of = Delta::of;
    let mut all = vec![
        of(32, 128, 1, 1).case("decode")?,
        of(32, 16, 1, 1).case("decode")?,
        of(32, 16, 1, 1).per_channel().case("decode")?,
        of(32, 16, 1, 1).per_channel().permuted("decode")?,
        of(16, 64, 1, 2).case("decode")?,
        of(4, 64, 1, 1).per_channel().case("decode")?,
        of(4, 64, 1, 2).per_channel().case("decode")?,
        of(4, 16, 1, 2).per_channel().case("decode")?,
        of(4, 64, 4, 1).case("few")?,
        of(4, 64, 4, 2).case("few")?,
        of(8, 32, 4, 2).shared(2).case("few")?,
        of(4, 64, 4, 1).permuted("few")?,
        of(4, 64, 4, 2).permuted("few")?,
        of(4, 32, 4, 1).per_channel().case("few")?,
        of(4, 64, 4, 2).per_channel().case("few")?,
        of(8, 32, 4, 2).shared(2).per_channel().case("few")?,
        of(4, 64, 4, 2).per_channel().permuted("few")?,
        of(4, 16, 4, 2).per_channel().permuted("few")?,
    ];
    for time in [64, 65, 100, 127, 200, 256] {
        all.push(of(4, 64, time, 1).case("chunk")?);
    }
    all.push(of(4, 64, 127, 2).case("chunk")?);
    // Ends of chunks of 16, 32 and 64, and a rest that isn't worth one.
    for time in [31, 32, 33, 47, 48, 63] {
        all.push(of(1, 64, time, 1).case("chunk")?);
    }
    all.push(of(1, 128, 130, 1).shared(3).case("chunk")?);
    all.push(of(1, 128, 512, 1).case("chunk")?);
    all.push(of(2, 96, 80, 2).permuted("chunk")?);
    // No whole vectors.
    all.push(of(2, 48, 70, 1).case("chunk")?);
    all.push(of(2, 17, 70, 1).case("chunk")?);
    for time in [33, 64, 100] {
        all.push(of(4, 64, time, 1).per_channel().case("chunk")?);
    }
    all.extend([
        of(4, 16, 2, 1).snapshots(2).case("snapshots")?,
        of(4, 32, 4, 1).snapshots(4).case("snapshots")?,
        of(4, 64, 4, 2).snapshots(4).case("snapshots")?,
        of(8, 128, 4, 1).snapshots(4).case("snapshots")?,
        of(4, 64, 4, 2).per_channel().snapshots(4).case("snapshots")?,
        of(8, 32, 4, 2).shared(2).per_channel().snapshots(4).case("snapshots")?,
        of(4, 32, 8, 1).snapshots(3).case("overflow")?,
        of(4, 64, 16, 2).snapshots(4).case("overflow")?,
        // Fewer tokens than snapshots: what isn't reached stays.
        of(4, 32, 2, 1).snapshots(4).case("underflow")?,
        of(1, 1, 3, 1).case("one-element")?,
        of(2, 17, 5, 2).shared(3).case("odd")?,
        of(2, 33, 5, 1).per_channel().case("odd")?,
        of(2, 256, 3, 1).case("wide")?,
        Delta { sequences: vec![[2, 9, 1], [0, 0, 0], [1, 4, 2]], snapshots: 3, ..of(2, 32, 9, 3) }
            .case("unequal")?,
        // Prompts that go back to a snapshot, and keep some themselves.
        of(2, 64, 64, 1).snapshots(4).case("prompt")?,
        Delta {
            sequences: vec![[2, 100, 1], [3, 31, 2], [0, 0, 0], [1, 66, 0]],
            snapshots: 3,
            ..of(2, 64, 100, 4)
        }
        .shared(2)
        .case("unequal")?,
        Delta { sequences: vec![[1, 40, 0], [0, 97, 0]], ..of(1, 32, 97, 2) }.case("unequal")?,
    ]);
    Ok(all)
}
