//! The `dw_striding` subsampling: three convolutions of stride 2 from mel frames to encoder frames (NeMo
//! `ConvSubsampling`).
//!
//! The first convolution's output is by far the largest tensor of the model (256 channels at half the frame rate), so
//! audio goes through the convolutions in tiles of time that stay in a processor's cache. An output frame `j` depends on
//! mel frames `8j − 7 ..= 8j + 7`: a tile that starts one output frame early and drops that frame computes exactly what
//! the whole would. The linear layer behind them has the larger weights by far and takes the frames of many tiles.

use crate::error::ModelError;
use crate::parakeet::config::{ParakeetConfig, SUBSAMPLING, halve};
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{Conv2d, ElemType, Epilogue, Graph, GraphBuilder, Op, ValueId};

/// Output frames of a full tile: 1.3 s of audio, 4.5 MB for the largest tensor. A frame in sixteen is computed twice.
const TILE: usize = 16;

/// Output frames of a last tile are rounded up to a multiple of this.
const BUCKET: usize = 8;

/// Frames that go through the linear layer together at most, 20 s of audio, and what fewer are rounded up to.
pub(crate) const TOGETHER: usize = 256;
pub(crate) const TOGETHER_STEP: usize = 16;

/// Valid lengths after each stage, from the valid mel frames: `floor((L − 1) / 2) + 1`, 0 staying 0.
pub(crate) fn stage_lengths(mel_frames: usize) -> [usize; 4] {
    let first = halve(mel_frames);
    let second = halve(first);
    [mel_frames, first, second, halve(second)]
}

/// Output frames of a clip that goes through whole are rounded up to this.
pub(crate) const FRONT_BUCKET: usize = 16;

/// A stretch of mel frames that is subsampled in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// First mel frame, a multiple of 8.
    pub(crate) start: usize,
    /// Mel frames the graph is built for.
    pub(crate) frames: usize,
    /// Output frames at the tile's start that belong to the tile before.
    pub(crate) skip: usize,
    /// Output frames to keep.
    pub(crate) keep: usize,
}

/// The tiles that give all output frames of a clip with `valid` mel frames.
pub(crate) fn tiles(valid: usize) -> Vec<Tile> {
    let outputs = stage_lengths(valid)[3];
    let mut tiles = Vec::new();
    let mut at = 0;
    while at < outputs {
        let skip = usize::from(at > 0);
        let keep = (outputs - at).min(TILE);
        // Last tiles share a few bucket sizes, so that their plans are found again.
        let last = at + keep == outputs;
        let bucket = if last { (keep + skip).next_multiple_of(BUCKET) } else { TILE + 1 };
        tiles.push(Tile { start: (at - skip) * SUBSAMPLING, frames: bucket * SUBSAMPLING, skip, keep });
        at += keep;
    }
    tiles
}

/// Mel frames of the largest tile of a clip with `valid` of them: what [`subsample_graph`] is built for.
pub fn tile_frames(valid: usize) -> usize {
    tiles(valid).first().map_or(BUCKET * SUBSAMPLING, |t| t.frames)
}

/// The convolutions: `features [1, frames, mels, 1]` and per-stage `lengths.0 ..= lengths.2` →
/// `flat [frames/8, channels · bands]`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn subsample_graph(file: &GgufFile, config: &ParakeetConfig, frames: usize) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("subsample");
    let inputs = inputs(&mut g, config, 1, frames);
    let flat = convolutions(&params, &mut g, config, inputs)?;
    let flat = g.reshape(flat, &[frames / SUBSAMPLING, config.flat_width()]);
    g.output("flat", flat);
    Ok(g.finish()?)
}

/// The linear layer: `flat [rows, channels · bands]` → `frames [rows, d_model]`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn pre_encode_graph(file: &GgufFile, config: &ParakeetConfig, rows: usize) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("pre_encode");
    let flat = g.input("flat", ElemType::F32, [rows, config.flat_width()]);
    let out = linear(&params, &mut g, config, flat)?;
    g.output("frames", out);
    Ok(g.finish()?)
}

/// Both for several clips at once, for a device that doesn't want tiles: `features [clips, frames, mels, 1]` and per-stage
/// `lengths.0 ..= lengths.2` of each clip → `frames [clips, frames/8, d_model]`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub(crate) fn front_graph(
    file: &GgufFile,
    config: &ParakeetConfig,
    clips: usize,
    frames: usize,
) -> Result<Graph, ModelError> {
    let mut g = GraphBuilder::new("front");
    let out = front(&Params::new(file), &mut g, config, [clips; 2], frames)?;
    g.output("frames", out);
    Ok(g.finish()?)
}

/// The nodes of [`front_graph`] for a number of clips, of which so many go through the convolutions at a time.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub(crate) fn front(
    params: &Params<'_>,
    g: &mut GraphBuilder,
    config: &ParakeetConfig,
    [clips, together]: [usize; 2],
    frames: usize,
) -> Result<ValueId, ModelError> {
    let inputs = inputs(g, config, clips, frames);
    if together >= clips {
        let flat = convolutions(params, g, config, inputs)?;
        return linear(params, g, config, flat);
    }
    let mut parts = Vec::new();
    for first in (0..clips).step_by(together.max(1)) {
        let some = inputs.map(|x| g.slice(x, 0, first, together.max(1).min(clips - first)));
        parts.push(convolutions(params, g, config, some)?);
    }
    let flat = g.op(Op::Concat { axis: 0 }, &parts);
    linear(params, g, config, flat)
}

/// `features [clips, frames, mels, 1]` and the three `lengths [clips]`.
fn inputs(g: &mut GraphBuilder, config: &ParakeetConfig, clips: usize, frames: usize) -> [ValueId; 4] {
    let features = g.input("features", ElemType::F32, [clips, frames, config.mel.n_mels, 1]);
    let mut length = |i: usize| g.input(&format!("lengths.{i}"), ElemType::I32, [clips]);
    [features, length(0), length(1), length(2)]
}

/// `[clips, frames/8, channels · bands]`.
fn convolutions(
    params: &Params<'_>,
    g: &mut GraphBuilder,
    config: &ParakeetConfig,
    [features, lengths @ ..]: [ValueId; 4],
) -> Result<ValueId, ModelError> {
    let c = config.subsampling_channels;
    let [clips, frames] = [0, 1].map(|axis| g.shape(features).dims()[axis]);
    let name = |i: usize| format!("encoder.pre_encode.conv.{i}");
    let x = g.mask_rows(features, lengths[0]);
    let x = strided(params, g, &name(0), x, [c, 1])?;
    let mut x = g.relu(x);
    for (stage, conv) in [2, 5].into_iter().enumerate() {
        // Padding is zeroed before every stage, or its bias would leak into the last valid frame.
        let masked = g.mask_rows(x, lengths[stage + 1]);
        let depthwise = strided(params, g, &name(conv), masked, [c, c])?;
        let pointwise = params.linear(g, &name(conv + 1), depthwise, [c, c])?;
        x = g.relu(pointwise);
    }
    let (time, bands) = (frames / SUBSAMPLING, config.subsampled_bands());
    // Flattened channel-major, as NeMo does: index `c · bands + f`.
    let channels_first = g.permute(x, &[0, 1, 3, 2]);
    Ok(g.reshape(channels_first, &[clips, time, c * bands]))
}

fn linear(
    params: &Params<'_>,
    g: &mut GraphBuilder,
    config: &ParakeetConfig,
    flat: ValueId,
) -> Result<ValueId, ModelError> {
    let out = params.linear(g, "encoder.pre_encode.out", flat, [config.d_model, config.flat_width()])?;
    Ok(if config.xscaling { g.scale(out, (config.d_model as f32).sqrt()) } else { out })
}

/// A 3×3 convolution of stride 2 with a bias, `[out, in]` channels, depthwise when they are equal.
fn strided(
    params: &Params<'_>,
    g: &mut GraphBuilder,
    name: &str,
    x: ValueId,
    [out, input]: [usize; 2],
) -> Result<ValueId, ModelError> {
    let w = params.weight(g, &format!("{name}.weight"), [out, 1, 3, 3])?;
    let b = params.optional(g, &format!("{name}.bias"), [out])?;
    let (pad, epilogue) = ([1, 1], Epilogue::default());
    let conv = Conv2d { stride: [2, 2], pad_height: pad, pad_width: pad, groups: input, epilogue };
    Ok(g.conv2d(x, w, b, conv))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_lengths_follow_nemo() {
        assert_eq!(stage_lengths(0), [0, 0, 0, 0]);
        assert_eq!(stage_lengths(1), [1, 1, 1, 1]);
        assert_eq!(stage_lengths(8), [8, 4, 2, 1]);
        assert_eq!(stage_lengths(9), [9, 5, 3, 2]);
        assert_eq!(stage_lengths(399), [399, 200, 100, 50]);
    }

    #[test]
    fn tiles_cover_every_output_frame_once() {
        for valid in [0, 1, 7, 8, 9, 511, 512, 513, 4000] {
            let tiles = tiles(valid);
            let mut at = 0;
            for t in &tiles {
                assert_eq!(t.start / SUBSAMPLING + t.skip, at);
                assert!(t.skip + t.keep <= t.frames / SUBSAMPLING);
                at += t.keep;
            }
            assert_eq!(at, stage_lengths(valid)[3]);
        }
    }
}
