//! CAMPPlus, waveform to speaker embedding: its convolutions as they are, its batch norms folded into a scale and a
//! shift per channel.

use mynah_tensor::Shape;

use super::banks;
use super::error::ChatterboxError;
use super::s3gen::is_left_out;
use super::state::{Found, Part, State};

const PREFIX: &str = "speaker_encoder.";
/// Of torch's batch norms.
const EPSILON: f32 = 1e-5;
/// How much the two-dimensional head shrinks the mel axis.
const HEAD_STRIDE: usize = 8;

/// Adds the encoder.
pub(super) fn convert(state: &mut State, part: &mut Part) -> Result<(), ChatterboxError> {
    let name = |rest: &str| format!("{PREFIX}{rest}");
    let [channels, taken, _] = state.dims(&name("xvector.tdnn.linear.weight"))?;
    let [head, ..] = state.dims::<4>(&name("head.conv2.weight"))?;
    let [embedding, ..] = state.dims::<3>(&name("xvector.dense.linear.weight"))?;
    let [growth, inner, kernel] = state.dims(&name("xvector.block1.tdnnd1.cam_layer.linear_local.weight"))?;
    let mels = taken / head.max(1) * HEAD_STRIDE;
    part.count("campplus.feat_dim", mels);
    part.count("campplus.embedding_size", embedding);
    part.count("campplus.growth_rate", growth);
    part.count("campplus.bn_size", inner / growth.max(1));
    part.count("campplus.init_channels", channels);
    for block in 1..=3 {
        // They are numbered from one.
        let layers = state.count(&name(&format!("xvector.block{block}.tdnnd"))).saturating_sub(1);
        part.count(&format!("campplus.block{block}_layers"), layers);
    }
    for (block, dilation) in [(1, 1u32), (2, 2), (3, 2)] {
        part.set(&format!("campplus.block{block}_dilation"), dilation);
    }
    part.count("campplus.kernel_size", kernel);
    part.set("campplus.seg_pool_len", 100u32);
    part.set("campplus.sample_rate", 16_000u32);
    for name in state.under(PREFIX) {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|_| state.has(&name) && !is_left_out(&name)) else {
            continue;
        };
        let (stem, _) = name.rsplit_once('.').unwrap_or_default();
        if state.has(&format!("{stem}.running_mean")) {
            let to = rest.rsplit_once('.').map_or(rest, |(stem, _)| stem).replace('.', "/");
            let (scale, shift) = batch_norm(state, stem)?;
            let shape = Shape::from([scale.len()]);
            part.add(format!("campplus/{to}/s"), Found::values(shape, scale));
            part.add(format!("campplus/{to}/b"), Found::values(shape, shift));
        } else {
            part.add(format!("campplus/{}", rest.replace('.', "/")), state.take(&name)?);
        }
    }
    let bank = banks::kaldi(16_000.0, 512, mels, 20.0);
    part.add("campplus/mel_fb_kaldi_80", Found::values(Shape::from([mels, 257]), bank));
    Ok(())
}

/// Scale and shift of a batch norm with or without weights of its own.
fn batch_norm(state: &mut State, stem: &str) -> Result<(Vec<f32>, Vec<f32>), ChatterboxError> {
    let [count] = state.dims(&format!("{stem}.running_mean"))?;
    let mean = state.vector(&format!("{stem}.running_mean"), count)?;
    let variance = state.vector(&format!("{stem}.running_var"), count)?;
    let affine = state.has(&format!("{stem}.weight"));
    let (gain, bias) = match affine {
        true => {
            (state.vector(&format!("{stem}.weight"), count)?, state.vector(&format!("{stem}.bias"), count)?)
        }
        false => (vec![1.0; count], vec![0.0; count]),
    };
    let scale: Vec<f32> =
        gain.iter().zip(&variance).map(|(gain, variance)| gain / (variance + EPSILON).sqrt()).collect();
    let shift = bias.iter().zip(&mean).zip(&scale).map(|((bias, mean), scale)| bias - mean * scale).collect();
    Ok((scale, shift))
}
