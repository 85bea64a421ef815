//! Causal attention over a paged cache (see [`mynah_graph::CausalAttention`]): which kernel, how many parts, and what both have in
//! common.
//!
//! New keys and values are read where they were computed, not in the cache: so the dispatch that attends to them is also the one
//! that writes them there. Where a sequence is long and queries are few, workgroups take a part of the keys each, and a second
//! dispatch puts the parts together (flash-decoding, Dao et al. 2023).

use super::{few, tiled};
use crate::kernels::attention::unroll::{Symbol, unroll};
use crate::kernels::common::{CACHED_HALF, GRID, function, include_activations};
use crate::kernels::elementwise::each;
use crate::pages::PageCheck;
use crate::program::{Bind, Compiled, Dispatch, Kernel, Operand, Place};
use mynah_device::{DeviceError, Plan};
use mynah_graph::{AttentionHeads, CausalAttention, StateElem};

/// Parts are whole numbers of so many keys.
const STEP: usize = 64;
/// Parts of a sequence at most, as many as [`Causal::combine`] has threads.
const MOST_PARTS: usize = 256;
/// Vectors of a row that a workgroup of [`Causal::combine`] puts together.
const COLUMNS: usize = 16;

/// Sizes, and where operands are.
pub(super) struct Causal<'b, 'a> {
    pub(super) bind: &'b Bind<'a>,
    op: CausalAttention,
    /// What is done before and after, where it is done at once.
    pub(super) heads_op: Option<AttentionHeads>,
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) heads: usize,
    pub(super) key_heads: usize,
    width: usize,
    /// Tokens of a page, pages listed of a sequence.
    places: usize,
    listed: usize,
    /// The operand with the sequences; the pages are the next.
    sequences: usize,
}

/// How the keys of a sequence are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// Keys of each.
    pub(super) keys: usize,
    pub(super) count: usize,
}

/// `q [B, T, H, D]`, `k`, `v` `[B, T, Hk, D]`, `sequences [B, 2]`, `pages [B, N]` → `[B, T, H, D]`.
pub(in crate::kernels) fn compile(bind: &Bind<'_>, op: &CausalAttention) -> Result<Compiled, DeviceError> {
    let (causal, check) = Causal::of(bind, *op, None, 3)?;
    let mut compiled = if few::suits(&causal) { few::compile(&causal)? } else { tiled::compile(&causal)? };
    compiled.pages.push(check);
    Ok(compiled)
}

/// The same from queries beside their gates, and keys, that have no norm and no positions yet (see [`AttentionHeads`]).
pub(in crate::kernels) fn compile_heads(
    bind: &Bind<'_>,
    op: &AttentionHeads,
) -> Result<Compiled, DeviceError> {
    let (causal, check) = Causal::of(bind, op.attention, Some(*op), 6)?;
    if !few::suits(&causal) {
        return Err(bind.unsupported("more tokens than one dispatch is best for".into()));
    }
    let mut compiled = few::compile(&causal)?;
    compiled.pages.push(check);
    Ok(compiled)
}

impl<'b, 'a> Causal<'b, 'a> {
    fn of(
        bind: &'b Bind<'a>,
        op: CausalAttention,
        heads_op: Option<AttentionHeads>,
        sequences: usize,
    ) -> Result<(Self, PageCheck), DeviceError> {
        let shapes = [bind.shape(0), bind.shape(1), bind.shape(sequences + 1)];
        let (&[batch, time, heads, _], &[_, _, key_heads, width], &[_, listed]) =
            (shapes[0].dims(), shapes[1].dims(), shapes[2].dims())
        else {
            return Err(bind.unsupported("operands of other ranks".into()));
        };
        let places = bind.state_row(op.keys.0).checked_div(key_heads * width).unwrap_or(0);
        let causal =
            Self { bind, op, heads_op, batch, time, heads, key_heads, width, places, listed, sequences };
        let inputs = (bind.input_index(sequences)?, bind.input_index(sequences + 1)?);
        let (Some(sequences), Some(pages)) = inputs else {
            return Err(bind.unsupported("sequences or pages that are not inputs of the graph".into()));
        };
        let states = [op.keys.0, op.values.0];
        let check = PageCheck { node: bind.name(), sequences, pages, states, time, places, listed };
        Ok((causal, check))
    }
}

impl Causal<'_, '_> {
    /// Query heads of a key head.
    pub(super) fn group(&self) -> usize {
        self.heads / self.key_heads
    }

    /// Elements of a head's row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Whether the cache stores halves; its rows are whole vectors then.
    pub(super) fn halves(&self) -> bool {
        self.bind.state_elem(self.op.keys.0) == StateElem::F16
    }

    /// Vectors of a head's row, the last perhaps not whole.
    pub(super) fn row(&self) -> usize {
        self.width.div_ceil(4)
    }

    /// The most tokens that a sequence can have.
    pub(super) fn capacity(&self) -> usize {
        self.places * self.listed
    }

    /// Parts of at least `keys` keys each, no more of them than [`Causal::combine`] and the adapter's bindings can take. They follow
    /// from the pages listed: how many tokens sequences have is known only when a program runs.
    pub(super) fn parts(&self, keys: usize) -> Parts {
        let capacity = self.capacity().max(1);
        let mut keys = keys.max(capacity.div_ceil(MOST_PARTS)).next_multiple_of(STEP);
        while keys < capacity && self.scratch(capacity.div_ceil(keys)).bytes > self.most_bytes() {
            keys *= 2;
        }
        Parts { keys, count: capacity.div_ceil(keys) }
    }

    fn most_bytes(&self) -> u64 {
        self.bind.caps().max_binding.min(self.bind.caps().max_buffer / 2)
    }

    /// For each row of queries and part a vector with the largest score and the sum of weights, then the sums of values.
    pub(super) fn scratch(&self, parts: usize) -> Operand {
        let rows = (self.batch * self.time * self.heads * parts) as u64;
        Operand::scratch(0, 16 * rows * (self.row() as u64 + 1))
    }

    /// Declares operands, sizes and functions that both kernels read keys and values with. Several parts are stored
    /// for [`Causal::combine`], a single one is the result.
    pub(super) fn declare(&self, k: &mut Kernel<'_, '_>, parts: Parts) -> Result<(), DeviceError> {
        let vectors = self.width.is_multiple_of(4);
        let (element, unit) = if vectors { ("vec4<f32>", 4) } else { ("f32", 1) };
        for (operand, name) in ["q", "k", "v"].into_iter().enumerate() {
            k.bind(name, element, &self.bind.operand(operand)?);
        }
        k.bind("sequences", "i32", &self.bind.operand(self.sequences)?);
        k.bind("pages", "i32", &self.bind.operand(self.sequences + 1)?);
        let halves = self.halves();
        let stored = if halves { "vec2<u32>" } else { element };
        for (name, state) in [("keys", self.op.keys), ("values", self.op.values)] {
            k.bind(name, stored, &Operand { place: Place::State(state.0), bytes: 0 });
        }
        if parts.count > 1 {
            k.bind("parts", "vec4<f32>", &self.scratch(parts.count));
        } else {
            k.bind("y", element, &self.bind.target()?);
        }
        k.param("time", self.time).param("count", parts.count).param("part_keys", parts.keys);
        k.param_rows("key_rows", self.op.keys.0).param_rows("value_rows", self.op.values.0);
        // Weights are powers of two: a multiplication less for each.
        k.param_f32("scale", (f64::from(self.op.scale) * std::f64::consts::LOG2_E) as f32);
        let source = k.source();
        let constants = [
            ("HEAD", self.width / unit),
            ("ROW", self.row()),
            ("HEADS", self.heads),
            ("KEY_HEADS", self.key_heads),
            ("GROUP", self.group()),
            ("PLACES", self.places),
            ("LISTED", self.listed),
        ];
        constants.into_iter().for_each(|(name, value)| source.constant(name, value as u32));
        source.flag("VECTORS", vectors);
        source.flag("PARTS", parts.count > 1);
        source.flag("HALVES", halves);
        if halves {
            source.include(CACHED_HALF);
        }
        Ok(())
    }

    /// A kernel's text after the functions that read operands, those in `read` too, and write to the cache and what they compute.
    pub(super) fn code(&self, text: &str, parts: Parts, read: &[&str], symbols: &[Symbol<'_>]) -> String {
        let names = |parts: &[&[&str]]| parts.concat().into_iter().map(str::to_owned).collect();
        let cache = ["keys", "values"];
        let floats = if self.halves() { &[][..] } else { &cache };
        let result = if parts.count > 1 { &[][..] } else { &["y"] };
        let mut all = vec![
            ("S", names(&[&cache])),
            ("W", names(&[floats, result])),
            ("X", names(&[&["q", "k", "v"], floats, read])),
        ];
        all.extend_from_slice(symbols);
        unroll(&format!("{}{text}", include_str!("paged.wgsl")), &all)
    }

    /// The attention's dispatch, followed by one that puts parts together where there are several.
    pub(super) fn combined(&self, attention: Dispatch, parts: Parts) -> Result<Compiled, DeviceError> {
        let mut compiled = Compiled::one(attention);
        if parts.count > 1 {
            compiled.scratch = self.scratch(parts.count).bytes.next_multiple_of(Plan::ALIGN as u64);
            compiled.dispatches.push(self.combine(parts)?);
        }
        Ok(compiled)
    }

    /// The dispatch that puts parts together.
    fn combine(&self, parts: Parts) -> Result<Dispatch, DeviceError> {
        let vectors = self.width.is_multiple_of(4);
        let element = if vectors { "vec4<f32>" } else { "f32" };
        let mut k = self.bind.kernel();
        k.bind("parts", "vec4<f32>", &self.scratch(parts.count));
        k.bind("sequences", "i32", &self.bind.operand(self.sequences)?);
        k.bind("y", element, &self.bind.target()?);
        if let Some(op) = &self.heads_op {
            k.bind("both", element, &self.bind.operand(0)?);
            include_activations(&mut k, self.bind);
            let gate = each(function(k.source(), op.gate), 4);
            k.source().define("GATE", gate);
        }
        k.source().flag("GATED", self.heads_op.is_some());
        k.param("time", self.time).param("count", parts.count).param("part_keys", parts.keys);
        k.param("capacity", self.capacity()).param("rows", self.batch * self.time * self.heads);
        let source = k.source();
        let unit = if vectors { 4 } else { 1 };
        for (name, value) in [
            ("HEAD", self.width / unit),
            ("ROW", self.row()),
            ("HEADS", self.heads),
            ("COLUMNS", COLUMNS),
            ("ROW_LANES", MOST_PARTS),
        ] {
            source.constant(name, value as u32);
        }
        source.flag("VECTORS", vectors);
        source.flag("WIDE_ROWS", true);
        source.include(GRID);
        source.include(include_str!("../common/reduce.wgsl"));
        let slices = self.row().div_ceil(COLUMNS);
        k.param("slices", slices);
        let groups = k.grid(self.batch * self.time * self.heads * slices);
        let workgroup = [MOST_PARTS as u32, 1, 1];
        k.finish("causal_attention/combine", include_str!("combine.wgsl"), workgroup, groups)
    }
}
