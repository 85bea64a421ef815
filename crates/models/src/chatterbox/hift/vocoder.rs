//! HiFTNet's body (Li et al. 2023): upsampling by transposed convolutions, the source joined in at each rate, and a spectrum
//! whose inverse transform is the wave.

use super::config::{HiftConfig, ResBlockConfig};
use crate::chatterbox::s3gen::config::long;
use crate::chatterbox::s3gen::tensors::Tensors;
use crate::error::ModelError;
use mynah_gguf::GgufFile;
use mynah_graph::{Activation, Conv1d, ConvTranspose1d, ElemType, Graph, GraphBuilder, Op, ValueId};

/// Slope of the rectifiers between stages.
const SLOPE: f32 = 0.1;
/// Slope of the last one, PyTorch's default.
const LAST_SLOPE: f32 = 0.01;
/// The largest magnitude of a spectrum.
const LOUDEST: f32 = 100.0;
/// The largest sample.
const LIMIT: f32 = 0.99;

/// `mel [1, T, bins]`, `spectrum [1, W, 2·(n/2 + 1)]` of the source, `W` being a row more than the last stage's rate times `T` →
/// `pcm [1, samples]`. With `stages` also what is between them.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn vocoder_graph(
    file: &GgufFile,
    config: &HiftConfig,
    frames: usize,
    stages: bool,
) -> Result<Graph, ModelError> {
    let t = long(file);
    let mut g = GraphBuilder::new("vocoder");
    let numbers = config.window + 2;
    let windows = config.frame_windows() * frames + 1;
    let mel = g.input("mel", ElemType::F32, [1, frames, config.bins]);
    let spectrum = g.input("spectrum", ElemType::F32, [1, windows, numbers]);
    let mut kept = Vec::new();

    let (channels, taps) = (config.channels, config.pre_taps);
    let pad = Conv1d::padded(taps / 2, taps / 2);
    let mut x = t.conv1d(&mut g, "hift/conv_pre", mel, [channels, config.bins, taps], pad)?;
    kept.push(("pre".to_owned(), x));
    for (i, stage) in config.stages.iter().enumerate() {
        x = g.unary(Activation::LeakyRelu(SLOPE), x);
        let side = (stage.taps - stage.rate) / 2;
        let conv = ConvTranspose1d { stride: stage.rate, pad: [side; 2], epilogue: Default::default() };
        let shape = [stage.inputs, stage.outputs, stage.taps];
        x = t.conv_transpose1d(&mut g, &format!("hift/ups/{i}"), x, shape, conv)?;
        kept.push((format!("up.{i}"), x));
        if i + 1 == config.stages.len() {
            // A spectrum has one frame more than hops: the second row, mirrored, goes before the first.
            let mirrored = g.slice(x, 1, 1, 1);
            x = g.op(Op::Concat { axis: 1 }, &[mirrored, x]);
        }
        let half = stage.source_stride / 2;
        let conv = Conv1d { stride: stage.source_stride, ..Conv1d::padded(half, half) };
        let shape = [stage.outputs, numbers, stage.source_taps];
        let source = t.conv1d(&mut g, &format!("hift/source_downs/{i}"), spectrum, shape, conv)?;
        let source = residual_block(&t, &mut g, &stage.source, source)?;
        kept.push((format!("source.{i}"), source));
        x = g.add(x, source);

        let mut sum = None;
        for (j, block) in stage.blocks.iter().enumerate() {
            let y = residual_block(&t, &mut g, block, x)?;
            kept.push((format!("block.{}", i * stage.blocks.len() + j), y));
            sum = Some(sum.map_or(y, |sum| g.add(sum, y)));
        }
        x = sum.map_or(x, |sum| g.scale(sum, 1.0 / stage.blocks.len() as f32));
    }
    x = g.unary(Activation::LeakyRelu(LAST_SLOPE), x);
    let (inputs, taps) = (g.shape(x).last(), config.post_taps);
    let pad = Conv1d::padded(taps / 2, taps / 2);
    x = t.conv1d(&mut g, "hift/conv_post", x, [numbers, inputs, taps], pad)?;
    kept.push(("post".to_owned(), x));

    let bins = numbers / 2;
    let magnitude = g.slice(x, 2, 0, bins);
    let magnitude = g.unary(Activation::Exp, magnitude);
    let magnitude = g.clamp(magnitude, 0.0, LOUDEST);
    let phase = g.slice(x, 2, bins, bins);
    let phase = g.unary(Activation::Sin, phase);
    let parts = [Activation::Cos, Activation::Sin].map(|f| {
        let part = g.unary(f, phase);
        g.mul(magnitude, part)
    });
    let both = g.op(Op::Concat { axis: 2 }, &parts);
    let pcm = g.inverse_stft(both, config.hop());
    let pcm = g.clamp(pcm, -LIMIT, LIMIT);
    g.output("pcm", pcm);
    if stages {
        kept.iter().for_each(|(name, value)| g.output(name, *value));
    }
    Ok(g.finish()?)
}

/// Pairs of convolutions behind snakes (Ziyin et al. 2020), each pair around a shortcut; `x [1, T, C]` → the same shape.
fn residual_block(
    t: &Tensors<'_>,
    g: &mut GraphBuilder,
    block: &ResBlockConfig,
    mut x: ValueId,
) -> Result<ValueId, ModelError> {
    let channels = g.shape(x).last();
    let shape = [channels, channels, block.taps];
    for i in 0..block.pairs {
        let mut h = x;
        for (part, dilation) in [(1, 2 * i + 1), (2, 1)] {
            let alpha = format!("{}/activations{part}/{i}/alpha", block.name);
            let alpha = t.weight(g, &alpha, [channels])?;
            h = g.snake(h, alpha);
            let side = dilation * (block.taps - 1) / 2;
            let conv = Conv1d { dilation, ..Conv1d::padded(side, side) };
            h = t.conv1d(g, &format!("{}/convs{part}/{i}", block.name), h, shape, conv)?;
        }
        x = g.add(h, x);
    }
    Ok(x)
}
