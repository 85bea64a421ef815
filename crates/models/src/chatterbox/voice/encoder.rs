//! The voice encoder: a stack of LSTM layers over windows of 1.6 s, whose last hidden state is what a window says of the speaker.
//!
//! Windows run together as a batch. A graph takes a stretch of their frames and leaves hidden and cell state in state tensors, so that
//! the graph stays small whatever a window's length.

use super::config::VoiceEncoderConfig;
use crate::error::ModelError;
use crate::params::Params;
use mynah_audio::Features;
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_graph::{ElemType, Graph, GraphBuilder, Op, StateDecl};
use mynah_plan::{Executor, PlanKey, StateId};

/// Frames that a graph takes at most; it has some nodes for each frame and layer.
const STRETCH: usize = 40;
/// Windows that run together at most.
const TOGETHER: usize = 32;

/// Extents of [`voice_encoder_graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowDims {
    /// Windows that run together.
    pub windows: usize,
    /// Frames of each.
    pub frames: usize,
}

/// Frames that the graph takes at a time: the largest divisor of a window that is no longer than [`STRETCH`].
fn stretch(window: usize) -> usize {
    (1..=STRETCH.min(window)).rev().find(|n| window.is_multiple_of(*n)).unwrap_or(1)
}

/// Hidden and cell state of each layer, a row per window.
fn states(config: &VoiceEncoderConfig) -> Vec<StateDecl> {
    let names = (0..config.layers).flat_map(|l| ["hidden", "cell"].map(|k| format!("voice_encoder.{k}.{l}")));
    names.map(|name| StateDecl::new(name, [config.hidden])).collect()
}

/// `frames [windows, frames, mels]`, `rows [windows]` (of the states), `active [windows]` (all 1) → `raw [windows, embedding]`, what
/// the windows say so far, not yet of length one.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn voice_encoder_graph(
    file: &GgufFile,
    config: &VoiceEncoderConfig,
    dims: &WindowDims,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("voice_encoder");
    let &WindowDims { windows, frames } = dims;
    let h = config.hidden;
    let mut x = g.input("frames", ElemType::F32, [windows, frames, config.n_mels]);
    let rows = g.input("rows", ElemType::I32, [windows]);
    let active = g.input("active", ElemType::I32, [windows]);
    let states: Vec<_> = states(config).iter().map(|s| g.declare(s)).collect();
    let mut last = x;
    for (layer, pair) in states.chunks_exact(2).enumerate() {
        let (hidden, cell) = (pair[0], pair[1]);
        let width = g.shape(x).last();
        let part = |name: &str| format!("voice_encoder/lstm/{name}_l{layer}");
        let from_input = params.weight(&mut g, &part("weight_ih"), [4 * h, width])?;
        let from_hidden = params.weight(&mut g, &part("weight_hh"), [4 * h, h])?;
        let input_bias = params.weight(&mut g, &part("bias_ih"), [4 * h])?;
        let hidden_bias = params.weight(&mut g, &part("bias_hh"), [4 * h])?;
        // One product for the inputs of all frames; only what depends on the hidden state goes from frame to frame.
        let projected = g.linear(x, from_input, Some(input_bias));
        last = g.op(Op::StateGather(hidden), &[rows]);
        let mut outputs = Vec::with_capacity(frames);
        for frame in 0..frames {
            let own = g.slice(projected, 1, frame, 1);
            let own = g.reshape(own, &[windows, 4 * h]);
            let recurrent = g.linear(last, from_hidden, Some(hidden_bias));
            let gates = g.add(recurrent, own);
            last = g.op(Op::LstmStep { hidden, cell }, &[gates, rows, active]);
            outputs.push(g.reshape(last, &[windows, 1, h]));
        }
        x = match outputs[..] {
            [one] => one,
            _ => g.op(Op::Concat { axis: 1 }, &outputs),
        };
    }
    let w = params.weight(&mut g, "voice_encoder/proj/weight", [config.embedding, h])?;
    let b = params.weight(&mut g, "voice_encoder/proj/bias", [config.embedding])?;
    let raw = g.linear(last, w, Some(b));
    let raw = g.relu(raw);
    g.output("raw", raw);
    Ok(g.finish()?)
}

/// What the windows of a clip say, each `[embedding]` and of length one.
///
/// # Errors
/// What planning or running the graph reports.
pub(super) fn embed_windows(
    file: &GgufFile,
    config: &VoiceEncoderConfig,
    executor: &mut Executor,
    features: &Features,
) -> Result<Vec<Vec<f32>>, ModelError> {
    let count = config.windows(features.frames);
    let together = count.min(TOGETHER).next_power_of_two();
    let mut created = Vec::new();
    let result = run_windows(file, config, executor, features, [count, together], &mut created);
    for state in created {
        executor.drop_state(state);
    }
    result
}

/// The same with state tensors that are put into `created`, for the caller to drop.
fn run_windows(
    file: &GgufFile,
    config: &VoiceEncoderConfig,
    executor: &mut Executor,
    features: &Features,
    [count, together]: [usize; 2],
    created: &mut Vec<StateId>,
) -> Result<Vec<Vec<f32>>, ModelError> {
    let frames = stretch(config.window);
    let dims = WindowDims { windows: together, frames };
    let key = PlanKey { graph: "voice_encoder", dims: [together, frames, 0, 0] };
    let plan = executor.plan(key, || voice_encoder_graph(file, config, &dims))?;
    for decl in states(config) {
        created.push(executor.create_state(&decl, together)?);
    }
    let rows: Vec<i32> = (0..together as i32).collect();
    let (active, zeros) = (vec![1; together], vec![0.0; together * config.hidden]);
    let mut embeddings = Vec::with_capacity(count);
    let mut input = vec![0.0; together * frames * config.n_mels];
    for first in (0..count).step_by(together) {
        for &state in created.iter() {
            executor.restore(state, &zeros)?;
        }
        for from in (0..config.window).step_by(frames) {
            for (i, slot) in input.chunks_exact_mut(config.n_mels).enumerate() {
                let (window, frame) = (first + i / frames, from + i % frames);
                // Frames beyond the clip are zeros, and so are windows beyond the last.
                let row = features.row(window * config.step() + frame);
                let there = window < count && row.len() == slot.len();
                slot.fill(0.0);
                if there {
                    slot.copy_from_slice(row);
                }
            }
            let data = [Data::F32(&input), Data::I32(&rows), Data::I32(&active)];
            executor.run(plan, &data, &[], created)?;
        }
        let raw = executor.output(plan, "raw")?;
        let own = raw.chunks_exact(config.embedding).take(count - first);
        embeddings.extend(own.map(|row| unit(&row.iter().map(|&x| f64::from(x)).collect::<Vec<_>>())));
    }
    Ok(embeddings)
}

/// One embedding of several: their mean, made of length one.
pub(super) fn mean(windows: &[Vec<f32>]) -> Vec<f32> {
    let width = windows.first().map_or(0, Vec::len);
    let sum = |i: usize| windows.iter().filter_map(|w| w.get(i)).map(|&x| f64::from(x)).sum();
    unit(&(0..width).map(sum).collect::<Vec<_>>())
}

/// A vector of length one; zeros stay zeros.
fn unit(x: &[f64]) -> Vec<f32> {
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.iter().map(|x| if norm > 0.0 { (x / norm) as f32 } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_goes_through_in_equal_stretches() {
        for (window, wanted) in [(160, 40), (120, 40), (100, 25), (97, 1), (7, 7), (1, 1)] {
            assert_eq!(stretch(window), wanted, "{window}");
        }
    }
}
