//! CAMPPlus: an x-vector of a clip. A small residual network over the picture of its filter banks, then densely connected time-delay
//! layers whose outputs are weighed by a mask of their context, then mean and deviation over time.
//!
//! Batch norms come folded into a scale and a shift. The graph is of one clip's exact length: means are over the frames there are.

use super::config::CampplusConfig;
use crate::error::ModelError;
use crate::params::Params;
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_graph::{
    Activation, BinaryOp, Conv1d, Conv2d, ElemType, Epilogue, Graph, GraphBuilder, Op, ValueId,
};
use mynah_plan::{Executor, PlanKey};

/// Residual blocks of a layer are fewer than this.
const MOST_BLOCKS: usize = 16;
/// Fewest filter bank frames that have a deviation: the first time-delay layer halves them.
pub(super) const LEAST_FRAMES: usize = 4;

/// `bands [1, mels, frames, 1]` → `embedding [1, embedding]`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn campplus_graph(file: &GgufFile, config: &CampplusConfig, frames: usize) -> Result<Graph, ModelError> {
    let mut g = GraphBuilder::new("campplus");
    let bands = g.input("bands", ElemType::F32, [1, config.n_mels, frames, 1]);
    let mut net = Net { params: Params::new(file), config, g };
    let x = net.head(bands)?;
    let x = net.time_delay(x)?;
    let embedding = net.pooled(x)?;
    net.g.output("embedding", embedding);
    Ok(net.g.finish()?)
}

/// A clip's embedding from `bands [mels, frames]`.
///
/// # Errors
/// What planning or running the graph reports.
pub(super) fn embed(
    file: &GgufFile,
    config: &CampplusConfig,
    executor: &mut Executor,
    bands: &[f32],
    frames: usize,
) -> Result<Vec<f32>, ModelError> {
    let key = PlanKey { graph: "campplus", dims: [frames, 0, 0, 0] };
    let plan = executor.plan(key, || campplus_graph(file, config, frames))?;
    executor.run(plan, &[Data::F32(bands)], &[], &[])?;
    Ok(executor.output(plan, "embedding")?.to_vec())
}

/// The graph while it is built.
struct Net<'a> {
    params: Params<'a>,
    config: &'a CampplusConfig,
    g: GraphBuilder,
}

impl Net<'_> {
    /// The residual network (FCM): bands to an eighth, then bands and channels as the channels of a sequence `[1, frames, C]`.
    fn head(&mut self, bands: ValueId) -> Result<ValueId, ModelError> {
        let mut x = self.conv2d("head/conv1", bands, [1, 1])?;
        x = self.norm_relu("head/bn1", x)?;
        for layer in ["head/layer1", "head/layer2"] {
            for block in 0..MOST_BLOCKS {
                let name = format!("{layer}/{block}");
                if !self.params.has(&format!("campplus/{name}/conv1/weight")) {
                    break;
                }
                x = self.residual(&name, x, if block == 0 { 2 } else { 1 })?;
            }
        }
        x = self.conv2d("head/conv2", x, [2, 1])?;
        x = self.norm_relu("head/bn2", x)?;
        let [_, bands, frames, channels] = self.dims4(x);
        // Channels come first in what is flattened.
        let x = self.g.permute(x, &[0, 2, 3, 1]);
        Ok(self.g.reshape(x, &[1, frames, channels * bands]))
    }

    fn residual(&mut self, name: &str, x: ValueId, stride: usize) -> Result<ValueId, ModelError> {
        let y = self.conv2d(&format!("{name}/conv1"), x, [stride, 1])?;
        let y = self.norm_relu(&format!("{name}/bn1"), y)?;
        let y = self.conv2d(&format!("{name}/conv2"), y, [1, 1])?;
        let y = self.norm(&format!("{name}/bn2"), y)?;
        let shortcut = format!("{name}/shortcut");
        let x = if self.params.has(&format!("campplus/{shortcut}/0/weight")) {
            let x = self.conv2d(&format!("{shortcut}/0"), x, [stride, 1])?;
            self.norm(&format!("{shortcut}/1"), x)?
        } else {
            x
        };
        let sum = self.g.add(y, x);
        Ok(self.g.relu(sum))
    }

    /// The first time-delay layer, the dense blocks and what halves their channels: `[1, frames/2, C]`.
    fn time_delay(&mut self, x: ValueId) -> Result<ValueId, ModelError> {
        let taps = self.taps("xvector/tdnn/linear/weight")?;
        let mut x = self.conv1d("xvector/tdnn/linear/weight", x, self.config.channels, [2, 1, taps / 2])?;
        x = self.norm_relu("xvector/tdnn/nonlinear/batchnorm", x)?;
        for (block, [layers, dilation]) in self.config.blocks.into_iter().enumerate() {
            let block = block + 1;
            for layer in 1..=layers {
                let name = format!("xvector/block{block}/tdnnd{layer}");
                let added = self.dense(&name, x, dilation)?;
                x = self.g.op(Op::Concat { axis: 2 }, &[x, added]);
            }
            let name = format!("xvector/transit{block}");
            x = self.norm_relu(&format!("{name}/nonlinear/batchnorm"), x)?;
            let half = self.g.shape(x).last() / 2;
            x = self.pointwise(&format!("{name}/linear"), x, half)?;
        }
        self.norm_relu("xvector/out_nonlinear/batchnorm", x)
    }

    /// A dense layer with its context-aware mask.
    fn dense(&mut self, name: &str, x: ValueId, dilation: usize) -> Result<ValueId, ModelError> {
        let &CampplusConfig { growth, bottleneck, kernel, segment, .. } = self.config;
        let inner = growth * bottleneck;
        let x = self.norm_relu(&format!("{name}/nonlinear1/batchnorm"), x)?;
        let x = self.pointwise(&format!("{name}/linear1"), x, inner)?;
        let x = self.norm_relu(&format!("{name}/nonlinear2/batchnorm"), x)?;
        let cam = format!("{name}/cam_layer");
        let pad = (kernel - 1) / 2 * dilation;
        let local = self.conv1d(&format!("{cam}/linear_local/weight"), x, growth, [1, dilation, pad])?;
        // The mask is the same for all frames of a segment, so it is made once for each.
        let frames = self.frames(x);
        let whole = self.g.segment_mean(x, frames);
        let segments = self.g.segment_mean(x, segment);
        let context = self.g.add(segments, whole);
        let squeezed = self.pointwise(&format!("{cam}/linear1"), context, inner / 2)?;
        let squeezed = self.g.relu(squeezed);
        let mask = self.pointwise(&format!("{cam}/linear2"), squeezed, growth)?;
        let mask = self.g.unary(Activation::Sigmoid, mask);
        let mask = self.g.repeat_rows(mask, segment.min(frames));
        let mask = self.g.slice(mask, 1, 0, frames);
        Ok(self.g.mul(local, mask))
    }

    /// Mean and unbiased deviation over time, then the last layer: `[1, embedding]`.
    fn pooled(&mut self, x: ValueId) -> Result<ValueId, ModelError> {
        let frames = self.frames(x);
        let mean = self.g.segment_mean(x, frames);
        let centred = self.g.op(Op::Binary(BinaryOp::Sub), &[x, mean]);
        let squares = self.g.mul(centred, centred);
        let variance = self.g.segment_mean(squares, frames);
        let variance = self.g.scale(variance, frames as f32 / frames.saturating_sub(1).max(1) as f32);
        let deviation = self.g.unary(Activation::Sqrt, variance);
        let statistics = self.g.op(Op::Concat { axis: 2 }, &[mean, deviation]);
        let embedding = self.pointwise("xvector/dense/linear", statistics, self.config.embedding)?;
        let embedding = self.norm("xvector/dense/nonlinear/batchnorm", embedding)?;
        Ok(self.g.reshape(embedding, &[1, self.config.embedding]))
    }

    fn frames(&self, x: ValueId) -> usize {
        self.g.shape(x).dims().get(1).copied().unwrap_or(1)
    }

    fn dims4(&self, x: ValueId) -> [usize; 4] {
        self.g.shape(x).dims().try_into().unwrap_or([1; 4])
    }

    /// A folded batch norm.
    fn norm(&mut self, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let width = self.g.shape(x).last();
        let scale = self.params.weight(&mut self.g, &format!("campplus/{name}/s"), [width])?;
        let shift = self.params.weight(&mut self.g, &format!("campplus/{name}/b"), [width])?;
        let scaled = self.g.mul(x, scale);
        Ok(self.g.add(scaled, shift))
    }

    fn norm_relu(&mut self, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let x = self.norm(name, x)?;
        Ok(self.g.relu(x))
    }

    /// Extents of a tensor of the file.
    fn extents<const N: usize>(&self, tensor: &str) -> Result<[usize; N], ModelError> {
        let name = format!("campplus/{tensor}");
        let shape =
            self.params.shape(&name).ok_or_else(|| ModelError::MissingTensor { name: name.clone() })?;
        let wrong = || ModelError::TensorShape { name, found: shape, wanted: [1; N].into() };
        shape.dims().try_into().map_err(|_| wrong())
    }

    /// A 2-D convolution without a bias, padded by half its kernel.
    fn conv2d(&mut self, name: &str, x: ValueId, stride: [usize; 2]) -> Result<ValueId, ModelError> {
        let tensor = format!("{name}/weight");
        let [out, _, height, width] = self.extents::<4>(&tensor)?;
        let input = self.g.shape(x).last();
        let w =
            self.params.weight(&mut self.g, &format!("campplus/{tensor}"), [out, input, height, width])?;
        let [pad_height, pad_width] = [height, width].map(|k| [k.saturating_sub(1) / 2; 2]);
        let conv = Conv2d { stride, pad_height, pad_width, groups: 1, epilogue: Epilogue::default() };
        Ok(self.g.conv2d(x, w, None, conv))
    }

    /// Taps of a convolution over time.
    fn taps(&self, tensor: &str) -> Result<usize, ModelError> {
        Ok(self.extents::<3>(tensor)?[2])
    }

    /// A convolution over time without a bias, with `[stride, dilation, pad]`.
    fn conv1d(
        &mut self,
        tensor: &str,
        x: ValueId,
        out: usize,
        [stride, dilation, pad]: [usize; 3],
    ) -> Result<ValueId, ModelError> {
        let dims = [out, self.g.shape(x).last(), self.taps(tensor)?];
        let w = self.params.weight(&mut self.g, &format!("campplus/{tensor}"), dims)?;
        let conv = Conv1d { stride, dilation, pad: [pad; 2], epilogue: Epilogue::default() };
        Ok(self.g.conv1d(x, w, None, conv))
    }

    /// A convolution of one tap, with a bias where the file has one.
    fn pointwise(&mut self, name: &str, x: ValueId, out: usize) -> Result<ValueId, ModelError> {
        let dims = [out, self.g.shape(x).last()];
        let w = self.params.weight(&mut self.g, &format!("campplus/{name}/weight"), dims)?;
        let b = self.params.optional(&mut self.g, &format!("campplus/{name}/bias"), [out])?;
        Ok(self.g.linear(x, w, b))
    }
}
