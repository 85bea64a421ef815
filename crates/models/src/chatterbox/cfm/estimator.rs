//! The estimator and a step of Euler's rule around it.

use super::config::CfmConfig;
use super::solver::condition_states;
use super::time::resnet_names;
use crate::chatterbox::s3gen::config::long;
use crate::chatterbox::s3gen::tensors::Tensors;
use crate::error::ModelError;
use mynah_gguf::GgufFile;
use mynah_graph::{Activation, Conv1d, ElemType, Graph, GraphBuilder, Op, ValueId};

/// Added to variances.
const EPS: f32 = 1e-5;
/// Taps of the convolutions, all of which look back only.
const TAPS: usize = 3;

/// The shape a step is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepDims {
    /// Requests.
    pub batch: usize,
    /// Mel frames of the longest, rounded up to a bucket.
    pub frames: usize,
    /// Also give what is between the stages.
    pub stages: bool,
}

/// i32 `rows [B·T]` (of each request's frames), `seen [R·T]` and `conditions [R·T]` (rows that the `R` sequences of the estimator read:
/// with guidance the requests twice, the second time with the conditions of row 0, which is zero), `lengths [R]`, f32 `shifts
/// [blocks·channels]` and `dt [1]` → the rows of the state, a step further.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn step_graph(file: &GgufFile, config: &CfmConfig, dims: &StepDims) -> Result<Graph, ModelError> {
    let mut g = GraphBuilder::new("step");
    let (batch, frames, bins) = (dims.batch, dims.frames, config.bins);
    let guided = config.guidance > 0.0;
    let sequences = if guided { 2 * batch } else { batch };
    let rows = g.input("rows", ElemType::I32, [batch * frames]);
    let seen = g.input("seen", ElemType::I32, [sequences * frames]);
    let conditions = g.input("conditions", ElemType::I32, [sequences * frames]);
    let lengths = g.input("lengths", ElemType::I32, [sequences]);
    let shifts = g.input("shifts", ElemType::F32, [config.resnets() * config.channels]);
    let dt = g.input("dt", ElemType::F32, [1]);
    let states: Vec<_> = condition_states(bins).iter().map(|s| g.declare(s)).collect();

    let x = g.op(Op::StateGather(states[0]), &[seen]);
    let x = g.reshape(x, &[sequences, frames, bins]);
    let given = g.op(Op::StateGather(states[1]), &[conditions]);
    let given = g.reshape(given, &[sequences, frames, 3 * bins]);
    let both = g.op(Op::Concat { axis: 2 }, &[x, given]);
    let mut estimator = Estimator { t: long(file), config, lengths, shifts, blocks: 0, kept: Vec::new() };
    let velocity = estimator.forward(&mut g, both)?;

    let towards = if guided {
        let with = g.slice(velocity, 0, 0, batch);
        let without = g.slice(velocity, 0, batch, batch);
        let with = g.scale(with, 1.0 + config.guidance);
        let without = g.scale(without, -config.guidance);
        g.add(with, without)
    } else {
        velocity
    };
    let moved = g.mul(towards, dt);
    let x = g.slice(x, 0, 0, batch);
    let x = g.add(x, moved);
    let x = g.reshape(x, &[batch * frames, bins]);
    g.op(Op::StateScatter(states[0]), &[rows, x]);
    if dims.stages {
        estimator.kept.iter().for_each(|(name, value)| g.output(name, *value));
        g.output("velocity", velocity);
    }
    Ok(g.finish()?)
}

/// i32 `rows [n]` → `mel [n, bins]`, what was solved for.
///
/// # Errors
/// None that a file could cause.
pub fn mel_graph(config: &CfmConfig, rows: usize) -> Result<Graph, ModelError> {
    let mut g = GraphBuilder::new("mel");
    let numbers = g.input("rows", ElemType::I32, [rows]);
    let states: Vec<_> = condition_states(config.bins).iter().map(|s| g.declare(s)).collect();
    let mel = g.op(Op::StateGather(states[0]), &[numbers]);
    g.output("mel", mel);
    Ok(g.finish()?)
}

/// The velocity of the flow, block by block.
struct Estimator<'a> {
    t: Tensors<'a>,
    config: &'a CfmConfig,
    lengths: ValueId,
    shifts: ValueId,
    /// Residual blocks built.
    blocks: usize,
    kept: Vec<(String, ValueId)>,
}

impl Estimator<'_> {
    /// `[R, T, 4·bins]` → `[R, T, bins]`.
    fn forward(&mut self, g: &mut GraphBuilder, x: ValueId) -> Result<ValueId, ModelError> {
        let (config, channels) = (self.config, self.config.channels);
        let names: Vec<String> = resnet_names(config).collect();
        let mut x = g.scope("down", |g| self.stage(g, &names[0], x, "down.resnet"))?;
        let skip = x;
        x = self.causal(g, "cfm/down_blocks/0/2", x, channels)?;
        self.kept.push(("down".to_owned(), x));
        for (i, name) in names[1..names.len() - 1].iter().enumerate() {
            x = g.scope(format!("mid.{i}"), |g| self.stage(g, name, x, &format!("mid.{i}.resnet")))?;
        }
        x = g.op(Op::Concat { axis: 2 }, &[x, skip]);
        x = g.scope("up", |g| self.stage(g, &names[names.len() - 1], x, "up.resnet"))?;
        x = self.causal(g, "cfm/up_blocks/0/2", x, channels)?;
        self.kept.push(("up".to_owned(), x));
        x = self.block(g, "cfm/final_block/block", x)?;
        let shape = [config.bins, channels, 1];
        self.t.conv1d(g, "cfm/final_proj", x, shape, Conv1d::padded(0, 0))
    }

    /// A residual block and the transformers after it.
    fn stage(
        &mut self,
        g: &mut GraphBuilder,
        resnet: &str,
        x: ValueId,
        keep: &str,
    ) -> Result<ValueId, ModelError> {
        let mut x = self.resnet(g, resnet, x)?;
        self.kept.push((keep.to_owned(), x));
        // `cfm/mid_blocks/3/0` is followed by `cfm/mid_blocks/3/1/N`.
        let stem = resnet.strip_suffix("/0").unwrap_or(resnet);
        for i in 0..self.config.transformers {
            x = self.transformer(g, &format!("{stem}/1/{i}"), x)?;
        }
        Ok(x)
    }

    /// Two blocks, the time's shift between them, and a shortcut through a linear layer.
    fn resnet(&mut self, g: &mut GraphBuilder, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let channels = self.config.channels;
        let inputs = g.shape(x).last();
        let h = self.block(g, &format!("{name}/block1/block"), x)?;
        let shift = g.slice(self.shifts, 0, self.blocks * channels, channels);
        self.blocks += 1;
        let h = g.add(h, shift);
        let h = self.block(g, &format!("{name}/block2/block"), h)?;
        let shape = [channels, inputs, 1];
        let direct = self.t.conv1d(g, &format!("{name}/res_conv"), x, shape, Conv1d::padded(0, 0))?;
        Ok(g.add(direct, h))
    }

    /// Convolution, norm over channels, Mish.
    fn block(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let h = self.causal(g, &format!("{name}/0"), x, self.config.channels)?;
        let h = self.t.layer_norm(g, &format!("{name}/2"), h, EPS)?;
        Ok(g.unary(Activation::Mish, h))
    }

    fn causal(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        x: ValueId,
        outputs: usize,
    ) -> Result<ValueId, ModelError> {
        let inputs = g.shape(x).last();
        self.t.conv1d(g, name, x, [outputs, inputs, TAPS], Conv1d::padded(TAPS - 1, 0))
    }

    /// `x + MHSA(LN(x))`, then `+ FFN(LN(x))`.
    fn transformer(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let (t, config) = (&self.t, self.config);
        let (channels, inner) = (config.channels, config.heads * config.head);
        let h = t.layer_norm(g, &format!("{name}/norm1"), x, EPS)?;
        let shape = g.shape(x);
        let heads = match shape.dims() {
            [sequences, frames, _] => [*sequences, *frames, config.heads, config.head],
            _ => [1, 1, config.heads, config.head],
        };
        let project = |g: &mut GraphBuilder, part: &str| -> Result<ValueId, ModelError> {
            let y = t.linear(g, &format!("{name}/attn1/{part}"), h, [inner, channels])?;
            Ok(g.reshape(y, &heads))
        };
        let (q, k, v) = (project(g, "to_q")?, project(g, "to_k")?, project(g, "to_v")?);
        let h = g.attention(q, k, v, self.lengths, 1.0 / (config.head as f32).sqrt());
        let h = g.reshape(h, &[heads[0], heads[1], inner]);
        let h = t.linear(g, &format!("{name}/attn1/to_out/0"), h, [channels, inner])?;
        let x = g.add(h, x);
        let h = t.layer_norm(g, &format!("{name}/norm3"), x, EPS)?;
        let h = t.linear(g, &format!("{name}/ff/net/0/proj"), h, [config.feed_forward, channels])?;
        let h = g.unary(Activation::Gelu, h);
        let h = t.linear(g, &format!("{name}/ff/net/2"), h, [channels, config.feed_forward])?;
        Ok(g.add(h, x))
    }
}
