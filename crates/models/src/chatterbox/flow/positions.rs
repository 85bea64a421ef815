//! Relative positions through each block's projection, kept on the device.
//!
//! The reference projects a table of `2T − 1` sinusoids in every block of every run, a quarter of the encoder's work. The result
//! depends on the offset alone, so it is computed once for as many offsets as were ever needed. Offset `o` is in row `2o`, or
//! `−2o − 1` below zero: more rows can then be added without moving any.

use super::config::FlowConfig;
use crate::chatterbox::s3gen::config::short;
use crate::error::ModelError;
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_graph::{ElemType, Graph, GraphBuilder, Op, StateDecl};
use mynah_plan::{Executor, PlanKey, StateId};

/// Offsets that are projected in a run.
const TOGETHER: usize = 512;

/// The state tensors of all blocks, those after upsampling last.
pub fn position_states(config: &FlowConfig) -> Vec<StateDecl> {
    let name = |i: usize| format!("flow.positions.{i}");
    let decl = |i| StateDecl::new(name(i), [config.width]);
    (0..config.blocks + config.up_blocks).map(decl).collect()
}

/// `sinusoids [R, width]`, i32 `rows [R]` → those rows of every block's state.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn positions_graph(file: &GgufFile, config: &FlowConfig, rows: usize) -> Result<Graph, ModelError> {
    let t = short(file);
    let mut g = GraphBuilder::new("positions");
    let sinusoids = g.input("sinusoids", ElemType::F32, [rows, config.width]);
    let numbers = g.input("rows", ElemType::I32, [rows]);
    for (i, state) in position_states(config).iter().enumerate() {
        let state = g.declare(state);
        let name = format!("{}/attn/pos", block_name(config, i));
        let projected = t.linear(&mut g, &name, sinusoids, [config.width; 2])?;
        g.op(Op::StateScatter(state), &[numbers, projected]);
    }
    Ok(g.finish()?)
}

/// The name of a block, those after upsampling counted on.
pub(super) fn block_name(config: &FlowConfig, index: usize) -> String {
    match index.checked_sub(config.blocks) {
        None => format!("flow/encoder/block{index}"),
        Some(up) => format!("flow/encoder/up_block{up}"),
    }
}

/// The states and how much of them is filled.
#[derive(Debug)]
pub(crate) struct Positions {
    states: Vec<StateId>,
    rows: usize,
}

impl Positions {
    /// Empty states.
    pub(crate) fn new(executor: &mut Executor, config: &FlowConfig) -> Result<Self, ModelError> {
        let create = |decl: &StateDecl| executor.create_state(decl, 1);
        Ok(Self { states: position_states(config).iter().map(create).collect::<Result<_, _>>()?, rows: 0 })
    }

    /// The state tensors in the order of [`position_states`].
    pub(crate) fn states(&self) -> &[StateId] {
        &self.states
    }

    /// Fills the states for sequences of `frames` frames.
    pub(crate) fn reserve(
        &mut self,
        executor: &mut Executor,
        file: &GgufFile,
        config: &FlowConfig,
        frames: usize,
    ) -> Result<(), ModelError> {
        let wanted = frames.saturating_mul(2).next_multiple_of(TOGETHER);
        if wanted <= self.rows {
            return Ok(());
        }
        for &state in &self.states {
            executor.grow_state(state, wanted)?;
        }
        let key = PlanKey { graph: "positions", dims: [TOGETHER, 0, 0, 0] };
        let frequencies = frequencies(config.width);
        for first in (self.rows..wanted).step_by(TOGETHER) {
            let rows: Vec<i32> = (first..first + TOGETHER).map(|row| row as i32).collect();
            let sinusoids: Vec<f32> =
                rows.iter().flat_map(|&row| sinusoids(offset(row), &frequencies)).collect();
            let plan = executor.plan(key, || positions_graph(file, config, TOGETHER))?;
            executor.run(plan, &[Data::F32(&sinusoids), Data::I32(&rows)], &[], &self.states)?;
            self.rows = first + TOGETHER;
        }
        Ok(())
    }
}

/// Rows of the offsets `frames − 1` down to `1 − frames`, in which order attention looks them up.
pub(crate) fn rows(frames: usize) -> Vec<i32> {
    let span = frames as i32 - 1;
    (-span..=span).rev().map(row).collect()
}

/// The row of an offset.
fn row(offset: i32) -> i32 {
    if offset < 0 { -2 * offset - 1 } else { 2 * offset }
}

/// The offset of a row.
fn offset(row: i32) -> i32 {
    if row % 2 == 1 { -(row + 1) / 2 } else { row / 2 }
}

/// `10000^(−2i/width)` as the reference rounds it.
fn frequencies(width: usize) -> Vec<f32> {
    let step = -(libm::log(10_000.0) / width as f64) as f32;
    (0..width.div_ceil(2)).map(|i| libm::expf((2 * i) as f32 * step)).collect()
}

/// Sines on even channels and cosines on odd ones.
fn sinusoids(offset: i32, frequencies: &[f32]) -> impl Iterator<Item = f32> {
    frequencies.iter().flat_map(move |&frequency| {
        let (sin, cos) = libm::sincosf(offset as f32 * frequency);
        [sin, cos]
    })
}

#[cfg(test)]
mod tests {
    use super::{offset, row, rows};

    #[test]
    fn rows_and_offsets_are_each_others_inverse() {
        for o in -100..=100 {
            assert_eq!(offset(row(o)), o);
        }
        for r in 0..200 {
            assert_eq!(row(offset(r)), r);
        }
        assert_eq!(rows(3), [4, 2, 0, 1, 3]);
        assert_eq!(rows(1), [0]);
    }
}
