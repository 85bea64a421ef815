//! What a step of a language model is made of beside products and gated delta nets: gates, rows of length one, rotary positions,
//! convolutions and attention that go on from earlier steps.

use super::{Cases, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Activation, CausalAttention, CausalConv1d, Op, Rope, RopeScaling, StateElem};
use mynah_tensor::DType;

pub(super) fn gated(f: Activation, tag: &str, dims: &[usize], fill: Fill) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("gated", &format!("{tag}/{}/{}", f.name(), by(dims)));
    let x = b.input("x", dims, Fill::Normal(1.0));
    let gate = b.input("gate", dims, fill);
    let y = b.op(Op::Gated(f), &[x, gate]);
    b.finish(&[y], Bounds::EXPONENTIAL)
}

pub(super) fn l2_norm(tag: &str, dims: &[usize], eps: f32, fill: Fill) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("l2_norm", &format!("{tag}/{}/eps{eps:e}", by(dims)));
    let x = b.input("x", dims, fill);
    let y = b.op(Op::L2Norm { eps }, &[x]);
    b.finish(&[y], Bounds::ROW)
}

/// The scaled frequencies of Llama 3.1, as Chatterbox has them.
pub(super) const LLAMA3: Rope = Rope {
    dims: 64,
    theta: 5e5,
    scaling: Some(RopeScaling { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 }),
};

/// Heads at these positions, `dims[0] · dims[1]` of them.
pub(super) fn rope(tag: &str, dims: [usize; 4], rope: Rope, positions: &[i32]) -> Result<OpCase, LabError> {
    let scaled = rope.scaling.map(|s| format!("/x{}", s.factor)).unwrap_or_default();
    let detail = format!("{tag}/{}/{}/{}{scaled}", by(&dims), rope.dims, rope.theta);
    let mut b = CaseBuilder::new("rope", &detail);
    let x = b.input("x", &dims, Fill::Normal(1.0));
    let positions = b.ints("positions", &dims[..2], positions);
    let y = b.op(Op::Rope(rope), &[x, positions]);
    b.finish(&[y], Bounds::EXPONENTIAL)
}

/// A convolution over `[batch, time, channels]`; a row, length and snapshot for each of the batch.
pub(super) fn causal_conv(
    tag: &str,
    [time, channels, taps]: [usize; 3],
    snapshots: usize,
    activation: Option<Activation>,
    sequences: &[[i32; 3]],
) -> Result<OpCase, LabError> {
    let batch = sequences.len();
    let name = activation.map_or("plain", Activation::name);
    let lens: Vec<String> = sequences.iter().map(|s| s[1].to_string()).collect();
    let detail =
        format!("{tag}/{batch}x{time}x{channels}/taps{taps}/k{snapshots}/{name}/len{}", lens.join(","));
    let mut b = CaseBuilder::new("causal_conv1d", &detail);
    let rows = sequences.iter().map(|s| s[0] as usize + 1).max().unwrap_or(1);
    let state = b.state("inputs", rows, &[taps - 2 + snapshots, channels]);
    let x = b.input("x", &[batch, time, channels], Fill::Normal(1.0));
    let w = b.weight("weight", &[channels, 1, taps], DType::F32, Fill::Normal(1.0));
    let sequences = b.ints("sequences", &[batch, 3], &sequences.concat());
    let op = Op::CausalConv1d(CausalConv1d { state, snapshots, activation });
    let y = b.op(op, &[x, w, sequences]);
    b.finish(&[y], Bounds::PRODUCT)
}

/// One attention.
#[derive(Clone)]
pub(super) struct Causal {
    pub(super) heads: usize,
    pub(super) key_heads: usize,
    pub(super) width: usize,
    pub(super) time: usize,
    /// Tokens of a page, and pages listed for a sequence.
    pub(super) places: usize,
    pub(super) listed: usize,
    /// Tokens before and new ones of each of the batch.
    pub(super) sequences: Vec<[i32; 2]>,
    /// Deviation of the queries: more makes for fewer keys that count.
    pub(super) sharpness: f32,
}

impl Causal {
    /// One sequence with pages for just what it has.
    pub(super) fn one(heads: [usize; 2], width: usize, places: usize, [past, new]: [usize; 2]) -> Self {
        Self {
            heads: heads[0],
            key_heads: heads[1],
            width,
            time: new,
            places,
            listed: (past + new).div_ceil(places),
            sequences: vec![[past as i32, new as i32]],
            sharpness: 1.0,
        }
    }

    pub(super) fn case(&self, tag: &str) -> Result<OpCase, LabError> {
        self.stored(tag, StateElem::F32)
    }

    /// With a cache that is stored so.
    pub(super) fn stored(&self, tag: &str, elem: StateElem) -> Result<OpCase, LabError> {
        let Self { heads, key_heads, width, time, places, listed, ref sequences, sharpness } = *self;
        let batch = sequences.len();
        let lens: Vec<String> = sequences.iter().map(|[past, new]| format!("{past}+{new}")).collect();
        let detail = format!(
            "{tag}/{batch}x{time}/h{heads}-{key_heads}x{width}/pages{listed}x{places}/{}",
            lens.join(",")
        );
        let mut b = CaseBuilder::new("causal_attention", &detail);
        // A row that is nobody's, and pages in the order opposite to their numbers.
        let rows = batch * listed + 1;
        let [keys, values] =
            ["keys", "values"].map(|name| b.stored_state(name, rows, &[key_heads, places, width], elem));
        let mut pages = Vec::new();
        for (i, [past, new]) in sequences.iter().enumerate() {
            let used = if *new > 0 { (*past + *new) as usize } else { 0 }.div_ceil(places);
            // What no token needs is not looked at.
            pages.extend((0..listed).map(|j| if j < used { (rows - 1 - i * listed - j) as i32 } else { -1 }));
        }
        let q = b.input("q", &[batch, time, heads, width], Fill::Normal(sharpness));
        let [k, v] =
            ["k", "v"].map(|name| b.input(name, &[batch, time, key_heads, width], Fill::Normal(1.0)));
        let sequences = b.ints("sequences", &[batch, 2], &sequences.concat());
        let pages = b.ints("pages", &[batch, listed], &pages);
        let scale = 1.0 / (width as f32).sqrt();
        let op = Op::CausalAttention(CausalAttention { keys, values, scale });
        let y = b.op(op, &[q, k, v, sequences, pages]);
        b.finish(&[y], Bounds::ATTENTION)
    }
}

/// What the models do, and what is odd.
pub(super) fn cases() -> Cases {
    use Activation::{GeluTanh, Relu, Sigmoid, Silu};
    use StateElem::F16;
    let normal = Fill::Normal(2.0);
    let mut all = vec![
        gated(Silu, "qwen3.5-0.8b-ff", &[1, 3, 3584], normal)?,
        gated(Silu, "qwen3.5-27b-ff", &[1, 2, 17408], normal)?,
        gated(Silu, "qwen3.5-norm", &[1, 5, 16, 128], normal)?,
        gated(Sigmoid, "qwen3.5-attention", &[1, 5, 8, 256], normal)?,
        gated(GeluTanh, "odd", &[3, 17], Fill::Normal(1.0))?,
        gated(Relu, "odd", &[7, 33], normal)?,
        gated(Sigmoid, "saturated", &[5, 33], Fill::Within(-80.0, 80.0))?,
        gated(Silu, "one-element", &[1], Fill::Within(0.5, 1.5))?,
        l2_norm("qwen3.5", &[1, 5, 16, 128], 1e-6, normal)?,
        l2_norm("qwen3.5-tiny", &[2, 3, 4, 128], 1e-6, Fill::Normal(1e-4))?,
        l2_norm("large", &[5, 512], 1e-6, Fill::Normal(1e4))?,
        l2_norm("odd", &[3, 5, 17], 1e-6, normal)?,
        l2_norm("many", &[1100, 68], 1e-6, normal)?,
        l2_norm("one-element", &[1, 1], 0.25, Fill::Within(0.5, 1.5))?,
        rope("qwen3.5-0.8b", [1, 9, 8, 256], Rope::new(64, 1e7), &[0, 1, 2, 3, 4, 5, 6, 7, 8])?,
        rope("qwen3.5-keys", [2, 3, 2, 256], Rope::new(64, 1e7), &[40, 41, 42, 7, 0, 0])?,
        rope("qwen3.5-far", [1, 3, 4, 256], Rope::new(64, 1e7), &[100_003, 262_143, 131_072])?,
        rope("full", [1, 4, 3, 128], Rope::new(128, 1e4), &[5, 900, 31, 2])?,
        rope("odd", [3, 2, 5, 17], Rope::new(10, 100.0), &[3, 1, 4, 1, 5, -9])?,
        rope("pair", [1, 1, 1, 2], Rope::new(2, 10.0), &[1])?,
        rope("chatterbox", [2, 3, 16, 64], LLAMA3, &[0, 1, 333, 34, 1300, 6147])?,
        rope("llama3-far", [1, 3, 2, 64], LLAMA3, &[8191, 8192, 131_071])?,
    ];
    for (tag, channels) in [("0.8b", 6144), ("4b", 8192), ("27b", 10240)] {
        let tag = format!("qwen3.5-{tag}");
        for time in [1, 6] {
            all.push(causal_conv(&tag, [time, channels, 4], 1, Some(Silu), &[[0, time as i32, 0]])?);
        }
    }
    let unequal = [[2, 7, 0], [0, 0, 0], [3, 2, 0], [1, 1, 0]];
    all.extend([
        causal_conv("unequal", [7, 33, 4], 1, Some(Silu), &unequal)?,
        causal_conv("blocks", [5, 517, 4], 1, None, &[[0, 5, 0], [1, 3, 0]])?,
        causal_conv("snapshots", [4, 17, 4], 4, Some(Silu), &[[1, 4, 3], [0, 1, 2]])?,
        // More left out than came: zeros stand where inputs are gone.
        causal_conv("underflow", [2, 9, 3], 5, None, &[[0, 1, 4], [1, 2, 4]])?,
        causal_conv("long-kernel", [3, 12, 9], 2, None, &[[0, 3, 1]])?,
        causal_conv("two-taps", [3, 5, 2], 1, Some(Sigmoid), &[[0, 2, 0]])?,
        causal_conv("one-element", [1, 1, 2], 1, None, &[[0, 1, 0]])?,
    ]);
    let batch = Causal {
        time: 5,
        listed: 9,
        sequences: vec![[0, 5], [37, 1], [16, 3], [4, 0]],
        ..Causal::one([4, 2], 32, 8, [0, 5])
    };
    all.extend([
        Causal::one([8, 2], 256, 64, [0, 1]).case("qwen3.5-0.8b-first")?,
        Causal::one([8, 2], 256, 64, [200, 1]).case("qwen3.5-0.8b-decode")?,
        Causal::one([8, 2], 256, 64, [0, 70]).case("qwen3.5-0.8b-prompt")?,
        Causal::one([8, 2], 256, 64, [61, 9]).case("qwen3.5-0.8b-piece")?,
        Causal::one([24, 4], 256, 64, [130, 2]).case("qwen3.5-27b")?,
        Causal::one([16, 16], 64, 16, [0, 33]).case("own-keys")?,
        batch.case("batch")?,
        batch.stored("halves-batch", F16)?,
        Causal::one([8, 2], 256, 64, [200, 1]).stored("halves-qwen3.5", F16)?,
        Causal::one([8, 2], 256, 64, [700, 1]).stored("halves-deep", F16)?,
        Causal::one([16, 16], 64, 64, [300, 1]).stored("halves-chatterbox", F16)?,
        Causal::one([4, 2], 64, 64, [1100, 3]).stored("halves-parts", F16)?,
        Causal::one([16, 16], 64, 16, [0, 33]).stored("halves-prompt", F16)?,
        Causal::one([8, 2], 64, 64, [600, 11]).stored("halves-deep-piece", F16)?,
        Causal::one([3, 1], 12, 5, [11, 6]).stored("halves-odd", F16)?,
        // Long enough for keys to be shared out among workgroups: single tokens, pieces, sequences that end in different parts.
        Causal::one([8, 2], 256, 64, [700, 1]).case("qwen3.5-0.8b-deep")?,
        Causal::one([8, 2], 64, 64, [600, 11]).case("deep-piece")?,
        Causal {
            time: 2,
            listed: 40,
            sequences: vec![[630, 2], [63, 1], [256, 2], [0, 0], [64, 1], [0, 1]],
            ..Causal::one([12, 2], 36, 16, [0, 2])
        }
        .case("deep-batch")?,
        Causal {
            time: 20,
            listed: 70,
            sequences: vec![[650, 20], [100, 7]],
            ..Causal::one([3, 1], 9, 10, [0, 20])
        }
        .case("deep-odd")?,
        Causal { sharpness: 6.0, ..Causal::one([4, 1], 64, 16, [90, 40]) }.case("sharp")?,
        Causal::one([6, 2], 33, 5, [11, 6]).case("odd")?,
        Causal::one([5, 5], 7, 1, [3, 4]).case("pages-of-one")?,
        Causal::one([1, 1], 1, 1, [0, 1]).case("one-element")?,
    ]);
    Ok(all)
}
