//! What a sequence leaves from step to step: a state for each delta net, pages of keys and values for each attention.

use super::config::{Mixer, Qwen35Config};
use crate::error::ModelError;
use mynah_graph::{ElemType, Graph, GraphBuilder, Op, StateDecl, StateElem, StateId};
use mynah_tensor::Shape;

/// How states are laid out; all graphs of one model must use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLayout {
    /// Tokens of a page of keys and values.
    pub page: usize,
    /// States of a delta net that are kept: the one after the last token, and those of so many tokens less one before it.
    pub snapshots: usize,
    /// How keys and values are stored. A model that is loaded has it as [`Executor::cache_elem`](mynah_plan::Executor::cache_elem) says,
    /// whatever is asked for.
    pub cache: StateElem,
}

impl Default for StateLayout {
    fn default() -> Self {
        Self { page: 64, snapshots: 1, cache: StateElem::F32 }
    }
}

/// What the rows of a state tensor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateKind {
    /// Sequences.
    Sequence,
    /// Pages, given to sequences as they grow.
    Page,
}

/// The state tensors of every graph of the model, in the graphs' order: for a delta net the inputs of its convolution
/// `[K − 2 + snapshots, channels]` and its matrices `[snapshots · heads, width, width]`, for an attention keys and values
/// `[key heads, page, width]`.
pub fn state_decls(config: &Qwen35Config, layout: StateLayout) -> Vec<(StateDecl, StateKind)> {
    let (d, a) = (&config.delta, &config.attention);
    let of_layer = |(i, mixer): (usize, &Mixer)| {
        let name = |part: &str| format!("blk.{i}.{part}");
        match mixer {
            Mixer::Delta => {
                let conv = [d.taps - 2 + layout.snapshots, d.conv_channels()];
                let delta = [layout.snapshots * d.heads, d.width, d.width];
                [
                    (StateDecl::new(name("conv"), conv), StateKind::Sequence),
                    (StateDecl::new(name("delta"), delta), StateKind::Sequence),
                ]
            }
            Mixer::Attention => {
                let page = [a.key_heads, layout.page, a.width];
                ["keys", "values"]
                    .map(|part| (StateDecl::cache(name(part), page, layout.cache), StateKind::Page))
            }
        }
    };
    // The layer that drafts comes last, in the pages of the others.
    let drafting = config.drafts.then_some(&Mixer::Attention);
    config.layers.iter().chain(drafting).enumerate().flat_map(of_layer).collect()
}

/// One snapshot of the states of a sequence out of all that are kept: as many elements of `row` as the same states have where only one
/// is kept, in the same order.
pub(super) fn one_snapshot(
    config: &Qwen35Config,
    layout: StateLayout,
    row: &[f32],
    snapshot: usize,
) -> Vec<f32> {
    let (d, mut rest, mut one) = (&config.delta, row, Vec::new());
    let (conv, delta) = parts(config, layout);
    // Going back leaves out the last inputs of the convolution.
    let inputs = layout.snapshots.saturating_sub(1 + snapshot) * d.conv_channels();
    let matrix = delta / layout.snapshots.max(1);
    for _ in 0..config.delta_layers() {
        let (own, others) = rest.split_at(conv);
        one.extend_from_slice(&own[inputs..inputs + (d.taps - 1) * d.conv_channels()]);
        let (own, others) = others.split_at(delta);
        one.extend_from_slice(&own[snapshot * matrix..(snapshot + 1) * matrix]);
        rest = others;
    }
    one
}

/// The other way round: what [`one_snapshot`] gave as the last of the snapshots, and zeros for those before it.
pub(super) fn all_snapshots(config: &Qwen35Config, layout: StateLayout, one: &[f32]) -> Vec<f32> {
    let (d, mut rest, mut all) = (&config.delta, one, Vec::new());
    let (conv, delta) = parts(config, layout);
    for _ in 0..config.delta_layers() {
        let (own, others) = rest.split_at((d.taps - 1) * d.conv_channels());
        all.resize(all.len() + conv - own.len(), 0.0);
        all.extend_from_slice(own);
        let (own, others) = others.split_at(delta / layout.snapshots.max(1));
        all.extend_from_slice(own);
        all.resize(all.len() + delta - own.len(), 0.0);
        rest = others;
    }
    all
}

/// Elements of a delta net's states: of its convolution and of its matrices.
fn parts(config: &Qwen35Config, layout: StateLayout) -> (usize, usize) {
    let d = &config.delta;
    ((d.taps - 2 + layout.snapshots) * d.conv_channels(), layout.snapshots * d.heads * d.width * d.width)
}

/// Declares all states in a graph, two for each layer, the one that drafts among them.
pub(super) fn declare(g: &mut GraphBuilder, config: &Qwen35Config, layout: StateLayout) -> Vec<[StateId; 2]> {
    let ids: Vec<StateId> = state_decls(config, layout).iter().map(|(decl, _)| g.declare(decl)).collect();
    ids.as_chunks::<2>().0.to_vec()
}

/// Empties the states of sequences for those that begin: i32 `rows [n]` of the state tensors, and zeros `conv` and `delta` of n rows
/// each. Pages need no emptying.
///
/// # Errors
/// When sizes overflow.
pub fn reset_graph(
    config: &Qwen35Config,
    layout: StateLayout,
    sequences: usize,
) -> Result<Graph, ModelError> {
    let mut g = GraphBuilder::new("reset");
    let rows = g.input("rows", ElemType::I32, [sequences]);
    let d = &config.delta;
    let conv = [sequences, d.taps - 2 + layout.snapshots, d.conv_channels()];
    let conv = g.input("conv", ElemType::F32, conv);
    let delta = [sequences, layout.snapshots * d.heads, d.width, d.width];
    let delta = g.input("delta", ElemType::F32, delta);
    let states = declare(&mut g, config, layout);
    for (&[first, second], _) in states.iter().zip(&config.layers).filter(|(_, m)| **m == Mixer::Delta) {
        g.op(Op::StateScatter(first), &[rows, conv]);
        g.op(Op::StateScatter(second), &[rows, delta]);
    }
    Ok(g.finish()?)
}

/// The state tensors of one kind in a graph, with what they are.
fn of_kind(
    g: &mut GraphBuilder,
    config: &Qwen35Config,
    layout: StateLayout,
    wanted: StateKind,
) -> Vec<(StateId, StateDecl)> {
    let states = declare(g, config, layout);
    let all = states.into_iter().flatten().zip(state_decls(config, layout));
    all.filter(|(_, (_, kind))| *kind == wanted).map(|(id, (decl, _))| (id, decl)).collect()
}

/// Copies a row of every state of a kind: i32 `from [1]`, `to [1]`.
///
/// # Errors
/// When sizes overflow.
pub(super) fn copy_graph(
    config: &Qwen35Config,
    layout: StateLayout,
    kind: StateKind,
) -> Result<Graph, ModelError> {
    let mut g = GraphBuilder::new("copy");
    let [from, to] = ["from", "to"].map(|name| g.input(name, ElemType::I32, [1]));
    for (state, _) in of_kind(&mut g, config, layout, kind) {
        let row = g.op(Op::StateGather(state), &[from]);
        g.op(Op::StateScatter(state), &[to, row]);
    }
    Ok(g.finish()?)
}

/// Reads a row of every state of a kind: i32 `row [1]` → an output for each, called like the state.
///
/// # Errors
/// When sizes overflow.
pub(super) fn read_graph(
    config: &Qwen35Config,
    layout: StateLayout,
    kind: StateKind,
) -> Result<Graph, ModelError> {
    let mut g = GraphBuilder::new("read");
    let row = g.input("row", ElemType::I32, [1]);
    for (state, decl) in of_kind(&mut g, config, layout, kind) {
        let contents = g.op(Op::StateGather(state), &[row]);
        g.output(&decl.name, contents);
    }
    Ok(g.finish()?)
}

/// Writes a row of every state of a kind: i32 `row [1]`, then its contents, an input for each state.
///
/// # Errors
/// When sizes overflow.
pub(super) fn write_graph(
    config: &Qwen35Config,
    layout: StateLayout,
    kind: StateKind,
) -> Result<Graph, ModelError> {
    let mut g = GraphBuilder::new("write");
    let row = g.input("row", ElemType::I32, [1]);
    for (state, decl) in of_kind(&mut g, config, layout, kind) {
        let dims: Vec<usize> = [1].iter().chain(decl.row.dims()).copied().collect();
        let shape = Shape::new(&dims).map_err(|e| ModelError::Unsupported {
            what: format!("a state '{}' of this size ({e})", decl.name),
        })?;
        let contents = g.input(&decl.name, ElemType::F32, shape);
        g.op(Op::StateScatter(state), &[row, contents]);
    }
    Ok(g.finish()?)
}
