//! S3TokenizerV2: speech tokens of a clip, 25 a second. Two convolutions that halve the frames, Transformer blocks with a memory block
//! (FSMN, Zhang et al. 2018) beside the attention, and a finite scalar quantiser (Mentzer et al. 2023) with eight digits of three.

use super::config::S3TokenizerConfig;
use crate::error::ModelError;
use crate::params::Params;
use mynah_audio::Features;
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_graph::{Activation, Conv1d, ElemType, Epilogue, Graph, GraphBuilder, Op, Rope, ValueId};
use mynah_plan::{Executor, PlanKey};

const EPS: f32 = 1e-5;
/// Mel frames of the longest clip that goes through at once, 30 s; longer ones go in windows that overlap by 4 s.
const WINDOW: usize = 3000;
const OVERLAP: usize = 400;
/// Mel frames of a token.
pub(super) const HOP: usize = 4;
/// Mel frames are rounded up to this, so that clips of like length share a plan.
const BUCKET: usize = 100;
/// What the quantiser multiplies by, so that no digit is exactly one (`0.9990000128746033` in the original, the same float).
const BELOW_ONE: f32 = 0.999;

/// Frames of `frames` mel frames after each of the two convolutions.
fn stages(frames: usize) -> [usize; 3] {
    let half = |n: usize| n.div_ceil(2);
    [frames, half(frames), half(half(frames))]
}

/// `mel [1, frames, mels]`, `lengths.0` to `lengths.2` `[1]` (valid frames of each stage), `positions [1, tokens]` →
/// `digits [1, tokens, 8]`, before they are quantised.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn s3_tokenizer_graph(
    file: &GgufFile,
    config: &S3TokenizerConfig,
    frames: usize,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("s3_tokenizer");
    let c = config.width;
    let mel = g.input("mel", ElemType::F32, [1, frames, config.n_mels]);
    let lengths = [0, 1, 2].map(|i| g.input(&format!("lengths.{i}"), ElemType::I32, [1]));
    let tokens = stages(frames)[2];
    let positions = g.input("positions", ElemType::I32, [1, tokens]);
    let mut x = mel;
    for (i, length) in lengths.into_iter().take(2).enumerate() {
        // Frames beyond the clip are zeros to each convolution, whatever the bias of the one before made of them.
        let masked = g.mask_rows(x, length);
        let name = format!("s3tokv2/encoder/conv{}", i + 1);
        let dims = [c, g.shape(x).last(), 3];
        let w = params.weight(&mut g, &format!("{name}/weight"), dims)?;
        let b = params.weight(&mut g, &format!("{name}/bias"), [c])?;
        let conv = Conv1d { stride: 2, dilation: 1, pad: [1, 1], epilogue: Epilogue::default() };
        let y = g.conv1d(masked, w, Some(b), conv);
        x = g.unary(Activation::Gelu, y);
    }
    for layer in 0..config.layers {
        let block = Block { params, config, prefix: format!("s3tokv2/encoder/blocks/{layer}") };
        x = g.scope(format!("block.{layer}"), |g| block.build(g, x, lengths[2], positions))?;
    }
    let down = "s3tokv2/quantizer/_codebook/project_down";
    let digits = linear(&params, &mut g, down, x, config.digits)?;
    g.output("digits", digits);
    Ok(g.finish()?)
}

struct Block<'a> {
    params: Params<'a>,
    config: &'a S3TokenizerConfig,
    prefix: String,
}

impl Block<'_> {
    fn build(
        &self,
        g: &mut GraphBuilder,
        x: ValueId,
        length: ValueId,
        positions: ValueId,
    ) -> Result<ValueId, ModelError> {
        let &S3TokenizerConfig { width: c, heads, feed_forward, memory, theta, .. } = self.config;
        let name = |part: &str| format!("{}/{part}", self.prefix);
        let tokens = g.shape(x).dims()[1];
        let normed = self.layer_norm(g, "attn_ln", x)?;
        let q = linear(&self.params, g, &name("attn/query"), normed, c)?;
        let k = linear(&self.params, g, &name("attn/key"), normed, c)?;
        let v = linear(&self.params, g, &name("attn/value"), normed, c)?;
        let by_head = [1, tokens, heads, c / heads];
        let [q4, k4, v4] = [q, k, v].map(|x| g.reshape(x, &by_head));
        let rope = Rope::new(c / heads, theta);
        let [q4, k4] = [q4, k4].map(|x| g.rope(x, positions, rope));
        let scale = ((c / heads) as f32).powf(-0.5);
        let seen = g.attention(q4, k4, v4, length, scale);
        let seen = g.reshape(seen, &[1, tokens, c]);
        let seen = linear(&self.params, g, &name("attn/out"), seen, c)?;
        // The memory block reads the values as a sequence, and is added behind the attention's projection.
        let values = g.mask_rows(v, length);
        let taps = self.params.weight(g, &name("attn/fsmn_block/weight"), [c, 1, memory])?;
        let left = (memory - 1) / 2;
        let remembered = g.depthwise_conv1d(values, taps, None, [left, memory - 1 - left]);
        let remembered = g.add(remembered, values);
        let mixed = g.add(seen, remembered);
        let x = g.add(x, mixed);
        let normed = self.layer_norm(g, "mlp_ln", x)?;
        let inner = linear(&self.params, g, &name("mlp/0"), normed, feed_forward)?;
        let inner = g.unary(Activation::Gelu, inner);
        let y = linear(&self.params, g, &name("mlp/2"), inner, c)?;
        Ok(g.add(x, y))
    }

    fn layer_norm(&self, g: &mut GraphBuilder, part: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let width = g.shape(x).last();
        let gain = self.params.weight(g, &format!("{}/{part}/weight", self.prefix), [width])?;
        let bias = self.params.weight(g, &format!("{}/{part}/bias", self.prefix), [width])?;
        Ok(g.op(Op::LayerNorm { eps: EPS }, &[x, gain, bias]))
    }
}

/// `x · wᵀ + b` with `NAME/weight [n, k]` and, where the file has it, `NAME/bias [n]`.
fn linear(
    params: &Params<'_>,
    g: &mut GraphBuilder,
    name: &str,
    x: ValueId,
    n: usize,
) -> Result<ValueId, ModelError> {
    let w = params.weight(g, &format!("{name}/weight"), [n, g.shape(x).last()])?;
    let b = params.optional(g, &format!("{name}/bias"), [n])?;
    Ok(g.linear(x, w, b))
}

/// Speech tokens of a spectrogram of at most `most` mel frames; what it has beyond them is not looked at.
///
/// # Errors
/// What planning or running the graph reports.
pub(super) fn tokenize(
    file: &GgufFile,
    config: &S3TokenizerConfig,
    executor: &mut Executor,
    mel: &Features,
    most: Option<usize>,
) -> Result<Vec<i32>, ModelError> {
    let frames = mel.frames.min(most.unwrap_or(usize::MAX));
    let mut all = Vec::with_capacity(stages(frames)[2]);
    for part in windows(frames) {
        let digits = run(file, config, executor, mel, part.start..part.end)?;
        let tokens = digits.chunks_exact(config.digits).map(token);
        all.extend(tokens.skip(part.skip).take(part.keep));
    }
    Ok(all)
}

/// A stretch of mel frames that goes through at once, and the tokens of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    start: usize,
    end: usize,
    skip: usize,
    keep: usize,
}

/// Where windows overlap, each gives the tokens of its half.
fn windows(frames: usize) -> Vec<Part> {
    let step = if frames > WINDOW { WINDOW - OVERLAP } else { WINDOW };
    let half = OVERLAP / 2 / HOP;
    let starts: Vec<usize> = (0..frames).step_by(step).collect();
    let parts = starts.iter().enumerate().map(|(i, &start)| {
        let end = (start + WINDOW).min(frames);
        let skip = if i == 0 { 0 } else { half };
        let given_up = if i + 1 == starts.len() { 0 } else { half };
        let keep = stages(end - start)[2].saturating_sub(skip + given_up);
        Part { start, end, skip, keep }
    });
    parts.collect()
}

/// Digits of a stretch of mel frames, `[tokens, 8]`.
fn run(
    file: &GgufFile,
    config: &S3TokenizerConfig,
    executor: &mut Executor,
    mel: &Features,
    part: std::ops::Range<usize>,
) -> Result<Vec<f32>, ModelError> {
    let valid = part.len();
    let frames = valid.next_multiple_of(BUCKET);
    let key = PlanKey { graph: "s3_tokenizer", dims: [frames, 0, 0, 0] };
    let plan = executor.plan(key, || s3_tokenizer_graph(file, config, frames))?;
    let mut input: Vec<f32> = part.flat_map(|frame| mel.row(frame)).copied().collect();
    input.resize(frames * config.n_mels, 0.0);
    let lengths = stages(valid).map(|n| [n as i32]);
    let positions: Vec<i32> = (0..stages(frames)[2] as i32).collect();
    let [first, second, third] = &lengths;
    let data =
        [Data::F32(&input), Data::I32(first), Data::I32(second), Data::I32(third), Data::I32(&positions)];
    executor.run(plan, &data, &[], &[])?;
    Ok(executor.output(plan, "digits")?[..stages(valid)[2] * config.digits].to_vec())
}

/// The token of eight digits: each -1, 0 or 1 after a tanh, the first the least significant.
fn token(digits: &[f32]) -> i32 {
    let digit = |x: f32| (x.tanh() * BELOW_ONE).round_ties_even() as i32 + 1;
    digits.iter().rev().fold(0, |token, &x| token * 3 + digit(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_make_tokens() {
        assert_eq!(token(&[0.0; 8]), (0..8).map(|j| 3i32.pow(j)).sum::<i32>());
        assert_eq!(token(&[-9.0; 8]), 0);
        assert_eq!(token(&[9.0; 8]), 6560);
        assert_eq!(token(&[9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0]), 2);
        assert_eq!(token(&[f32::NAN; 8]), token(&[0.0; 8]), "a broken model gives tokens all the same");
    }

    #[test]
    fn long_clips_go_in_windows_that_share_their_overlap() {
        let one = |frames: usize| vec![Part { start: 0, end: frames, skip: 0, keep: frames.div_ceil(4) }];
        assert_eq!(windows(0), []);
        assert_eq!((windows(1), windows(3000)), (one(1), one(3000)));
        let long = windows(6096);
        let found: Vec<[usize; 4]> = long.iter().map(|p| [p.start, p.end, p.skip, p.keep]).collect();
        assert_eq!(found, [[0, 3000, 0, 700], [2600, 5600, 50, 650], [5200, 6096, 50, 174]]);
        // A window of less than its share of the overlap gives nothing.
        assert_eq!(windows(3001).last().map(|p| p.keep), Some(51));
        assert_eq!(windows(5201).last().map(|p| [p.start, p.end, p.skip, p.keep]), Some([5200, 5201, 50, 0]));
    }
}
